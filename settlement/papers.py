"""Papers of a deal for whoever may see it: gathers rows, checks who asks, hands them to `reports` and `workbook`."""

import uuid
from datetime import datetime

from sqlalchemy.orm import Session

from marketplace.actor import Actor
from marketplace.packages import service as packages
from settlement import closings, deals, instalments, parts, payouts, reconciliation, reports, trail, true_ups, workbook
from settlement.deal_models import Deal
from settlement.domain.deal import DealNotFound, Party
from settlement.words import Language


def invoice(session: Session, *, deal_id: uuid.UUID, language: Language, actor: Actor, at: datetime) -> bytes:
    """Return the balance invoice of a deal as PDF; raise `DealNotFound`."""
    deal = deals.get_deal(session, deal_id, actor=actor)
    view = deals.with_names(session, [deal])[0]
    return reports.invoice(view, package_name=_package_name(session, deal), language=language, at=at)


def statement(
    session: Session,
    *,
    deal_id: uuid.UUID,
    party: Party | None,
    language: Language,
    actor: Actor,
    at: datetime,
) -> bytes:
    """Return the statement of account of one side as PDF: a party's own, whichever `party` for operator and auditor.

    Raises `DealNotFound`, also for the other side's statement.
    """
    deal = deals.get_deal(session, deal_id, actor=actor)
    own = _own_party(deal, actor)
    if own is not None and party not in {None, own}:
        raise DealNotFound(deal_id)
    side = own or party or Party.BUYER
    found = reconciliation.reconcile(session, deal_id=deal_id, actor=actor, at=at)
    return reports.statement(
        found.deal,
        party=side,
        entries=trail.entries_of_deal(session, deal_id=deal_id),
        deductions=payouts.deductions_of(session, deal_id=deal_id),
        instalments=instalments.of_deal(session, deal_id),
        paid=(found.paid_out, found.in_payment),
        holdback=parts.holdback_of(session, deal),
        after=true_ups.true_up(session, deal_id=deal_id, party=side, actor=actor, at=at),
        package_name=_package_name(session, deal),
        language=language,
        at=at,
    )


def reconciliation_pdf(
    session: Session, *, deal_id: uuid.UUID, language: Language, actor: Actor, at: datetime
) -> bytes:
    """Return the reconciliation of a deal as PDF; raise `DealNotFound`."""
    found = reconciliation.reconcile(session, deal_id=deal_id, actor=actor, at=at)
    return reports.reconciliation_paper(found, package_name=_package_name(session, found.deal.deal), language=language)


def reconciliation_xlsx(
    session: Session, *, deal_id: uuid.UUID, language: Language, actor: Actor, at: datetime
) -> bytes:
    """Return the reconciliation of a deal as a workbook with every bank line, entry and case; raise `DealNotFound`."""
    found = reconciliation.reconcile(session, deal_id=deal_id, actor=actor, at=at)
    return workbook.reconciliation_workbook(
        found,
        entries=trail.entries_of_deal(session, deal_id=deal_id),
        deductions=payouts.deductions_of(session, deal_id=deal_id),
        allocations=payouts.allocations_of(session, deal_id=deal_id),
        prices=closings.prices_of(session, deal_id=deal_id),
        language=language,
    )


def _own_party(deal: Deal, actor: Actor) -> Party | None:
    if actor.organisation_id == deal.seller_organisation_id:
        return Party.SELLER
    return Party.BUYER if actor.organisation_id == deal.buyer_organisation_id else None


def _package_name(session: Session, deal: Deal) -> str:
    return packages.require_package(session, deal.package_id).name

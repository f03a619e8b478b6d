"""Finance: the deals, one deal down to its reconciliation, and the money trail of one case."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from flask import request

from console import charts, site
from console.language import mark
from console.site import pages
from marketplace import http
from marketplace.actor import Role
from marketplace.money import Money
from marketplace.policies import reads
from settlement import service as settlement
from settlement.domain.funds_flow import FundsFlow

PAGE: Final = 50
SHARES: Final = 20

_PARTIES: Final = reads(Role.SELLER_MANAGER, Role.SELLER_AGENT, Role.BUYER_BIDDER, Role.BUYER_ANALYST)


@pages.route("/deals", policy=_PARTIES)
def deals() -> Any:
    """List the deals that this person may see, newest first."""
    found = settlement.list_deals(
        http.session(), state=None, cursor=request.args.get("cursor"), limit=PAGE, actor=http.actor()
    )
    return site.render("deals.html", deals=found)


@pages.route("/deals/<uuid:deal_id>", policy=_PARTIES)
def deal(deal_id: uuid.UUID) -> Any:
    """Show one deal: steps, funds flow, allocation; for operator and auditor the reconciliation too."""
    session, actor = http.session(), http.actor()
    row = settlement.get_deal(session, deal_id, actor=actor)
    reconciliation = settlement.reconcile(session, deal_id=deal_id, actor=actor, at=http.at())
    return site.render(
        "deal.html",
        deal=row,
        view=settlement.with_names(session, [row])[0],
        steps=_steps(row),
        flow=Flow.of(settlement.show_flow(session, deal_id=deal_id, actor=actor)),
        shares=settlement.list_allocations(
            session, deal_id=deal_id, cursor=request.args.get("cursor"), limit=SHARES, actor=actor
        ),
        reconciliation=reconciliation,
        allocated=next((one.amount for one in reconciliation.rows if one.figure == "allocations"), None),
        instalments=_instalments(row),
    )


def _instalments(row: settlement.Deal) -> Sequence[settlement.DealInstalment]:
    """Return the instalments that are distributed, for the seller's side, operator and auditor; none for a buyer."""
    session, actor = http.session(), http.actor()
    if not (actor.sees_everything or actor.organisation_id == row.seller_organisation_id):
        return ()
    return settlement.list_instalments(session, deal_id=row.id, actor=actor)


def _steps(row: settlement.Deal) -> list[tuple[str, datetime | None]]:
    return [
        (mark("Awarded"), row.opened_at),
        (mark("Price paid"), row.paid_at),
        (mark("Signed by the seller"), row.seller_signed_at),
        (mark("Signed by the buyer"), row.buyer_signed_at),
        (mark("Price distributed"), row.distributed_at),
        (mark("Settled"), row.settled_at),
    ]


@dataclass(frozen=True, slots=True)
class Part:
    """A deduction with the length of its bar, per mille of the price."""

    name: str
    payee: str
    amount: Money
    width: int


@dataclass(frozen=True, slots=True)
class Flow:
    """A funds flow as a picture: the price is the whole width."""

    parts: tuple[Part, ...]
    net: Money
    net_width: int

    @classmethod
    def of(cls, flow: FundsFlow) -> "Flow":
        """Return the picture of a funds flow."""
        amounts = [flow.gross, *(taken.amount for taken in flow.deductions), flow.net]
        _, *lengths, net_length = charts.widths([amount.minor for amount in amounts])
        parts = [
            Part(taken.name, taken.payee, taken.amount, width)
            for taken, width in zip(flow.deductions, lengths, strict=True)
        ]
        return cls(tuple(parts), flow.net, net_length)


@pages.route("/cases/<uuid:case_id>/money-trail", policy=_PARTIES)
def money_trail(case_id: uuid.UUID) -> Any:
    """Show the way of the money from the bank's lines to one case."""
    session, actor = http.session(), http.actor()
    trail = settlement.money_trail(session, case_id=case_id, actor=actor)
    flows = {
        one.deal_id: settlement.show_flow(session, deal_id=one.deal_id, actor=actor).deductions for one in trail.deals
    }
    return site.render("trail.html", trail=trail, deductions=flows)

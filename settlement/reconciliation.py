"""Reconciliation: bank lines = ledger = funds flow = sum over the cases; each figure with source and difference.

Figures come in three groups that must agree inside themselves: the price, what was deducted, and the net. Nothing is
taken from another figure: each is added up from its own rows, so an error anywhere shows as a difference.
"""

import enum
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.orm import Session

from collection import service as collection
from marketplace.actor import Actor
from marketplace.db import Page
from marketplace.money import Money
from settlement import deals, instalments, ledger, parts, payouts, third_parties
from settlement.bank_models import MatchReversal
from settlement.closing_models import Adjustment, AdjustmentCover, DealPart, ThirdPartyClaim
from settlement.deal_models import Allocation, Deal, DealDeduction
from settlement.domain import ledger as books
from settlement.domain.deal import DISTRIBUTED, DealState
from settlement.domain.decisions import PartState, ThirdPartyKind
from settlement.domain.orders import GONE, PaymentPurpose
from settlement.fees import PAYEE_ACCOUNTS
from settlement.models import Account, Deposit, Entry, Match, PaymentOrder, Posting, StatementLine


class Group(enum.StrEnum):
    """Figures of one group are the same amount, reached by different ways."""

    PRICE = "price"
    DEDUCTIONS = "deductions"
    NET = "net"


class Figure(enum.StrEnum):
    """A way to an amount; the words for people are in `settlement.reports`."""

    AWARD = "award"
    BANK_RECEIVED = "bank_received"
    LEDGER_RECEIVED = "ledger_received"
    LEDGER_PRICE = "ledger_price"
    FLOW_GROSS = "flow_gross"
    FLOW_DEDUCTIONS = "flow_deductions"
    LEDGER_FEES = "ledger_fees"
    RECOMPUTED_DEDUCTIONS = "recomputed_deductions"
    FLOW_NET = "flow_net"
    RECOMPUTED_NET = "recomputed_net"
    LEDGER_NET = "ledger_net"
    ALLOCATIONS = "allocations"
    CASE_RECEIPTS = "case_receipts"
    PAYOUT = "payout"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `difference` is `amount` less the first of its group; `source` names the rows behind it."""

    group: Group
    figure: Figure
    source: str
    amount: Money
    difference: Money


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """All figures of one deal at an instant. `agrees`: no difference anywhere."""

    deal: deals.DealView
    at: datetime
    rows: tuple[Row, ...]
    paid_out: Money
    in_payment: Money

    @property
    def agrees(self) -> bool:
        """True when every difference is zero."""
        return not any(row.difference for row in self.rows)

    @property
    def difference(self) -> Money:
        """The largest difference, signed; zero when all agree, and of a cancelled deal, which has no figures."""
        none = Money.zero(self.deal.deal.currency)
        return max((row.difference for row in self.rows), key=lambda money: abs(money.minor), default=none)


@dataclass(frozen=True, slots=True)
class BankCheck:
    """Of one currency: the sum of the bank's lines against the account of the books, and the sum of all postings."""

    currency: str
    lines: Money
    ledger: Money
    difference: Money
    all_postings: Money


Found = tuple[Group, Figure, str, int]


def reconcile(session: Session, *, deal_id: uuid.UUID, actor: Actor, at: datetime) -> Reconciliation:
    """Return every figure of a deal with its source; raise `DealNotFound`.

    Before the payment the receipts fall short of the price by what is due, and say so.
    """
    deal = deals.get_deal(session, deal_id, actor=actor)
    return _reconcile(session, deals.with_names(session, [deal])[0], at=at)


def reconcile_all(
    session: Session, *, state: DealState | None, cursor: str | None, limit: int, actor: Actor, at: datetime
) -> Page[Reconciliation]:
    """Return a page of the reconciliations of the deals that the actor may see, newest first."""
    page = deals.list_deals(session, state=state, cursor=cursor, limit=limit, actor=actor)
    return Page([_reconcile(session, view, at=at) for view in page.items], page.next)


def bank_checks(session: Session) -> list[BankCheck]:
    """Return, for each currency, whether bank lines and books agree and all postings add up to zero."""
    lines = _by_currency(
        session, select(StatementLine.currency, func.sum(StatementLine.amount_minor)).group_by(StatementLine.currency)
    )
    booked = _by_currency(
        session,
        select(Posting.currency, func.sum(Posting.amount_minor))
        .join(Account, Account.id == Posting.account_id)
        .where(Account.key == books.BANK)
        .group_by(Posting.currency),
    )
    everything = _by_currency(
        session, select(Posting.currency, func.sum(Posting.amount_minor)).group_by(Posting.currency)
    )
    return [
        BankCheck(
            currency=currency,
            lines=Money(lines.get(currency, 0), currency),
            ledger=Money(booked.get(currency, 0), currency),
            difference=Money(lines.get(currency, 0) - booked.get(currency, 0), currency),
            all_postings=Money(everything.get(currency, 0), currency),
        )
        for currency in sorted({*lines, *everything})
    ]


def _by_currency(session: Session, query: Select[str, int]) -> dict[str, int]:
    return {currency: int(total) for currency, total in session.execute(query)}


def _reconcile(session: Session, view: deals.DealView, *, at: datetime) -> Reconciliation:
    deal = view.deal
    found = [] if deal.state is DealState.CANCELLED else _price_figures(session, deal)
    if deal.state in DISTRIBUTED:
        found += _deduction_figures(session, deal) + _net_figures(session, deal)
    paid_out, in_payment = _payout_parts(session, deal)
    return Reconciliation(
        deal=view,
        at=at,
        rows=tuple(_compared(found, deal.currency)),
        paid_out=Money(paid_out, deal.currency),
        in_payment=Money(in_payment, deal.currency),
    )


def _compared(found: Sequence[Found], currency: str) -> list[Row]:
    firsts: dict[Group, int] = {}
    rows = []
    for group, figure, source, minor in found:
        first = firsts.setdefault(group, minor)
        rows.append(Row(group, figure, source, Money(minor, currency), Money(minor - first, currency)))
    return rows


def _price_figures(session: Session, deal: Deal) -> list[Found]:
    receivable, proceeds = books.receivable(deal.id), books.proceeds(deal.id)
    opened = _posted(session, "deal.opened", deal.id, proceeds)
    received = deal.price_minor - ledger.balance(session, receivable, currency=deal.currency)
    found: list[Found] = [
        (Group.PRICE, Figure.AWARD, "deals.price_minor", deal.price_minor),
        (Group.PRICE, Figure.LEDGER_PRICE, f"postings: {proceeds}", -opened),
        (Group.PRICE, Figure.BANK_RECEIVED, "statement_lines, matches, payment_orders", _received(session, deal)),
        (Group.PRICE, Figure.LEDGER_RECEIVED, f"postings: {receivable}", received),
    ]
    if deal.state in DISTRIBUTED:
        gross = _deducted(session, deal) + (deal.net_minor or 0)
        found.append((Group.PRICE, Figure.FLOW_GROSS, "deal_deductions, deals.net_minor", gross))
    return found


def _deduction_figures(session: Session, deal: Deal) -> list[Found]:
    flow = payouts.preview(session, deal)
    keys = [*sorted(set(PAYEE_ACCOUNTS.values())), *_accounts_of(session, deal, liens=False)]
    posted = sum(_distributed(session, deal, key) for key in keys)
    return [
        (Group.DEDUCTIONS, Figure.FLOW_DEDUCTIONS, "deal_deductions", _deducted(session, deal)),
        (
            Group.DEDUCTIONS,
            Figure.RECOMPUTED_DEDUCTIONS,
            "fee_schedules",
            sum(taken.amount.minor for taken in flow.deductions),
        ),
        (Group.DEDUCTIONS, Figure.LEDGER_FEES, "postings: commission, vat, third_party", -posted),
    ]


def _net_figures(session: Session, deal: Deal) -> list[Found]:
    payable = books.payable(deal.seller_organisation_id)
    allocated = select(func.coalesce(func.sum(Allocation.amount_minor), 0)).where(Allocation.deal_id == deal.id)
    receipts = _receipts(session, deal)
    owed = [payable, books.holdback(deal.id), books.netted(deal.id), *_accounts_of(session, deal, liens=True)]
    posted = sum(_distributed(session, deal, key) for key in owed)
    kept = _kept(session, deal)
    return [
        (Group.NET, Figure.FLOW_NET, "deals.net_minor", deal.net_minor or 0),
        (Group.NET, Figure.RECOMPUTED_NET, "fee_schedules", payouts.preview(session, deal).net.minor),
        (Group.NET, Figure.LEDGER_NET, f"postings: {payable}, holdback, lien", -posted),
        (Group.NET, Figure.ALLOCATIONS, "allocations", int(session.execute(allocated).scalar_one())),
        (Group.NET, Figure.CASE_RECEIPTS, "case_receipts, third_party_claims, postings: holdback", receipts + kept),
        (
            Group.NET,
            Figure.PAYOUT,
            "statement_lines, postings: in_payment, holdback, third_party_claims, deals.netted_minor",
            sum(_payout_parts(session, deal)) + kept + deal.netted_minor,
        ),
    ]


def _accounts_of(session: Session, deal: Deal, *, liens: bool) -> list[str]:
    """Accounts of the third parties of a deal: those with a lien on a case, or the others."""
    rows = session.scalars(
        select(ThirdPartyClaim).where(
            ThirdPartyClaim.deal_id == deal.id, (ThirdPartyClaim.kind == ThirdPartyKind.LIEN) == liens
        )
    )
    return [third_parties.account_of(row) for row in rows]


def _shared_out(deal: Deal) -> Select[uuid.UUID]:
    """The parts of a deal that its cases have received; the first of one distributed whole is paid as the deal."""
    return select(DealPart.id).where(DealPart.deal_id == deal.id, DealPart.state == PartState.SHARED_OUT)


def _receipts(session: Session, deal: Deal) -> int:
    total = collection.proceeds_total(session, source_kind=payouts.SOURCE, source_id=deal.id)
    for part_id in session.scalars(_shared_out(deal)):
        total += collection.proceeds_total(session, source_kind=parts.SOURCE, source_id=part_id)
    return total


def _kept(session: Session, deal: Deal) -> int:
    """What no case received of the net: paid to liens, still kept back, or used out of the holdback for adjustments."""
    liens = session.scalar(
        select(func.coalesce(func.sum(ThirdPartyClaim.paid_minor), 0)).where(
            ThirdPartyClaim.deal_id == deal.id, ThirdPartyClaim.kind == ThirdPartyKind.LIEN
        )
    )
    used = session.scalar(
        select(func.coalesce(func.sum(AdjustmentCover.amount_minor), 0))
        .join(Adjustment, Adjustment.id == AdjustmentCover.adjustment_id)
        .where(
            Adjustment.deal_id == deal.id,
            AdjustmentCover.statement_line_id.is_(None),
            AdjustmentCover.against_balance.is_(False),
        )
    )
    held = ledger.credit(session, books.holdback(deal.id), currency=deal.currency)
    return int(liens or 0) + int(used or 0) + held


def _distributed(session: Session, deal: Deal, account: str) -> int:
    """Sum of what the distribution of a deal, or each of its instalments, posted on one account, debit +."""
    each = [_posted(session, instalments.DISTRIBUTED, row.id, account) for row in instalments.of_deal(session, deal.id)]
    return _posted(session, "deal.distributed", deal.id, account) + sum(each)


def _posted(session: Session, source_kind: str, source_id: uuid.UUID, account: str) -> int:
    """Sum of the postings of one entry on one account, debit +."""
    total = session.scalar(
        select(func.coalesce(func.sum(Posting.amount_minor), 0))
        .join(Entry, Entry.id == Posting.entry_id)
        .join(Account, Account.id == Posting.account_id)
        .where(Entry.source_kind == source_kind, Entry.source_id == source_id, Account.key == account)
    )
    return int(total or 0)


def _received(session: Session, deal: Deal) -> int:
    """What came in for the deal: what paid the balance, what is left of the winner's deposit, let go or set off.

    Of a bidder that won several lots with one deposit, less what its other deals have of it.
    """
    deposit = session.scalar(
        select(func.coalesce(func.sum(Match.amount_minor), 0))
        .join(Deposit, Deposit.id == Match.deposit_id)
        .where(Deposit.registration_id == deal.registration_id, Match.id.not_in(select(MatchReversal.match_id)))
    )
    returned = session.scalar(
        select(func.coalesce(func.sum(PaymentOrder.amount_minor), 0)).where(
            PaymentOrder.registration_id == deal.registration_id,
            PaymentOrder.purpose == PaymentPurpose.DEPOSIT_REFUND,
            PaymentOrder.state.not_in(GONE),
        )
    )
    balance = session.scalar(
        select(func.coalesce(func.sum(Match.amount_minor), 0)).where(
            Match.reference == deal.reference, Match.id.not_in(select(MatchReversal.match_id))
        )
    )
    elsewhere = session.scalar(
        select(func.coalesce(func.sum(Deal.deposit_minor), 0)).where(
            Deal.registration_id == deal.registration_id, Deal.id != deal.id
        )
    )
    return (
        int(deposit or 0)
        - int(returned or 0)
        - int(elsewhere or 0)
        + int(balance or 0)
        + deal.waived_minor
        + deal.netted_minor
    )


def _deducted(session: Session, deal: Deal) -> int:
    total = select(func.coalesce(func.sum(DealDeduction.amount_minor), 0)).where(DealDeduction.deal_id == deal.id)
    return int(session.execute(total).scalar_one())


def _payout_parts(session: Session, deal: Deal) -> tuple[int, int]:
    """Return what the bank's own lines show as paid to the seller, and what is set aside for it in the books."""
    orders = session.scalars(
        select(PaymentOrder).where(
            tuple_(PaymentOrder.source_kind, PaymentOrder.source_id).in_(
                [(payouts.SOURCE, deal.id), *((parts.SOURCE, one) for one in session.scalars(_shared_out(deal)))]
            ),
            PaymentOrder.state.not_in(GONE),
        )
    ).all()
    ids = [order.settled_by_line_id for order in orders if order.settled_by_line_id is not None]
    paid = session.scalar(
        select(func.coalesce(func.sum(-StatementLine.amount_minor), 0)).where(StatementLine.id.in_(ids))
    )
    waiting = sum(ledger.credit(session, books.in_payment(order.id), currency=deal.currency) for order in orders)
    return int(paid or 0), waiting

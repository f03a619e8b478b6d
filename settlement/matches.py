"""Matching: what each line of our bank account is for, written as a match and an entry, or left open with its reason.

Every line is in the books before it is matched: money in on `unapplied:<line>`, money out on `unexplained:<line>`.
Matching moves it on. The rules are `settlement.domain.matching`; what a person decides, and the way back, is in
`settlement.deciding`.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace import db
from marketplace.actor import Actor
from marketplace.errors import NotFound
from marketplace.money import Money
from settlement import adjustments, deals, deposits, ledger, payments, receipt_keys, returned_payments, tolerances
from settlement.bank_models import LineAssignment, MatchDecision, MatchProposal, MatchReversal
from settlement.card_models import CardPayment
from settlement.closing_models import Adjustment
from settlement.deal_models import Deal
from settlement.domain import ledger as books
from settlement.domain.matching import Finding, NothingToMatch, match_deposit, match_order, match_return
from settlement.domain.orders import Payer, PaymentPurpose, Rail
from settlement.domain.references import ReferenceKind, kind_of
from settlement.models import Account, Match, PaymentOrder, Posting, StatementLine

MATCHED = frozenset(
    {
        Finding.EXACT,
        Finding.COMPLETES,
        Finding.PARTIAL,
        Finding.OVERPAYMENT,
        Finding.DEAL,
        Finding.ORDER,
        Finding.SURPLUS,
        Finding.RETURNED,
        Finding.CARD_PAYOUT,
    }
)
OPEN_REGISTRATIONS = frozenset({"applied", "approved"})


@dataclass(frozen=True, slots=True)
class LineView:
    """A statement line with what was found: `open` is the part that is not matched, in the line's direction.

    `matches` are those that stand, `proposals` those that wait for a second person, `owner` looks after the line.
    """

    line: StatementLine
    open: Money
    matches: Sequence[Match]
    proposals: Sequence[MatchProposal] = ()
    owner: LineAssignment | None = None


def lock_line(session: Session, line_id: uuid.UUID) -> StatementLine:
    """Return a line and hold its row until the end of the transaction; raise `NotFound`."""
    line = session.get(StatementLine, line_id, with_for_update=True, populate_existing=True)
    if line is None:
        raise NotFound("statement line", line_id)
    return line


def require_line(session: Session, line_id: uuid.UUID) -> StatementLine:
    """Return a line; raise `NotFound`."""
    line = session.get(StatementLine, line_id)
    if line is None:
        raise NotFound("statement line", line_id)
    return line


def refund_line(session: Session, *, line_id: uuid.UUID, reason: str, actor: Actor, at: datetime) -> PaymentOrder:
    """Propose to send back what is open of an incoming line, to the account it came from; then nothing is open.

    Raises `NotFound`, and `NothingToMatch` when nothing is left.
    """
    line = lock_line(session, line_id)
    open_minor = open_amounts(session, [line])[line.id]
    if open_minor <= 0:
        raise NothingToMatch
    line.finding = Finding.REFUNDED
    return payments.propose_order(
        session,
        payee_organisation_id=None,
        purpose=PaymentPurpose.UNAPPLIED_REFUND,
        amount=open_minor,
        currency=line.currency,
        reference=reason,
        source_kind="statement_line.refunded",
        source_id=db.new_id(),
        account=books.unapplied(line.id),
        payer=Payer(line.counterparty_name, line.counterparty_account),
        actor=actor,
        at=at,
    )


def is_known(session: Session, reference: str) -> bool:
    """Say whether anything has this canonical reference."""
    kind = kind_of(reference)
    if kind is ReferenceKind.NOTICE:
        return session.scalars(select(Adjustment.id).where(Adjustment.reference == reference)).first() is not None
    if kind is ReferenceKind.DEPOSIT:
        return auctions.registration_by_reference(session, reference) is not None
    if kind is ReferenceKind.DEAL:
        return session.scalars(select(Deal.id).where(Deal.reference == reference)).first() is not None
    return payments.order_by_reference(session, reference) is not None


def match_with(
    session: Session, *, line: StatementLine, reference: str, amount_minor: int, actor: Actor, at: datetime
) -> Finding:
    """Match `amount_minor` (above zero) of a line with a known reference of its direction, as a person decided."""
    if kind_of(reference) is not ReferenceKind.DEPOSIT:
        return match_other(
            session, line=line, reference=reference, amount_minor=amount_minor, automatic=False, actor=actor, at=at
        )
    return match_receipt(
        session,
        match=_of_line(line, automatic=False),
        received=Money(amount_minor, line.currency),
        reference=reference,
        receipt=line,
        actor=actor,
        at=at,
    )


def match_other(
    session: Session,
    *,
    line: StatementLine,
    reference: str,
    amount_minor: int | None = None,
    automatic: bool,
    actor: Actor,
    at: datetime,
) -> Finding:
    """Match a line (all of it, or `amount_minor`) with a known deal, payment order or adjustment."""
    amount_minor = abs(line.amount_minor) if amount_minor is None else amount_minor
    match = _of_line(line, automatic=automatic)
    if kind_of(reference) is ReferenceKind.DEAL:
        return _match_deal(session, match, line, reference, amount_minor, actor=actor, at=at)
    if kind_of(reference) is ReferenceKind.NOTICE:
        return _match_adjustment(session, match, line, reference, amount_minor, actor=actor, at=at)
    return _match_order(session, match, line, reference, amount_minor, actor=actor, at=at)


def match_receipt(
    session: Session,
    *,
    match: Match,
    received: Money,
    reference: str,
    receipt: StatementLine | CardPayment,
    actor: Actor,
    at: datetime,
) -> Finding:
    """Count money that lies unapplied toward the deposit of a known reference; `match` says where it came from.

    What the deposit does not need stays unapplied. Covers the registration when the full deposit is held.
    """
    registration = auctions.registration_by_reference(session, reference)
    assert registration is not None
    ledger.lock(session, books.deposits(registration.id), currency=registration.currency, at=at)
    decision = match_deposit(
        received,
        required=Money(registration.deposit_minor, registration.currency),
        held_minor=deposits.held(session, registration_id=registration.id, currency=registration.currency),
        is_open=registration.state.value in OPEN_REGISTRATIONS
        and not deposits.is_spent(session, registration_id=registration.id),
        tail_minor=receipt_keys.tails_of(session, [reference]).get(reference, 0),
    )
    if decision.applied_minor:
        deposit = deposits.open_deposit(session, registration_id=registration.id, at=at)
        match.deposit_id = deposit.id
        _add(session, match, reference, Money(decision.applied_minor, received.currency), actor=actor, at=at)
        deposits.hold(
            session,
            deposit=deposit,
            amount_minor=decision.applied_minor,
            from_account=books.unapplied(receipt.id),
            source_kind="match.deposit",
            source_id=match.id,
            value_on=receipt.value_on if isinstance(receipt, StatementLine) else at.date(),
            actor=actor,
            at=at,
        )
    return decision.finding


def _match_deal(
    session: Session,
    match: Match,
    line: StatementLine,
    reference: str,
    amount_minor: int,
    *,
    actor: Actor,
    at: datetime,
) -> Finding:
    before = ledger.credit(session, books.unapplied(line.id), currency=line.currency)
    match.id = db.new_id()
    taken = deals.receive_payment(
        session,
        reference=reference,
        statement_line_id=line.id,
        amount_minor=amount_minor,
        currency=line.currency,
        value_on=line.value_on,
        actor=actor,
        at=at,
        match_id=match.id,
    )
    used = before - ledger.credit(session, books.unapplied(line.id), currency=line.currency)
    if not taken or not used:
        return Finding.DEAL_REFUSED
    _add(session, match, reference, Money(used, line.currency), actor=actor, at=at)
    if used == amount_minor:
        return Finding.DEAL
    excess = Money(amount_minor - used, line.currency)
    let_go = tolerances.surplus_let_go(session, subject=reference, currency=line.currency, on=line.booked_on)
    return Finding.SURPLUS if excess <= let_go else Finding.OVERPAYMENT


def _match_adjustment(
    session: Session,
    match: Match,
    line: StatementLine,
    reference: str,
    amount_minor: int,
    *,
    actor: Actor,
    at: datetime,
) -> Finding:
    """Pay an approved adjustment with a line that names its reference; what it does not need stays unapplied."""
    used = adjustments.receive(
        session, reference=reference, line_id=line.id, amount_minor=amount_minor, actor=actor, at=at
    )
    if not used:
        return Finding.DEAL_REFUSED
    _add(session, match, reference, Money(used, line.currency), actor=actor, at=at)
    if used < amount_minor:
        return Finding.OVERPAYMENT
    paid = session.scalars(select(Adjustment).where(Adjustment.reference == reference)).one()
    return Finding.PARTIAL if paid.open else Finding.EXACT


def _match_order(
    session: Session,
    match: Match,
    line: StatementLine,
    reference: str,
    amount_minor: int,
    *,
    actor: Actor,
    at: datetime,
) -> Finding:
    order = payments.order_by_reference(session, reference, for_update=True)
    assert order is not None
    paid = Money(amount_minor, line.currency)
    if line.amount_minor > 0:
        finding = match_return(paid, ordered=order.amount, state=order.state)
        if finding is Finding.RETURNED:
            returned_payments.return_order(session, order=order, line=line, actor=actor, at=at)
            match.payment_order_id = order.id
            _add(session, match, reference, paid, actor=actor, at=at)
        return finding
    finding = match_order(paid, ordered=order.amount, state=order.state)
    if finding is Finding.ORDER:
        payments.settle_order(
            session,
            order=order,
            paid_from=books.unexplained(line.id),
            line_id=line.id,
            value_on=line.value_on,
            actor=actor,
            at=at,
        )
        match.payment_order_id = order.id
        _add(session, match, reference, paid, actor=actor, at=at)
    return finding


def _of_line(line: StatementLine, *, automatic: bool) -> Match:
    return Match(
        line_id=line.id,
        payer_name=line.counterparty_name,
        payer_account=line.counterparty_account,
        rail=Rail.WIRE,
        automatic=automatic,
    )


def _add(session: Session, match: Match, reference: str, amount: Money, *, actor: Actor, at: datetime) -> None:
    match.id = match.id or db.new_id()
    match.reference = reference
    match.amount_minor, match.currency = amount.minor, amount.currency
    match.matched_by, match.matched_at = actor.name, at
    session.add(match)
    session.flush()


def open_amounts(session: Session, lines: Sequence[StatementLine]) -> Mapping[uuid.UUID, int]:
    """Return what is not matched of each line in minor units, money in +, money out −; one query."""
    session.flush()
    keys = {key(line.id): line.id for line in lines for key in (books.unapplied, books.unexplained)}
    rows = session.execute(
        select(Account.key, func.sum(Posting.amount_minor))
        .join(Posting, Posting.account_id == Account.id)
        .where(Account.key.in_(keys))
        .group_by(Account.key)
    )
    found = {keys[key]: -int(total) for key, total in rows}
    return {line.id: found.get(line.id, 0) for line in lines}


def views(session: Session, *, lines: Sequence[StatementLine]) -> list[LineView]:
    """Return lines with what is open of them, their matches, proposals and owners, in the order given."""
    amounts = open_amounts(session, lines)
    ids = [line.id for line in lines]
    matches: dict[uuid.UUID | None, list[Match]] = {}
    standing = select(Match).where(Match.line_id.in_(ids), Match.id.not_in(select(MatchReversal.match_id)))
    for match in session.scalars(standing.order_by(Match.id)):
        matches.setdefault(match.line_id, []).append(match)
    proposals: dict[uuid.UUID, list[MatchProposal]] = {}
    waiting = select(MatchProposal).where(
        MatchProposal.line_id.in_(ids), MatchProposal.id.not_in(select(MatchDecision.proposal_id))
    )
    for proposal in session.scalars(waiting.order_by(MatchProposal.id)):
        proposals.setdefault(proposal.line_id, []).append(proposal)
    owned = select(LineAssignment).where(LineAssignment.line_id.in_(ids)).order_by(LineAssignment.id)
    owners = {one.line_id: one for one in session.scalars(owned)}
    return [
        LineView(
            line,
            Money(amounts[line.id], line.currency),
            matches.get(line.id, []),
            proposals.get(line.id, []),
            owners.get(line.id),
        )
        for line in lines
    ]

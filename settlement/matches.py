"""Matching: what each line of our bank account is for, written as a match and an entry, or left open with its reason.

Every line is in the books before it is matched: money in on `unapplied:<line>`, money out on `unexplained:<line>`.
Matching moves it on. The rules are `settlement.domain.matching`; a person may name the reference that the text lacks.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Text, cast, func, literal, select
from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.errors import NotFound
from marketplace.money import Money
from settlement import deals, deposits, ledger, payments
from settlement.deal_models import Deal
from settlement.domain import ledger as books
from settlement.domain.matching import (
    DoesNotMatch,
    Finding,
    NothingToMatch,
    choose_reference,
    match_deposit,
    match_order,
)
from settlement.domain.orders import Payer, PaymentPurpose, Rail
from settlement.domain.references import ReferenceKind, find_references, kind_of
from settlement.models import Account, Match, PaymentOrder, Posting, StatementLine, WebhookEvent

_MATCHED = frozenset(
    {Finding.EXACT, Finding.COMPLETES, Finding.PARTIAL, Finding.OVERPAYMENT, Finding.DEAL, Finding.ORDER}
)
_OPEN_REGISTRATIONS = frozenset({"applied", "approved"})


@dataclass(frozen=True, slots=True)
class LineView:
    """A statement line with what was found: `open` is the part that is not matched, in the line's direction."""

    line: StatementLine
    open: Money
    matches: Sequence[Match]


def match_automatically(session: Session, *, line: StatementLine, actor: Actor, at: datetime) -> None:
    """Match a line, posted just now, by the references in its texts; write what was found on it."""
    if not line.amount:
        line.finding = Finding.ZERO
        return
    text = f"{line.remittance} {line.end_to_end_id}"
    chosen = choose_reference(
        find_references(text), incoming=line.amount_minor > 0, known=lambda reference: _is_known(session, reference)
    )
    if isinstance(chosen, Finding):
        line.finding = chosen
    else:
        line.finding = _match(session, line, chosen, abs(line.amount_minor), automatic=True, actor=actor, at=at)


def match_line(session: Session, *, line_id: uuid.UUID, reference: str, actor: Actor, at: datetime) -> LineView:
    """Match what is open of a line with a reference that a person names.

    Raises `NotFound`, `NothingToMatch`, and `DoesNotMatch` with the finding when it cannot be for that.
    """
    line = _lock_line(session, line_id)
    open_minor = _open(session, [line])[line.id]
    if not open_minor:
        raise NothingToMatch
    references = find_references(reference)
    if len(references) != 1 or not _is_known(session, references[0]):
        raise DoesNotMatch(Finding.UNKNOWN_REFERENCE)
    incoming = line.amount_minor > 0
    if (kind_of(references[0]) is ReferenceKind.PAYMENT_ORDER) == incoming:
        raise DoesNotMatch(Finding.UNKNOWN_REFERENCE)
    finding = _match(session, line, references[0], abs(open_minor), automatic=False, actor=actor, at=at)
    if finding not in _MATCHED:
        raise DoesNotMatch(finding)
    line.finding = finding
    audit.record(session, actor=actor, at=at, subject=line, verb="match", after={"reference": references[0]})
    session.flush()
    return views(session, lines=[line])[0]


def refund_line(session: Session, *, line_id: uuid.UUID, reason: str, actor: Actor, at: datetime) -> PaymentOrder:
    """Propose to send back what is open of an incoming line, to the account it came from; then nothing is open.

    Raises `NotFound`, and `NothingToMatch` when nothing is left.
    """
    line = _lock_line(session, line_id)
    open_minor = _open(session, [line])[line.id]
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


def _lock_line(session: Session, line_id: uuid.UUID) -> StatementLine:
    line = session.scalars(
        select(StatementLine)
        .where(StatementLine.id == line_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if line is None:
        raise NotFound("statement line", line_id)
    return line


def _is_known(session: Session, reference: str) -> bool:
    kind = kind_of(reference)
    if kind is ReferenceKind.DEPOSIT:
        return auctions.registration_by_reference(session, reference) is not None
    if kind is ReferenceKind.DEAL:
        return session.scalars(select(Deal.id).where(Deal.reference == reference)).first() is not None
    return payments.order_by_reference(session, reference) is not None


def _match(
    session: Session,
    line: StatementLine,
    reference: str,
    amount_minor: int,
    *,
    automatic: bool,
    actor: Actor,
    at: datetime,
) -> Finding:
    """Match `amount_minor` (above zero) of a line with a known reference of its direction; return the finding."""
    kind = kind_of(reference)
    if kind is ReferenceKind.PAYMENT_ORDER:
        return _match_order(session, line, reference, amount_minor, automatic=automatic, actor=actor, at=at)
    if kind is ReferenceKind.DEAL:
        return _match_deal(session, line, reference, amount_minor, automatic=automatic, actor=actor, at=at)
    return match_receipt(
        session,
        match=_of_line(line, automatic=automatic),
        received=Money(amount_minor, line.currency),
        reference=reference,
        receipt=line,
        actor=actor,
        at=at,
    )


def match_receipt(
    session: Session,
    *,
    match: Match,
    received: Money,
    reference: str,
    receipt: StatementLine | WebhookEvent,
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
        is_open=registration.state.value in _OPEN_REGISTRATIONS
        and not deposits.is_spent(session, registration_id=registration.id),
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
    line: StatementLine,
    reference: str,
    amount_minor: int,
    *,
    automatic: bool,
    actor: Actor,
    at: datetime,
) -> Finding:
    taken = deals.receive_payment(
        session,
        reference=reference,
        statement_line_id=line.id,
        amount_minor=amount_minor,
        currency=line.currency,
        value_on=line.value_on,
        actor=actor,
        at=at,
    )
    rest = ledger.credit(session, books.unapplied(line.id), currency=line.currency)
    if not taken or rest == amount_minor:
        return Finding.DEAL_REFUSED
    match = _of_line(line, automatic=automatic)
    _add(session, match, reference, Money(amount_minor - rest, line.currency), actor=actor, at=at)
    return Finding.OVERPAYMENT if rest else Finding.DEAL


def _match_order(
    session: Session,
    line: StatementLine,
    reference: str,
    amount_minor: int,
    *,
    automatic: bool,
    actor: Actor,
    at: datetime,
) -> Finding:
    order = payments.order_by_reference(session, reference, for_update=True)
    assert order is not None
    paid = Money(amount_minor, line.currency)
    finding = match_order(paid, ordered=order.amount, state=order.state)
    if finding is Finding.ORDER:
        payments.settle_order(session, order=order, line_id=line.id, value_on=line.value_on, actor=actor, at=at)
        match = _of_line(line, automatic=automatic)
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
    match.id = db.new_id()
    match.reference = reference
    match.amount_minor, match.currency = amount.minor, amount.currency
    match.matched_by, match.matched_at = actor.name, at
    session.add(match)
    session.flush()


def _open(session: Session, lines: Sequence[StatementLine]) -> Mapping[uuid.UUID, int]:
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
    """Return lines with what is open of them and their matches, in the order given."""
    amounts = _open(session, lines)
    matches: dict[uuid.UUID | None, list[Match]] = {}
    ids = [line.id for line in lines]
    for match in session.scalars(select(Match).where(Match.line_id.in_(ids)).order_by(Match.id)):
        matches.setdefault(match.line_id, []).append(match)
    return [LineView(line, Money(amounts[line.id], line.currency), matches.get(line.id, [])) for line in lines]


def list_lines(
    session: Session,
    *,
    statement_id: uuid.UUID | None,
    only_open: bool,
    cursor: str | None,
    limit: int,
) -> db.Page[LineView]:
    """Return a page of statement lines, newest first; `only_open` leaves those of which something is not matched."""
    query = select(StatementLine)
    if statement_id is not None:
        query = query.where(StatementLine.statement_id == statement_id)
    if only_open:
        line_id = cast(StatementLine.id, Text)
        for_line = Account.key.in_([literal("unapplied:") + line_id, literal("unexplained:") + line_id])
        total = (
            select(func.coalesce(func.sum(Posting.amount_minor), 0))
            .join(Account, Account.id == Posting.account_id)
            .where(for_line)
            .correlate(StatementLine)
            .scalar_subquery()
        )
        query = query.where(total != 0)
    page: db.Page[StatementLine] = db.page(session, query, key_column=StatementLine.id, cursor=cursor, limit=limit)
    return db.Page(views(session, lines=page.items), page.next)

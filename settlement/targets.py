"""What money may be for, loaded for many references at once: deposits, deals and payment orders as values.

A constant number of queries however many references; what was loaded under the locks of `lock_deposits` is decided
on in memory by `settlement.matching_run`.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, String, Uuid, and_, any_, bindparam, func, select
from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace.clock import local_date
from marketplace.parties import service as parties
from settlement import deposits, ledger, receipt_keys
from settlement.bank_models import MatchReversal
from settlement.closing_models import Adjustment
from settlement.deal_models import Deal
from settlement.domain import ledger as books
from settlement.domain.adjustments import AdjustmentState
from settlement.domain.deal import OPEN_FOR_PAYMENT, ZONE
from settlement.domain.ladder import OpenItem
from settlement.domain.names import is_third_party, plain_account, plain_name
from settlement.domain.orders import GONE, PaymentOrderState, PaymentPurpose
from settlement.domain.references import ReferenceKind, kind_of
from settlement.models import Account, BankAccount, Deposit, Entry, Match, PaymentOrder, Posting
from settlement.receipt_keys import Keys

_OPEN_REGISTRATIONS = frozenset({"applied", "approved"})
_NO_KEYS = Keys()


@dataclass(frozen=True, slots=True)
class Payers:
    """Who pays for an organisation: its names and accounts as registered, and whom a person once confirmed."""

    names: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    confirmed: frozenset[str] = frozenset()

    def is_third_party(self, name: str, account: str) -> bool:
        """Say whether a payer differs from the registered one and nobody has confirmed it."""
        if payer_key(name, account) in self.confirmed:
            return False
        return is_third_party(name, account, names=self.names, accounts=self.accounts)


@dataclass(slots=True)
class Target:
    """Something that a reference names. `held_minor` counts up while lines are decided on in memory.

    `tail_minor`: the cents above `required_minor` that a notice of a deposit asks for.
    """

    reference: str
    id: uuid.UUID
    currency: str
    organisation_id: uuid.UUID | None
    required_minor: int
    held_minor: int
    is_open: bool
    tail_minor: int = 0
    due_on: date | None = None
    payee_name: str = ""
    payee_account: str = ""
    deposit_id: uuid.UUID | None = None
    payers: Payers = field(default_factory=Payers)

    @property
    def kind(self) -> ReferenceKind:
        """What it is."""
        return kind_of(self.reference)

    @property
    def open_minor(self) -> int:
        """What is still missing, zero when nothing is awaited."""
        return max(self.required_minor - self.held_minor, 0) if self.is_open else 0


def payer_key(name: str, account: str) -> str:
    """What a confirmed payer is remembered by: its account, else its name; never nothing."""
    number = plain_account(account)
    return f"account:{number}" if number else f"name:{plain_name(name) or '?'}"


def load(session: Session, references: Collection[str]) -> dict[str, Target]:
    """Return what references name; unknown ones, and those of notices (`receipt_keys.named_by`), are left out.

    Adjustments have references of the same form as notices, of their own.
    """
    wanted: dict[ReferenceKind, set[str]] = {kind: set() for kind in ReferenceKind}
    for reference in references:
        wanted[kind_of(reference)].add(reference)
    found: list[Target] = []
    if wanted[ReferenceKind.DEPOSIT]:
        found += _deposits(session, auctions.registrations_by_reference(session, wanted[ReferenceKind.DEPOSIT]))
    if wanted[ReferenceKind.DEAL]:
        found += _deals(session, Deal.reference == _texts(wanted[ReferenceKind.DEAL]))
    if wanted[ReferenceKind.PAYMENT_ORDER]:
        found += _orders(session, PaymentOrder.reference == _texts(wanted[ReferenceKind.PAYMENT_ORDER]))
    if wanted[ReferenceKind.NOTICE]:
        found += _adjustments(session, Adjustment.reference == _texts(wanted[ReferenceKind.NOTICE]))
    return _with_payers(session, found)


def load_open(session: Session) -> dict[str, Target]:
    """Return everything that waits for money or for the bank's confirmation."""
    found = [
        *_deposits(session, auctions.registrations_awaiting_deposit(session)),
        *_deals(session, Deal.state.in_(OPEN_FOR_PAYMENT)),
        *_orders(session, PaymentOrder.state == PaymentOrderState.SENT),
        *_adjustments(session, and_(Adjustment.state == AdjustmentState.APPROVED, Adjustment.reference.is_not(None))),
    ]
    return _with_payers(session, [target for target in found if target.open_minor])


def lock_deposits(session: Session, targets: Iterable[Target], *, at: datetime) -> None:
    """Hold the accounts of deposits until the end of the transaction, in one order, and read anew what they hold."""
    mine = {books.deposits(target.id): target for target in targets if target.kind is ReferenceKind.DEPOSIT}
    if not mine:
        return
    ids = ledger.open_accounts(session, {(key, target.currency) for key, target in mine.items()}, at=at)
    locked = select(Account.id).where(Account.id == _ids(ids.values())).order_by(Account.id)
    session.execute(locked.with_for_update(key_share=True)).all()
    held = _held(session, mine)
    spent = _spent(session, {target.id for target in mine.values()})
    for key, target in mine.items():
        target.held_minor = held.get((key, target.currency), 0)
        target.is_open = target.is_open and target.id not in spent


def open_items(targets: Iterable[Target], keys: Keys = _NO_KEYS) -> list[OpenItem]:
    """Return targets as the ladder sees them, with the keys that were given out for them; closed ones are left out."""
    return [
        OpenItem(
            reference=target.reference,
            open_minor=target.open_minor,
            currency=target.currency,
            incoming=target.kind is not ReferenceKind.PAYMENT_ORDER,
            names=tuple(sorted(target.payers.names | ({target.payee_name} if target.payee_name else set()))),
            accounts=_item_accounts(target),
            due_on=target.due_on,
            tails=keys.tails.get(target.reference, ()),
            sub_account=keys.sub_accounts.get(target.reference, ""),
        )
        for target in targets
        if target.open_minor
    ]


def _item_accounts(target: Target) -> frozenset[str]:
    confirmed = {key.partition(":")[2] for key in target.payers.confirmed if key.startswith("account:")}
    payee = {plain_account(target.payee_account)} if target.payee_account else set()
    return target.payers.accounts | confirmed | payee


def _texts(values: Collection[str]) -> Any:
    return any_(bindparam(None, list(values), ARRAY(String)))


def _ids(values: Iterable[uuid.UUID]) -> Any:
    return any_(bindparam(None, list(values), ARRAY(Uuid)))


def _deposits(session: Session, registrations: Sequence[auctions.Registration]) -> list[Target]:
    keys = {books.deposits(row.id): row for row in registrations}
    held = _held(session, keys)
    spent = _spent(session, {row.id for row in registrations})
    tails = receipt_keys.tails_of(session, [row.reference for row in registrations])
    made = select(Deposit.registration_id, Deposit.id).where(
        Deposit.registration_id == _ids(row.id for row in registrations)
    )
    known: dict[uuid.UUID, uuid.UUID] = {row[0]: row[1] for row in session.execute(made)}
    return [
        Target(
            reference=row.reference,
            id=row.id,
            currency=row.currency,
            organisation_id=row.organisation_id,
            required_minor=row.deposit_minor,
            held_minor=held.get((key, row.currency), 0),
            is_open=row.state.value in _OPEN_REGISTRATIONS and row.id not in spent,
            tail_minor=tails.get(row.reference, 0),
            due_on=local_date(row.applied_at, ZONE),
            deposit_id=known.get(row.id),
        )
        for key, row in keys.items()
    ]


def _deals(session: Session, condition: ColumnElement[bool]) -> list[Target]:
    return [
        Target(
            reference=deal.reference,
            id=deal.id,
            currency=deal.currency,
            organisation_id=deal.buyer_organisation_id,
            required_minor=deal.due.minor,
            held_minor=0,
            is_open=deal.state in OPEN_FOR_PAYMENT,
            due_on=deal.due_on,
        )
        for deal in session.scalars(select(Deal).where(condition))
    ]


def _adjustments(session: Session, condition: ColumnElement[bool]) -> list[Target]:
    """What buyer or seller pays after a closing, whichever owes it."""
    rows = session.execute(
        select(Adjustment, Deal.buyer_organisation_id, Deal.seller_organisation_id)
        .join(Deal, Deal.id == Adjustment.deal_id)
        .where(condition)
    )
    return [
        Target(
            reference=row.reference or "",
            id=row.id,
            currency=row.currency,
            organisation_id=seller if row.amount_minor > 0 else buyer,
            required_minor=abs(row.amount_minor),
            held_minor=abs(row.covered_minor),
            is_open=row.state is AdjustmentState.APPROVED,
            due_on=row.value_on,
        )
        for row, buyer, seller in rows
    ]


def _orders(session: Session, condition: ColumnElement[bool]) -> list[Target]:
    return [
        Target(
            reference=order.reference,
            id=order.id,
            currency=order.currency,
            organisation_id=None,
            required_minor=order.amount_minor,
            held_minor=0,
            is_open=order.state is PaymentOrderState.SENT,
            due_on=local_date(order.sent_at, ZONE) if order.sent_at is not None else None,
            payee_name=order.payee_name,
            payee_account=order.payee_account,
        )
        for order in session.scalars(select(PaymentOrder).where(condition))
    ]


def _held(session: Session, keys: Collection[str]) -> dict[tuple[str, str], int]:
    """What is held on each account key, credit +; one query."""
    rows = session.execute(
        select(Account.key, Account.currency, func.sum(Posting.amount_minor))
        .join(Posting, Posting.account_id == Account.id)
        .where(Account.key == _texts(keys))
        .group_by(Account.key, Account.currency)
    )
    return {(key, currency): -int(total) for key, currency, total in rows}


def _spent(session: Session, registration_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Registrations whose deposit was released or applied (`deposits.is_spent` for many)."""
    refunded = session.scalars(
        select(PaymentOrder.registration_id).where(
            PaymentOrder.registration_id == _ids(registration_ids),
            PaymentOrder.purpose == PaymentPurpose.DEPOSIT_REFUND,
            PaymentOrder.state.not_in(GONE),
        )
    )
    spent = {one for one in refunded if one is not None}
    by_key = {books.deposits(one): one for one in registration_ids}
    applied = session.scalars(
        select(Account.key)
        .join(Posting, Posting.account_id == Account.id)
        .join(Entry, Entry.id == Posting.entry_id)
        .where(Account.key == _texts(by_key), Posting.amount_minor > 0, Entry.source_kind.in_(deposits.SPENT_BY))
    )
    return spent | {by_key[key] for key in applied}


def _with_payers(session: Session, targets: list[Target]) -> dict[str, Target]:
    organisations = {target.organisation_id for target in targets if target.organisation_id is not None}
    payers = load_payers(session, organisations)
    for target in targets:
        if target.organisation_id is not None:
            target.payers = payers[target.organisation_id]
    return {target.reference: target for target in targets}


def load_payers(session: Session, organisation_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Payers]:
    """Return who pays for each organisation. Learned only from what a person matched and nobody took back."""
    names = {one: {name} for one, name in parties.organisation_names(session, set(organisation_ids)).items()}
    accounts: dict[uuid.UUID, set[str]] = {one: set() for one in organisation_ids}
    confirmed: dict[uuid.UUID, set[str]] = {one: set() for one in organisation_ids}
    registered = select(BankAccount).where(BankAccount.organisation_id == _ids(organisation_ids))
    for row in session.scalars(registered):
        names[row.organisation_id].add(row.holder)
        accounts[row.organisation_id].add(plain_account(row.number))
    pairs = (
        select(Deposit.organisation_id, Deal.buyer_organisation_id, Match.payer_name, Match.payer_account)
        .outerjoin(Deposit, Deposit.id == Match.deposit_id)
        .outerjoin(Deal, Deal.reference == Match.reference)
        .where(
            Match.automatic.is_(False),
            Match.id.not_in(select(MatchReversal.match_id)),
            func.coalesce(Deposit.organisation_id, Deal.buyer_organisation_id) == _ids(organisation_ids),
        )
    )
    for depositor, buyer, name, account in session.execute(pairs):
        if name or account:
            confirmed[depositor or buyer].add(payer_key(name, account))
    return {
        one: Payers(frozenset(names[one]), frozenset(accounts[one]), frozenset(confirmed[one]))
        for one in organisation_ids
    }

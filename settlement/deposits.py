"""Deposits: received, held in the books, then applied to the deal or released to whoever paid.

How much is held is the balance of `deposits:<registration>` and nothing else. A registration is covered from the
moment the full deposit is held; auctions is told in the same transaction.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace import db
from marketplace.actor import Actor
from marketplace.money import Money
from settlement import bank_accounts, card_returns, deposit_figures, ledger, payments
from settlement.bank_models import MatchReversal
from settlement.card_models import CardDispute, CardPayment, CardRefund
from settlement.domain import cards
from settlement.domain import ledger as books
from settlement.domain.deposit_life import DepositFigures, DepositStage, stage
from settlement.domain.orders import GONE, Payer, PaymentPurpose, Share, refund_shares
from settlement.models import Account, Deposit, Entry, Match, PaymentOrder, Posting

SPENT_BY: Final = ("deposit.applied", "deposit.forfeited")
"""Entries after which money that comes for a deposit is not its own any more."""


@dataclass(frozen=True, slots=True)
class DepositStatus:
    """A deposit as people see it: received = held + applied + forfeited + refunding + released + disputed.

    `held` is what the books say now, `refunding` what is on its way back, `disputed` what its cardholder contests.
    """

    id: uuid.UUID
    registration_id: uuid.UUID
    organisation_id: uuid.UUID
    reference: str
    required: Money
    stage: DepositStage
    received: Money
    held: Money
    applied: Money
    forfeited: Money
    refunding: Money
    released: Money
    disputed: Money
    covered: bool
    created_at: datetime


def held(session: Session, *, registration_id: uuid.UUID, currency: str) -> int:
    """Return the minor units held for a registration now."""
    return ledger.credit(session, books.deposits(registration_id), currency=currency)


def open_deposit(session: Session, *, registration_id: uuid.UUID, at: datetime) -> Deposit:
    """Return the deposit of a registration, made when its first money comes, and hold its account's row."""
    registration = auctions.require_registration(session, registration_id)
    ledger.lock(session, books.deposits(registration_id), currency=registration.currency, at=at)
    found = session.scalars(select(Deposit).where(Deposit.registration_id == registration_id)).one_or_none()
    if found is None:
        found = Deposit(
            id=db.new_id(),
            registration_id=registration.id,
            organisation_id=registration.organisation_id,
            reference=registration.reference,
            required_minor=registration.deposit_minor,
            currency=registration.currency,
            created_at=at,
        )
        session.add(found)
        session.flush()
    return found


def is_spent(session: Session, *, registration_id: uuid.UUID) -> bool:
    """Say whether a deposit was released, applied or forfeited: what comes for it later is not its own any more."""
    account = books.deposits(registration_id)
    applied = session.scalars(
        select(Entry.id)
        .join(Posting, Posting.entry_id == Entry.id)
        .join(Account, Account.id == Posting.account_id)
        .where(Account.key == account, Entry.source_kind.in_(SPENT_BY))
        .limit(1)
    ).first()
    return applied is not None or bool(_live_refunds(session, registration_id))


def hold(
    session: Session,
    *,
    deposit: Deposit,
    amount_minor: int,
    from_account: str,
    source_kind: str,
    source_id: uuid.UUID,
    value_on: date,
    actor: Actor,
    at: datetime,
) -> None:
    """Move received money to the deposit and cover the registration when the full deposit is held.

    The caller holds the account's row (`open_deposit`) and decided by `match_deposit`; the same source twice is once.
    """
    draft = hold_draft(
        registration_id=deposit.registration_id,
        reference=deposit.reference,
        received=Money(amount_minor, deposit.currency),
        from_account=from_account,
        source_kind=source_kind,
        source_id=source_id,
        value_on=value_on,
    )
    ledger.post_all(session, [draft], actor=actor, at=at)
    if held(session, registration_id=deposit.registration_id, currency=deposit.currency) >= deposit.required_minor:
        auctions.cover_registration(session, registration_id=deposit.registration_id, actor=actor, at=at)
        card_returns.give_up(session, registration_ids=[deposit.registration_id], at=at)


def hold_draft(
    *,
    registration_id: uuid.UUID,
    reference: str,
    received: Money,
    from_account: str,
    source_kind: str,
    source_id: uuid.UUID,
    value_on: date,
) -> ledger.Draft:
    """Return the entry that moves received money (above zero) to a deposit."""
    return ledger.Draft(
        source_kind=source_kind,
        source_id=source_id,
        description=f"Deposit {reference}",
        lines=books.transfer(debit=from_account, credit=books.deposits(registration_id), amount_minor=received.minor),
        currency=received.currency,
        value_on=value_on,
    )


def apply(
    session: Session, *, registration_id: uuid.UUID, deal_id: uuid.UUID, amount_minor: int, actor: Actor, at: datetime
) -> Entry:
    """Count `amount_minor` of the winner's deposit toward the price of its deal; once for each deal.

    Debits the deposit, credits `receivable:<deal>`. Raises `AccountOverdrawn` when less is held.
    """
    deposit = open_deposit(session, registration_id=registration_id, at=at)
    return ledger.post(
        session,
        source_kind="deposit.applied",
        source_id=deal_id,
        description=f"Deposit {deposit.reference} counts toward the price",
        lines=books.transfer(
            debit=books.deposits(registration_id), credit=books.receivable(deal_id), amount_minor=amount_minor
        ),
        currency=deposit.currency,
        value_on=at.date(),
        actor=actor,
        at=at,
    )


def release(
    session: Session, *, registration_id: uuid.UUID, reason: str, actor: Actor, at: datetime
) -> list[PaymentOrder]:
    """Give back everything that is held for a registration, to each account that paid its own part (原路退回).

    Returns the refunds that are under way or paid, one payment order for each payer; when nothing is held, those of
    before: twice, or two at once, is one effect. The registration is uncovered.
    """
    registration = auctions.require_registration(session, registration_id)
    ledger.lock(session, books.deposits(registration_id), currency=registration.currency, at=at)
    amount = held(session, registration_id=registration_id, currency=registration.currency)
    if amount:
        deposit = open_deposit(session, registration_id=registration_id, at=at)
        _refund(session, deposit, amount, reason=reason, actor=actor, at=at)
        auctions.uncover_registration(session, registration_id=registration_id, actor=actor, at=at)
        card_returns.give_up(session, registration_ids=[registration_id], at=at)
    return _live_refunds(session, registration_id)


def _refund(session: Session, deposit: Deposit, amount_minor: int, *, reason: str, actor: Actor, at: datetime) -> None:
    undone = select(MatchReversal.match_id)
    receipts = session.scalars(
        select(Match).where(Match.deposit_id == deposit.id, Match.id.not_in(undone)).order_by(Match.id)
    ).all()
    rerouted = _rerouted(session, deposit)
    paid = [Share(_payer_of(row, rerouted), row.amount_minor) for row in receipts]
    returned = [
        Share(Payer(order.payee_name, order.payee_account, order.rail), order.amount_minor)
        for order in _live_refunds(session, deposit.registration_id)
    ] + _disputed(session, receipts, rerouted)
    for share in refund_shares(paid, returned, held_minor=amount_minor):
        payments.propose_order(
            session,
            payee_organisation_id=deposit.organisation_id,
            purpose=PaymentPurpose.DEPOSIT_REFUND,
            amount=share.amount_minor,
            currency=deposit.currency,
            reference=f"{deposit.reference} {reason}"[:120],
            source_kind="deposit.released",
            source_id=db.new_id(),
            account=books.deposits(deposit.registration_id),
            payer=share.payer,
            registration_id=deposit.registration_id,
            actor=actor,
            at=at,
        )


def _payer_of(match: Match, rerouted: Mapping[str, Payer]) -> Payer:
    return rerouted.get(match.payer_account) or Payer(match.payer_name, match.payer_account, match.rail)


def _rerouted(session: Session, deposit: Deposit) -> dict[str, Payer]:
    """Card payments whose card took no refund: what is left of them goes to the bank account of whoever deposited."""
    failed = session.scalars(
        select(CardPayment.intent_id)
        .join(CardRefund, CardRefund.card_payment_id == CardPayment.id)
        .where(CardPayment.registration_id == deposit.registration_id, CardRefund.status.in_(cards.FAILED))
    )
    payer = bank_accounts.payee_of(session, deposit.organisation_id, currency=deposit.currency)
    return {intent: payer for intent in failed if intent is not None}


def _disputed(session: Session, receipts: Sequence[Match], rerouted: Mapping[str, Payer]) -> list[Share]:
    """What disputes hold of the card payments among the receipts, or have taken for good."""
    by_payment = {match.card_payment_id: match for match in receipts if match.card_payment_id is not None}
    found = session.execute(
        select(CardDispute.card_payment_id, CardDispute.deposit_minor).where(
            CardDispute.card_payment_id.in_(by_payment), CardDispute.deposit_minor > 0
        )
    )
    return [Share(_payer_of(by_payment[payment_id], rerouted), minor) for payment_id, minor in found]


def _live_refunds(session: Session, registration_id: uuid.UUID) -> list[PaymentOrder]:
    return list(
        session.scalars(
            select(PaymentOrder)
            .where(
                PaymentOrder.registration_id == registration_id,
                PaymentOrder.purpose == PaymentPurpose.DEPOSIT_REFUND,
                PaymentOrder.state.not_in(GONE),
            )
            .order_by(PaymentOrder.id)
        )
    )


def list_deposits(session: Session, *, cursor: str | None, limit: int, actor: Actor) -> db.Page[DepositStatus]:
    """Return a page of deposits, newest first: all for operator and auditor, its own for a buyer."""
    query = select(Deposit)
    if not actor.sees_everything:
        query = query.where(Deposit.organisation_id == actor.organisation_id)
    rows: db.Page[Deposit] = db.page(session, query, key_column=Deposit.id, cursor=cursor, limit=limit)
    return db.Page(_statuses(session, rows.items), rows.next)


def _statuses(session: Session, rows: Sequence[Deposit]) -> list[DepositStatus]:
    found = deposit_figures.figures(session, [row.registration_id for row in rows])
    statuses = []
    for row in rows:
        figures = found[row.registration_id]
        amounts = {name: Money(getattr(figures, name), row.currency) for name in DepositFigures.__dataclass_fields__}
        statuses.append(
            DepositStatus(
                id=row.id,
                registration_id=row.registration_id,
                organisation_id=row.organisation_id,
                reference=row.reference,
                stage=stage(figures, required_minor=row.required_minor),
                required=row.required,
                covered=figures.held >= row.required_minor,
                created_at=row.created_at,
                **amounts,
            )
        )
    return statuses

"""Payment orders: proposed with the money set aside, approved by another person, sent, settled by the bank's own line.

From the proposal on the amount lies on `in_payment:<order>`, so it cannot be promised twice; a cancelled order puts it
back where it came from.
"""

import uuid
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace import audit, db, errands, outbox
from marketplace.actor import SYSTEM, Actor
from marketplace.errors import NotFound
from marketplace.money import Money
from settlement import bank_accounts, client_money, ledger
from settlement.domain import cards
from settlement.domain import ledger as books
from settlement.domain.orders import (
    GONE,
    PAYMENT_ORDER,
    CarriedOutByWorker,
    Payer,
    PaymentOrderState,
    PaymentPurpose,
    Rail,
    check_approval,
    needs_two_approvals,
)
from settlement.domain.references import ReferenceKind, new_reference
from settlement.events import PaymentOrderFailed, PaymentOrderSettled
from settlement.models import Entry, PaymentLimit, PaymentOrder


def propose_order(
    session: Session,
    *,
    payee_organisation_id: uuid.UUID | None,
    purpose: PaymentPurpose,
    amount: int,
    currency: str,
    reference: str,
    source_kind: str,
    source_id: uuid.UUID,
    actor: Actor,
    at: datetime,
    account: str | None = None,
    payer: Payer | None = None,
    registration_id: uuid.UUID | None = None,
) -> PaymentOrder:
    """Ask for a payment of `amount` minor units (above zero) and set it aside; the same source again gives that order.

    `account` is the account of the books that owes it, `payable:<payee>` unless named; what it does not hold cannot
    be promised (`AccountOverdrawn`). `reference` is what the payee reads on its statement beside our own
    `PO-XXXXXXXX`. The money goes to `payer` where given (a refund goes back), else to the payee's newest bank account;
    without either the order waits for one. A cancelled order makes way for a new one of the same source.
    """
    existing = _live_order(session, source_kind, source_id)
    if existing is not None:
        return existing
    if account is None:
        if payee_organisation_id is None:
            raise ValueError("without a payee the account that owes the money is named")
        account = books.payable(payee_organisation_id)
    ledger.lock(session, account, currency=currency, at=at)
    existing = _live_order(session, source_kind, source_id)
    if existing is not None:
        return existing
    payee = payer or bank_accounts.payee_of(session, payee_organisation_id, currency=currency)
    order = PaymentOrder(
        id=db.new_id(),
        reference=new_reference(ReferenceKind.PAYMENT_ORDER),
        state=PAYMENT_ORDER.initial,
        purpose=purpose,
        rail=payee.rail,
        payee_organisation_id=payee_organisation_id,
        payee_name=payee.name,
        payee_account=payee.account,
        amount_minor=amount,
        currency=currency,
        remittance=reference,
        source_kind=source_kind,
        source_id=source_id,
        source_account=account,
        registration_id=registration_id,
        proposed_by_id=_person(actor),
        proposed_by=actor.name,
        created_at=at,
    )
    session.add(order)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=order, verb="propose", after={"amount": str(order.amount)})
    _set_aside(session, order, actor=actor, at=at)
    return order


def _person(actor: Actor) -> uuid.UUID | None:
    return None if actor is SYSTEM else actor.user_id or actor.api_key_id


def _live_order(session: Session, source_kind: str, source_id: uuid.UUID) -> PaymentOrder | None:
    return session.scalars(
        select(PaymentOrder).where(
            PaymentOrder.source_kind == source_kind,
            PaymentOrder.source_id == source_id,
            PaymentOrder.state.not_in(GONE),
        )
    ).one_or_none()


def _set_aside(session: Session, order: PaymentOrder, *, actor: Actor, at: datetime) -> None:
    ledger.post(
        session,
        source_kind="payment_order.proposed",
        source_id=order.id,
        description=f"{order.reference} set aside",
        lines=books.transfer(
            debit=order.source_account, credit=books.in_payment(order.id), amount_minor=order.amount_minor
        ),
        currency=order.currency,
        value_on=at.date(),
        actor=actor,
        at=at,
    )


def require_order(session: Session, order_id: uuid.UUID, *, actor: Actor, for_update: bool = False) -> PaymentOrder:
    """Return an order that the actor may see (operator, auditor, its payee); raise `NotFound`."""
    query = select(PaymentOrder).where(PaymentOrder.id == order_id)
    if for_update:
        query = query.with_for_update().execution_options(populate_existing=True)
    order = session.scalars(query).one_or_none()
    if order is None or not (actor.sees_everything or order.payee_organisation_id == actor.organisation_id):
        raise NotFound("payment order", order_id)
    return order


def order_by_reference(session: Session, reference: str, *, for_update: bool = False) -> PaymentOrder | None:
    """Return the order with a reference, None when there is none."""
    query = select(PaymentOrder).where(PaymentOrder.reference == reference)
    if for_update:
        query = query.with_for_update().execution_options(populate_existing=True)
    return session.scalars(query).one_or_none()


def orders_of_source(session: Session, *, source_kind: str, source_id: uuid.UUID) -> list[PaymentOrder]:
    """Return every order that was proposed for a source, cancelled ones too, oldest first."""
    return list(
        session.scalars(
            select(PaymentOrder)
            .where(PaymentOrder.source_kind == source_kind, PaymentOrder.source_id == source_id)
            .order_by(PaymentOrder.id)
        )
    )


def list_orders(
    session: Session, *, state: PaymentOrderState | None, cursor: str | None, limit: int, actor: Actor
) -> db.Page[PaymentOrder]:
    """Return a page of the orders that the actor may see, newest first."""
    query = select(PaymentOrder)
    if not actor.sees_everything:
        query = query.where(PaymentOrder.payee_organisation_id == actor.organisation_id)
    if state is not None:
        query = query.where(PaymentOrder.state == state)
    return db.page(session, query, key_column=PaymentOrder.id, cursor=cursor, limit=limit)


def approve_order(session: Session, *, order_id: uuid.UUID, actor: Actor, at: datetime) -> PaymentOrder:
    """Approve by a person other than the proposer; above the limit of the currency two persons have been at it.

    An order that the clockwork proposed above the limit waits, still proposed, for a second approver after the first.
    Raises `SamePerson`, `PersonNeeded`, `IllegalMove`, `ClientMoneyMissing` while the check of its currency fails. An
    order without a payee account takes the one that the payee has given meanwhile. One on the rail `stripe` is carried
    out by a worker from here on.
    """
    order = require_order(session, order_id, actor=actor, for_update=True)
    PAYMENT_ORDER.move(order.state, "approve")
    check_approval(proposed_by_id=order.proposed_by_id, approver_id=actor.user_id)
    check_approval(proposed_by_id=order.first_approved_by_id, approver_id=actor.user_id)
    client_money.require_passed(session, currency=order.currency)
    limit = limit_of(session, currency=order.currency)
    if order.first_approved_by_id is None and needs_two_approvals(
        order.amount_minor, limit_minor=limit, proposed_by_id=order.proposed_by_id
    ):
        order.first_approved_by_id, order.first_approved_by = actor.user_id, actor.name
        session.flush()
        audit.record(session, actor=actor, at=at, subject=order, verb="approve_first")
        return order
    audit.transition(session, order, "approve", lifecycle=PAYMENT_ORDER, actor=actor, at=at)
    order.approved_by_id, order.approved_by, order.approved_at = actor.user_id, actor.name, at
    if not order.payee_account and order.payee_organisation_id is not None:
        payee = bank_accounts.payee_of(session, order.payee_organisation_id, currency=order.currency)
        order.payee_name, order.payee_account = payee.name, payee.account
    session.flush()
    if order.rail is Rail.STRIPE:
        errands.ask(session, kind=cards.MAKE_REFUND, subject=str(order.id), at=at)
    return order


def approve_return(session: Session, *, order: PaymentOrder, reason: str, at: datetime) -> None:
    """Approve what leaves nobody a choice: card money that no deposit takes, back to its card (`cards.RETURN`).

    Above the limit of the currency it waits for two persons as any other; an order that is further already stays.
    """
    limit = limit_of(session, currency=order.currency)
    waits = needs_two_approvals(order.amount_minor, limit_minor=limit, proposed_by_id=order.proposed_by_id)
    if waits or order.state is not PaymentOrderState.PROPOSED:
        return
    audit.transition(session, order, "approve", lifecycle=PAYMENT_ORDER, actor=SYSTEM, at=at, reason=reason)
    order.approved_by, order.approved_at = SYSTEM.name, at
    session.flush()
    errands.ask(session, kind=cards.MAKE_REFUND, subject=str(order.id), at=at)


def limit_of(session: Session, *, currency: str) -> int | None:
    """Return up to how many minor units one approval is enough, None where nobody set a limit."""
    newest = select(PaymentLimit.two_approvals_above_minor).where(PaymentLimit.currency == currency)
    return session.scalars(newest.order_by(PaymentLimit.id.desc()).limit(1)).first()


def set_limit(session: Session, *, limit: Money, actor: Actor, at: datetime) -> PaymentLimit:
    """Say above what amount two persons approve, from now on; zero or more."""
    row = PaymentLimit(
        id=db.new_id(),
        currency=limit.currency,
        two_approvals_above_minor=limit.minor,
        created_at=at,
        created_by=actor.name,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="set", after={"limit": str(row.limit)})
    return row


def list_limits(session: Session, *, cursor: str | None, limit: int) -> db.Page[PaymentLimit]:
    """Return a page of the limits that were set, newest first; the newest of a currency counts."""
    return db.page(session, select(PaymentLimit), key_column=PaymentLimit.id, cursor=cursor, limit=limit)


def send_order(session: Session, *, order_id: uuid.UUID, actor: Actor, at: datetime) -> PaymentOrder:
    """Say that the bank was told to pay; raise `IllegalMove`, `ClientMoneyMissing`, `CarriedOutByWorker`."""
    order = require_order(session, order_id, actor=actor, for_update=True)
    if order.rail is Rail.STRIPE:
        raise CarriedOutByWorker
    mark_sent(session, order=order, actor=actor, at=at)
    return order


def mark_sent(session: Session, *, order: PaymentOrder, actor: Actor, at: datetime) -> None:
    """Write down that an order, locked by the caller, is on its way; raise `IllegalMove`, `ClientMoneyMissing`."""
    client_money.require_passed(session, currency=order.currency)
    audit.transition(session, order, "send", lifecycle=PAYMENT_ORDER, actor=actor, at=at)
    order.sent_at = at
    session.flush()


def cancel_order(session: Session, *, order_id: uuid.UUID, reason: str, actor: Actor, at: datetime) -> PaymentOrder:
    """Give up an order that was not sent and put its money back where it came from; raise `IllegalMove`.

    A deposit that is held in full again covers its registration again.
    """
    order = require_order(session, order_id, actor=actor, for_update=True)
    audit.transition(session, order, "cancel", lifecycle=PAYMENT_ORDER, actor=actor, at=at, reason=reason)
    _give_back(session, order, reason=reason, actor=actor, at=at)
    return order


def fail_order(session: Session, *, order: PaymentOrder, reason: str, actor: Actor, at: datetime) -> None:
    """Write down that a sent order, locked by the caller, did not reach its payee, or came back from it after all.

    Its money is again where it came from, and another order may be proposed for it. Raises `IllegalMove`.
    """
    was_settled = order.state is PaymentOrderState.SETTLED
    audit.transition(session, order, "fail", lifecycle=PAYMENT_ORDER, actor=actor, at=at, reason=reason)
    order.settled_at = None
    if was_settled:
        settled = select(Entry.id).where(Entry.source_kind == "payment_order.settled", Entry.source_id == order.id)
        entry_id = session.execute(settled).scalar_one()
        ledger.reverse(session, entry_id=entry_id, reason=reason, value_on=at.date(), actor=actor, at=at)
    _give_back(session, order, reason=reason, actor=actor, at=at)
    outbox.publish(session, PaymentOrderFailed(payment_order_id=order.id, purpose=order.purpose.value), at=at)


def _give_back(session: Session, order: PaymentOrder, *, reason: str, actor: Actor, at: datetime) -> None:
    ledger.post(
        session,
        source_kind="payment_order.cancelled",
        source_id=order.id,
        description=f"{order.reference} cancelled: {reason}",
        lines=books.transfer(
            debit=books.in_payment(order.id), credit=order.source_account, amount_minor=order.amount_minor
        ),
        currency=order.currency,
        value_on=at.date(),
        actor=actor,
        at=at,
    )
    if order.registration_id is not None:
        cover_again(session, registration_id=order.registration_id, actor=actor, at=at)


def cover_again(session: Session, *, registration_id: uuid.UUID, actor: Actor, at: datetime) -> None:
    """Cover a registration whose deposit is held in full again; otherwise nothing happens."""
    registration = auctions.require_registration(session, registration_id)
    held_minor = ledger.credit(session, books.deposits(registration_id), currency=registration.currency)
    if held_minor >= registration.deposit_minor:
        auctions.cover_registration(session, registration_id=registration_id, actor=actor, at=at)


def settle_order(
    session: Session,
    *,
    order: PaymentOrder,
    paid_from: str,
    line_id: uuid.UUID | None = None,
    value_on: date,
    actor: Actor,
    at: datetime,
) -> None:
    """Settle a sent order, locked by the caller: the money left `paid_from`.

    That is the `unexplained` of the bank's line `line_id`, or the `card_clearing` of a refund to a card.
    """
    audit.transition(session, order, "settle", lifecycle=PAYMENT_ORDER, actor=actor, at=at)
    order.settled_at, order.settled_by_line_id = at, line_id
    ledger.post(
        session,
        source_kind="payment_order.settled",
        source_id=order.id,
        description=f"{order.reference} paid",
        lines=books.transfer(debit=books.in_payment(order.id), credit=paid_from, amount_minor=order.amount_minor),
        currency=order.currency,
        value_on=value_on,
        actor=actor,
        at=at,
    )
    settled = PaymentOrderSettled(
        payment_order_id=order.id,
        purpose=order.purpose.value,
        source_kind=order.source_kind,
        source_id=order.source_id,
        amount_minor=order.amount_minor,
        currency=order.currency,
    )
    outbox.publish(session, settled, at=at)


def unsent_orders_to(session: Session, *, payee_account: str) -> list[PaymentOrder]:
    """Lock and return the orders to a payee's account that can still be cancelled, oldest first."""
    return list(
        session.scalars(
            select(PaymentOrder)
            .where(
                PaymentOrder.payee_account == payee_account,
                PaymentOrder.state.in_((PaymentOrderState.PROPOSED, PaymentOrderState.APPROVED)),
            )
            .order_by(PaymentOrder.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )


def orders_to_send(session: Session, *, rail: Rail = Rail.WIRE) -> list[PaymentOrder]:
    """Return approved orders that the bank is yet to be told of, oldest first."""
    return list(
        session.scalars(
            select(PaymentOrder)
            .where(PaymentOrder.state == PaymentOrderState.APPROVED, PaymentOrder.rail == rail)
            .order_by(PaymentOrder.id)
        )
    )

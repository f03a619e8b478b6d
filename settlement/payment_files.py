"""Files of payment orders: pain.001 for the bank, CSV for people. Reading them changes nothing; sending is `send`."""

import csv
import io
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.actor import Actor
from marketplace.clock import format_instant
from marketplace.errors import Conflict
from marketplace.parties import service as parties
from settlement import client_money, payments
from settlement.domain.orders import PayeeAccountMissing, PaymentOrderState
from settlement.domain.pain001 import Transfer, TransferBatch, write_pain001
from settlement.models import BankStatement, PaymentOrder

CSV_MAX_ROWS = 10_000


class NothingToSend(Conflict):
    """No approved order waits for the bank."""

    code = "nothing_to_send"

    def __init__(self) -> None:
        super().__init__("No approved payment order waits to be sent by wire.")


class OurAccountUnknown(Conflict):
    """No statement has told yet which account of ours is in that currency."""

    code = "our_account_unknown"

    def __init__(self, currency: str) -> None:
        super().__init__(f"No bank statement in {currency} was taken in yet, so our own account is not known.")


def pain001(session: Session, *, actor: Actor, at: datetime) -> bytes:
    """Return the approved wire orders as pain.001, from the account that our newest statement of the currency is of.

    Raises `NothingToSend`, `PayeeAccountMissing`, `OurAccountUnknown`, `ClientMoneyMissing`.
    """
    orders = payments.orders_to_send(session)
    if not orders:
        raise NothingToSend
    for currency in sorted({order.currency for order in orders}):
        client_money.require_passed(session, currency=currency)
    missing = [order.reference for order in orders if not (order.payee_account and order.payee_name)]
    if missing:
        raise PayeeAccountMissing(missing[:20])
    batches = [
        TransferBatch(
            account=_our_account(session, currency),
            transfers=[
                Transfer(order.reference, order.amount, order.payee_name, order.payee_account, order.remittance)
                for order in orders
                if order.currency == currency
            ],
        )
        for currency in sorted({order.currency for order in orders})
    ]
    operator = parties.require_organisation(session, actor.organisation_id)
    return write_pain001(batches, message_id=f"PO{at:%Y%m%dT%H%M%S}", initiator=operator.name, at=at)


def _our_account(session: Session, currency: str) -> str:
    account = session.scalars(
        select(BankStatement.account_number)
        .where(BankStatement.currency == currency)
        .order_by(BankStatement.id.desc())
        .limit(1)
    ).first()
    if account is None:
        raise OurAccountUnknown(currency)
    return account


def orders_csv(session: Session, *, state: PaymentOrderState | None) -> bytes:
    """Return up to `CSV_MAX_ROWS` orders, newest first, as CSV in UTF-8 with a mark; formula cells are defused."""
    query = select(PaymentOrder).order_by(PaymentOrder.id.desc()).limit(CSV_MAX_ROWS)
    if state is not None:
        query = query.where(PaymentOrder.state == state)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        ["reference", "state", "purpose", "rail", "payee", "account", "amount", "currency", "remittance", "created_at"]
    )
    for order in session.scalars(query):
        cells = [
            order.reference,
            order.state.value,
            order.purpose.value,
            order.rail.value,
            order.payee_name,
            order.payee_account,
            order.amount.text,
            order.currency,
            order.remittance,
            format_instant(order.created_at),
        ]
        writer.writerow(["'" + cell if cell.startswith(("=", "+", "-", "@", "\t")) else cell for cell in cells])
    return b"\xef\xbb\xbf" + out.getvalue().encode()

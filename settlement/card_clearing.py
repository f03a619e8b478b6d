"""What is open between cards, our balance at Stripe and our bank: every clearing key is zero, or it is listed here."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.money import Money
from settlement import ledger
from settlement.card_models import CardDispute, CardPayment, CardPayout, CardRefund, StripeLine
from settlement.client_money import UNDER_WAY
from settlement.domain import cards


@dataclass(frozen=True, slots=True)
class OpenClearing:
    """An account that is not zero (debit +), and the object of Stripe that it is about."""

    account: str
    object_id: str
    balance: Money


def list_open(session: Session) -> list[OpenClearing]:
    """Return every clearing account that is not zero, in order of the account."""
    open_ = [row for name in UNDER_WAY for row in ledger.balances(session, prefix=f"{name}:") if row.balance_minor]
    if not open_:
        return []
    columns = (
        StripeLine.source, CardPayment.charge_id, CardRefund.refund_id, CardDispute.dispute_id, CardPayout.payout_id,
    )  # fmt: skip
    objects = {str(cards.clearing_id(one)): one for column in columns for one in session.scalars(select(column)) if one}
    return [OpenClearing(row.key, objects.get(row.key.partition(":")[2], ""), row.balance) for row in open_]

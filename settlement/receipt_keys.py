"""What identifies a payment besides its reference: an exact amount with a unique cent tail, or a virtual sub-account.

Given out with a payment notice; a line that carries one is matched by it (`domain.ladder`, third rung) as long as one
open thing alone has it.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, String, any_, bindparam, select
from sqlalchemy.orm import Session

from marketplace import db
from marketplace.actor import Actor
from marketplace.errors import Conflict
from marketplace.money import Money
from settlement.bank_models import ReceiptKey
from settlement.domain.names import plain_account


class SubAccountTaken(Conflict):
    """The sub-account was given out for something else."""

    code = "sub_account_taken"

    def __init__(self) -> None:
        super().__init__("This sub-account was given out for another payment.")


db.violation("uq_receipt_keys_sub_account", SubAccountTaken)


def issue_key(
    session: Session,
    *,
    reference: str,
    currency: str,
    exact: Money | None = None,
    sub_account: str = "",
    actor: Actor,
    at: datetime,
) -> ReceiptKey:
    """Say that a payment of exactly `exact`, or one to `sub_account`, is for what a reference names; twice is once.

    One of the two is given. Raises `SubAccountTaken`.
    """
    number = plain_account(sub_account) or None
    amount_minor = exact.minor if exact is not None else None
    known = session.scalars(
        select(ReceiptKey).where(
            ReceiptKey.reference == reference,
            ReceiptKey.amount_minor.is_not_distinct_from(amount_minor),
            ReceiptKey.sub_account.is_not_distinct_from(number),
        )
    ).first()
    if known is not None:
        return known
    row = ReceiptKey(
        id=db.new_id(),
        reference=reference,
        currency=currency,
        amount_minor=amount_minor,
        sub_account=number,
        created_at=at,
        created_by=actor.name,
    )
    session.add(row)
    session.flush()
    return row


def keys_for(
    session: Session, *, amounts: Collection[tuple[str, int]], sub_accounts: Collection[str]
) -> Sequence[ReceiptKey]:
    """Return the keys that (currency, minor units) or sub-accounts of lines may carry; blanks and hyphens forgiven."""
    numbers = {plain_account(number) for number in sub_accounts} - {""}
    found: list[ReceiptKey] = []
    if amounts:
        minors = any_(bindparam("minors", sorted({minor for _, minor in amounts}), ARRAY(BigInteger)))
        by_amount = session.scalars(select(ReceiptKey).where(ReceiptKey.amount_minor == minors))
        found += [row for row in by_amount if (row.currency, row.amount_minor) in amounts]
    if numbers:
        wanted = any_(bindparam("numbers", sorted(numbers), ARRAY(String)))
        found += session.scalars(select(ReceiptKey).where(ReceiptKey.sub_account == wanted))
    return found

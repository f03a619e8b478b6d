"""What identifies a payment besides the reference of its subject: that of a notice, a cent tail, a sub-account.

Given out with a payment notice (`settlement.notices`); a line that carries one is matched by it (`domain.ladder`,
third rung) as long as one open thing alone has it. Reads, but for giving out a sub-account.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, String, any_, bindparam, func, select
from sqlalchemy.orm import Session, aliased

from marketplace import db
from marketplace.actor import Actor
from marketplace.errors import Conflict
from settlement.bank_models import OwnAccount
from settlement.domain.ladder import CentTail
from settlement.domain.names import plain_account
from settlement.domain.notices import Named
from settlement.domain.references import ReferenceKind, kind_of
from settlement.notice_models import NoticeCancellation, PaymentNotice, SubAccount


class SubAccountTaken(Conflict):
    """The sub-account was given out for something else."""

    code = "sub_account_taken"

    def __init__(self) -> None:
        super().__init__("This sub-account was given out for another payment, or this payment has another one.")


db.violation("uq_sub_accounts_number_key", SubAccountTaken)
db.violation("uq_sub_accounts_reference", SubAccountTaken)


@dataclass(frozen=True, slots=True)
class Keys:
    """Cent tails and sub-accounts by the reference of what they were given out for."""

    tails: Mapping[str, tuple[CentTail, ...]] = field(default_factory=dict)
    sub_accounts: Mapping[str, str] = field(default_factory=dict)

    @property
    def references(self) -> set[str]:
        """What they are for."""
        return {*self.tails, *self.sub_accounts}


def give_sub_account(session: Session, *, reference: str, number: str, actor: Actor, at: datetime) -> SubAccount:
    """Say that whatever comes to a sub-account is for what a reference names; twice is once.

    Raises `SubAccountTaken` when either has another one.
    """
    wanted = plain_account(number)
    known = session.scalars(select(SubAccount).where(SubAccount.reference == reference)).one_or_none()
    if known is not None:
        if known.number_key != wanted:
            raise SubAccountTaken
        return known
    row = SubAccount(
        id=db.new_id(), number=number, number_key=wanted, reference=reference, created_at=at, created_by=actor.name
    )
    session.add(row)
    session.flush()
    return row


def sub_accounts_of(session: Session, references: Collection[str]) -> dict[str, str]:
    """Return the sub-account, as printed, of each reference that has one."""
    rows = session.scalars(select(SubAccount).where(SubAccount.reference == _texts(references)))
    return {row.reference: row.number for row in rows}


def named_by(session: Session, references: Collection[str]) -> dict[str, Named]:
    """Return what references of notices stand for; other and unknown references are left out.

    A notice that another one replaced keeps its meaning: the buyer may have had the older paper in hand.
    """
    wanted = [reference for reference in references if kind_of(reference) is ReferenceKind.NOTICE]
    if not wanted:
        return {}
    later = aliased(PaymentNotice)
    rows = session.execute(
        select(PaymentNotice.reference, PaymentNotice.subject, PaymentNotice.expires_on, NoticeCancellation.id)
        .outerjoin(NoticeCancellation, NoticeCancellation.notice_id == PaymentNotice.id)
        .outerjoin(later, later.replaces_id == PaymentNotice.id)
        .add_columns(later.id)
        .where(PaymentNotice.reference == _texts(wanted))
    )
    return {
        reference: Named(subject, until if cancelled is None or replaced is not None else None)
        for reference, subject, until, cancelled, replaced in rows
    }


def tails_of(session: Session, subjects: Collection[str]) -> dict[str, int]:
    """Return the largest cent tail, in minor units, that a standing notice asks for on top of each subject."""
    rows = session.execute(
        select(PaymentNotice.subject, func.max(PaymentNotice.tail_minor))
        .where(PaymentNotice.subject == _texts(subjects), PaymentNotice.tail_minor > 0, _stands())
        .group_by(PaymentNotice.subject)
    )
    return {subject: int(tail) for subject, tail in rows}


def keys_for(session: Session, *, amounts: Collection[tuple[str, int]], sub_accounts: Collection[str]) -> Keys:
    """Return the keys that (currency, minor units) or sub-accounts of lines may carry; blanks and hyphens forgiven."""
    tails: dict[str, tuple[CentTail, ...]] = {}
    if amounts:
        minors = any_(bindparam("minors", sorted({minor for _, minor in amounts}), ARRAY(BigInteger)))
        amount = PaymentNotice.asked_minor + PaymentNotice.tail_minor
        rows = session.execute(
            select(PaymentNotice, OwnAccount.number_key)
            .join(OwnAccount, OwnAccount.id == PaymentNotice.own_account_id)
            .where(amount == minors, PaymentNotice.tail_minor > 0, _stands())
        )
        for row, account in rows:
            if (row.currency, row.amount.minor) in amounts:
                tail = CentTail(account, row.amount.minor, row.expires_on)
                tails[row.subject] = (*tails.get(row.subject, ()), tail)
    return Keys(tails, _sub_accounts(session, sub_accounts))


def _sub_accounts(session: Session, numbers: Collection[str]) -> dict[str, str]:
    wanted = sorted({plain_account(number) for number in numbers} - {""})
    if not wanted:
        return {}
    rows = session.scalars(select(SubAccount).where(SubAccount.number_key == _texts(wanted)))
    return {row.reference: row.number_key for row in rows}


def _stands() -> ColumnElement[bool]:
    return PaymentNotice.id.not_in(select(NoticeCancellation.notice_id))


def _texts(values: Collection[str]) -> Any:
    return any_(bindparam(None, list(values), ARRAY(String)))

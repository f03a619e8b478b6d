"""Payments on a case: repayments recorded by the seller, reversals as new rows, proceeds of a sale in bulk."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import BigInteger, Uuid, func, insert, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, Insert
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.orm import Session

from collection import application
from collection.domain.balances import Order
from collection.domain.receipts import (
    AlreadyReversed,
    NotReversible,
    ReceiptKind,
    ReceiptOfTheFuture,
    Split,
    apply_repayment,
)
from collection.events import RepaymentRecorded, RepaymentReversed
from collection.locking import lock_case
from collection.models import CaseReceipt
from marketplace import audit, db, outbox
from marketplace.actor import Actor
from marketplace.cases import service as cases
from marketplace.clock import local_date
from marketplace.db import new_id
from marketplace.errors import NotFound
from marketplace.money import CurrencyMismatch, Money

_ZONE: Final = "Asia/Shanghai"
_REVERSAL: Final = "reversal"

PROCEEDS_BLOCK: Final = 10_000
"""Rows of one statement of `record_proceeds`."""

db.violation("uq_case_receipts_source", AlreadyReversed)


def receipts_of(session: Session, case_id: uuid.UUID, *, actor: Actor) -> Sequence[CaseReceipt]:
    """Return every receipt of a case, oldest first; raise `NotFound` unless the actor may see the case."""
    cases.require_case(session, case_id, actor=actor)
    return session.scalars(select(CaseReceipt).where(CaseReceipt.case_id == case_id).order_by(CaseReceipt.id)).all()


def proceeds_total(session: Session, *, source_kind: str, source_id: uuid.UUID) -> int:
    """Return what all cases together received of a sale, in minor units; 0 when nothing is recorded. For settlement."""
    total = select(func.coalesce(func.sum(CaseReceipt.amount_minor), 0)).where(
        CaseReceipt.source_kind == source_kind, CaseReceipt.source_id == source_id
    )
    return int(session.execute(total).scalar_one())


def record_repayment(
    session: Session,
    *,
    case_id: uuid.UUID,
    amount: Money,
    received_on: date,
    note: str,
    actor: Actor,
    at: datetime,
) -> CaseReceipt:
    """Record money that a borrower paid and apply it to costs, interest, principal as they stand after earlier ones.

    In the order of application in force for the case (`collection.application`).
    Raises `NotFound`, `CurrencyMismatch`, `ReceiptOfTheFuture`.
    """
    if received_on > local_date(at, _ZONE):
        raise ReceiptOfTheFuture(received_on)
    receipt_id = new_id()
    source = (ReceiptKind.REPAYMENT.value, receipt_id)
    receipt = _repayment(
        session,
        case_id,
        amount,
        received_on=received_on,
        note=note,
        receipt_id=receipt_id,
        source=source,
        actor=actor,
        at=at,
    )
    return _keep(session, receipt, RepaymentRecorded, actor=actor, at=at)


def record_meanwhile(
    session: Session,
    *,
    amounts: Mapping[uuid.UUID, Money],
    order: Order,
    source_kind: str,
    source_id: uuid.UUID,
    note: str,
    actor: Actor,
    at: datetime,
) -> None:
    """Record what borrowers paid the buyer of cases that come back, as repayments of today; nothing for a zero.

    `order` is that of the terms under which the buyer had them. Once for each case and source. Raises `NotFound`,
    `CurrencyMismatch`.
    """
    today = local_date(at, _ZONE)
    for case_id, amount in sorted(amounts.items()):
        if amount.minor:
            receipt = _repayment(
                session, case_id, amount, received_on=today, note=note, receipt_id=new_id(),
                source=(source_kind, source_id), order=order, actor=actor, at=at,
            )  # fmt: skip
            _keep(session, receipt, RepaymentRecorded, actor=actor, at=at)


def _repayment(
    session: Session,
    case_id: uuid.UUID,
    amount: Money,
    *,
    received_on: date,
    note: str,
    receipt_id: uuid.UUID,
    source: tuple[str, uuid.UUID],
    order: Order | None = None,
    actor: Actor,
    at: datetime,
) -> CaseReceipt:
    """Apply money to costs, interest, principal as they stand; the case is locked from here on.

    In `order`, else in that in force for the case.
    """
    case = cases.require_case(session, case_id, actor=actor)
    if amount.currency != case.currency:
        raise CurrencyMismatch(amount.currency, case.currency)
    lock_case(session, case_id)
    paid = _paid_since(session, case_id, after=case.as_of_on)
    if order is None:
        order = application.order_of(session, case_id=case_id, organisation_id=case.organisation_id)
    owed = Split(
        case.other_minor - paid.other, case.interest_minor - paid.interest, case.principal_minor - paid.principal
    )
    return _receipt(
        case_id, ReceiptKind.REPAYMENT, amount, apply_repayment(amount, owed=owed, order=order), received_on, note, at,
        receipt_id=receipt_id, source=source,
    )  # fmt: skip


def reverse_receipt(session: Session, receipt_id: uuid.UUID, *, reason: str, actor: Actor, at: datetime) -> CaseReceipt:
    """Take a repayment back by a row with the opposite signs; raise `NotFound`, `NotReversible`, `AlreadyReversed`."""
    original = session.get(CaseReceipt, receipt_id)
    if original is None:
        raise NotFound("receipt", receipt_id)
    cases.require_case(session, original.case_id, actor=actor)
    if original.kind is not ReceiptKind.REPAYMENT:
        raise NotReversible(original.kind)
    lock_case(session, original.case_id)
    if session.scalar(
        select(CaseReceipt.id).where(CaseReceipt.source_kind == _REVERSAL, CaseReceipt.source_id == original.id)
    ):
        raise AlreadyReversed
    split = Split(original.other_minor, original.interest_minor, original.principal_minor, original.excess_minor)
    reversal = _receipt(
        original.case_id, ReceiptKind.REVERSAL, -original.amount, split.reversed(), local_date(at, _ZONE), reason, at,
        receipt_id=new_id(), source=(_REVERSAL, original.id),
    )  # fmt: skip
    return _keep(session, reversal, RepaymentReversed, actor=actor, at=at)


def _receipt(
    case_id: uuid.UUID,
    kind: ReceiptKind,
    amount: Money,
    split: Split,
    received_on: date,
    note: str,
    at: datetime,
    *,
    receipt_id: uuid.UUID,
    source: tuple[str, uuid.UUID],
) -> CaseReceipt:
    return CaseReceipt(
        id=receipt_id,
        case_id=case_id,
        kind=kind,
        source_kind=source[0],
        source_id=source[1],
        currency=amount.currency,
        amount_minor=amount.minor,
        other_minor=split.other,
        interest_minor=split.interest,
        principal_minor=split.principal,
        excess_minor=split.excess,
        received_on=received_on,
        note=note,
        at=at,
    )


def _keep(
    session: Session,
    receipt: CaseReceipt,
    event: type[RepaymentRecorded | RepaymentReversed],
    *,
    actor: Actor,
    at: datetime,
) -> CaseReceipt:
    session.add(receipt)
    session.flush()
    after = {"amount": receipt.amount.text, "currency": receipt.currency, "case_id": str(receipt.case_id)}
    audit.record(
        session, actor=actor, at=at, subject=receipt, verb=receipt.kind.value, after=after, reason=receipt.note
    )
    announced = event(
        receipt_id=receipt.id, case_id=receipt.case_id, amount_minor=receipt.amount_minor, currency=receipt.currency
    )
    outbox.publish(session, announced, at=at)
    return receipt


def _paid_since(session: Session, case_id: uuid.UUID, *, after: date) -> Split:
    """Sum what repayments after the day of the balances have paid, less their reversals."""
    counted = select(CaseReceipt.id).where(
        CaseReceipt.case_id == case_id,
        CaseReceipt.kind == ReceiptKind.REPAYMENT,
        CaseReceipt.received_on > after,
    )
    columns = (CaseReceipt.other_minor, CaseReceipt.interest_minor, CaseReceipt.principal_minor)
    row = session.execute(
        select(*(func.coalesce(func.sum(column), 0) for column in columns)).where(
            CaseReceipt.case_id == case_id,
            CaseReceipt.id.in_(counted) | ((CaseReceipt.source_kind == _REVERSAL) & CaseReceipt.source_id.in_(counted)),
        )
    ).one()
    return Split(*(int(part) for part in row))


def record_proceeds(
    session: Session,
    *,
    package_id: uuid.UUID,
    source_kind: str,
    source_id: uuid.UUID,
    amounts: Iterable[tuple[uuid.UUID, int]],
    currency: str,
    actor: Actor,
    at: datetime,
) -> int:
    """Record what each case received of a sale, in minor units ≥ 0; return how many rows were written.

    One row per case and source: the same source again writes nothing. A statement for each `PROCEEDS_BLOCK` of them,
    read from `amounts` as they come, so that memory stays bounded however many cases there are.
    """
    shared = {
        "package_id": package_id,
        "kind": ReceiptKind.PROCEEDS.value,
        "source_kind": source_kind,
        "source_id": source_id,
        "currency": currency,
        "received_on": local_date(at, _ZONE),
        "note": "",
        "at": at,
    }
    written, left = 0, iter(amounts)
    while block := list(islice(left, PROCEEDS_BLOCK)):
        made = _insert_of_proceeds(block, shared).returning(CaseReceipt.id).cte("made")
        written += session.execute(select(func.count()).select_from(made)).scalar_one()
    if written:
        _record_bulk(session, package_id, source_kind, source_id, written, actor=actor, at=at)
    return written


def _insert_of_proceeds(amounts: Sequence[tuple[uuid.UUID, int]], shared: dict[str, Any]) -> Insert:
    """Return the one statement that writes a row for each case not written before; nothing is applied to balances."""
    given = (
        func.unnest(
            literal([case_id for case_id, _ in amounts], ARRAY(Uuid())),
            literal([minor for _, minor in amounts], ARRAY(BigInteger())),
        )
        .table_valued("case_id", "amount_minor")
        .render_derived()
    )
    zeros = ("other_minor", "interest_minor", "principal_minor", "excess_minor")
    table = CaseReceipt.__table__
    rows = select(
        func.uuidv7(),
        given.c.case_id,
        given.c.amount_minor,
        *(literal(value, table.c[name].type) for name, value in shared.items()),
        *(literal(0, BigInteger()) for _ in zeros),
    )
    return (
        pg_insert(CaseReceipt)
        .from_select(["id", "case_id", "amount_minor", *shared, *zeros], rows)
        .on_conflict_do_nothing(constraint="uq_case_receipts_source")
    )


def _record_bulk(
    session: Session,
    package_id: uuid.UUID,
    source_kind: str,
    source_id: uuid.UUID,
    written: int,
    *,
    actor: Actor,
    at: datetime,
) -> None:
    session.execute(
        insert(audit.AuditRecord).values(
            at=at,
            actor_user_id=actor.user_id,
            actor_organisation_id=actor.organisation_id,
            actor_name=actor.name,
            subject_kind="packages",
            subject_id=package_id,
            verb="record_proceeds",
            after={"source_kind": source_kind, "source_id": str(source_id), "cases": written},
        )
    )

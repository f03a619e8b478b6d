"""Who did what to which thing, when and why: rows that are only ever added, written in the transaction of the deed.

`transition` is the one function in the product that writes a `state`.
"""

import enum
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Index, Insert, Uuid, bindparam, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from marketplace.actor import Actor
from marketplace.db import Base, UtcDateTime, key
from marketplace.lifecycle import Lifecycle


class AuditRecord(Base):
    """One deed. Neither updated nor deleted (trigger `audit_records_append_only`)."""

    __tablename__ = "audit_records"
    id: Mapped[uuid.UUID] = key()
    at: Mapped[datetime]
    actor_user_id: Mapped[uuid.UUID | None]
    actor_organisation_id: Mapped[uuid.UUID]
    actor_name: Mapped[str]
    subject_kind: Mapped[str]
    subject_id: Mapped[uuid.UUID]
    verb: Mapped[str]
    before: Mapped[dict[str, Any]] = mapped_column(default=dict)
    after: Mapped[dict[str, Any]] = mapped_column(default=dict)
    reason: Mapped[str] = mapped_column(default="")

    __table_args__ = (Index(None, "subject_kind", "subject_id"),)


def record(
    session: Session,
    *,
    actor: Actor,
    at: datetime,
    subject: Any,
    verb: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str = "",
) -> None:
    """Add one record. `subject` is a row with an `id`; values are plain JSON, amounts as text."""
    session.add(
        AuditRecord(
            at=at,
            actor_user_id=actor.user_id,
            actor_organisation_id=actor.organisation_id,
            actor_name=actor.name,
            subject_kind=subject.__tablename__,
            subject_id=subject.id,
            verb=verb,
            before=before or {},
            after=after or {},
            reason=reason,
        )
    )


def record_all(
    session: Session,
    model: Any,
    ids: Sequence[uuid.UUID],
    *,
    actor: Actor,
    at: datetime,
    verb: str,
    after: dict[str, Any],
) -> None:
    """Add one record for each of many rows of `model` that the same was done to; one statement."""
    subject = func.unnest(bindparam("subjects", list(ids), ARRAY(Uuid))).table_valued("id").render_derived(name="s")
    session.execute(_copied(model, subject.c.id, actor=actor, at=at, verb=verb, before={}, after=after, reason=""))


def _copied(
    model: Any,
    subject_id: ColumnElement[Any],
    *,
    actor: Actor,
    at: datetime,
    verb: str,
    before: dict[str, Any],
    after: dict[str, Any],
    reason: str,
) -> Insert:
    """Return the statement that adds the same record for every row of `model` whose id the column gives."""
    values = {
        "id": func.uuidv7(),
        "at": literal(at, UtcDateTime()),
        "actor_user_id": literal(actor.user_id, Uuid()),
        "actor_organisation_id": literal(actor.organisation_id, Uuid()),
        "actor_name": literal(actor.name),
        "subject_kind": literal(model.__tablename__),
        "subject_id": subject_id,
        "verb": literal(verb),
        "before": literal(before, JSONB()),
        "after": literal(after, JSONB()),
        "reason": literal(reason),
    }
    return insert(AuditRecord).from_select(list(values), select(*values.values()))


def transition(
    session: Session,
    row: Any,
    verb: str,
    *,
    lifecycle: Lifecycle[Any],
    actor: Actor,
    at: datetime,
    reason: str = "",
) -> None:
    """Move `row.state` by `verb` and record it; raise `IllegalMove`. The caller holds the row's lock."""
    before: enum.StrEnum = row.state
    after = lifecycle.move(before, verb)
    row.state = after
    record(
        session,
        actor=actor,
        at=at,
        subject=row,
        verb=verb,
        before={"state": before.value},
        after={"state": after.value},
        reason=reason,
    )


def transition_all(
    session: Session,
    model: Any,
    condition: Any,
    verb: str,
    *,
    lifecycle: Lifecycle[Any],
    actor: Actor,
    at: datetime,
    reason: str = "",
) -> int:
    """Move every row of `model` under `condition` by `verb`, one record each; raise `IllegalMove` if any row cannot.

    The rows are locked in order of id. Returns how many moved. Linear: two statements however many rows.
    """
    locked = select(model.id, model.state).where(condition).order_by(model.id).with_for_update().subquery()
    states = session.scalars(select(locked.c.state).distinct()).all()
    total = 0
    for before in states:
        after = lifecycle.move(before, verb)
        moved = (
            update(model)
            .where(condition, model.state == before)
            .values(state=after)
            .returning(model.id)
            .execution_options(synchronize_session=False)
            .cte("moved")
        )
        states_of = {"before": {"state": before.value}, "after": {"state": after.value}}
        copied = _copied(model, moved.c.id, actor=actor, at=at, verb=verb, reason=reason, **states_of)
        total += session.execute(copied.add_cte(moved)).rowcount  # type: ignore[attr-defined]  # set at run time, unknown to the stubs
    return total

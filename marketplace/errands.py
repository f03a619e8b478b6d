"""Errands: what another system is asked to do, or to say. Intent, call and outcome are three steps in that order.

An errand is a row written in the transaction of its cause. A worker claims it and commits, makes the call without any
transaction, then writes the outcome down in another. When it dies in between, its claim expires; whoever takes over is
told that an earlier attempt may have had its effect (`again`) and looks before it asks. There is one row for each kind
and subject, held by one worker at a time: an answer that is written down is never older than one written before.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import Index, UniqueConstraint, and_, func, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column, sessionmaker

from marketplace.clock import Clock
from marketplace.db import Base, Page, key, new_id, page
from marketplace.errors import Failure, NotFound
from marketplace.outbox import wake

log = structlog.get_logger(__name__)

LEASE_SECONDS: Final = 300
"""So long a claim holds without a sign of its worker: longer than any call may take."""

MAX_ATTEMPTS: Final = 30
"""After so many failures in a row (about a day) an errand waits for a person."""

LONGEST_PAUSE_SECONDS: Final = 3600


class Errand(Base):
    """One errand. It is due while `done` is below `wanted`; asked for again while it runs, it runs once more."""

    __tablename__ = "errands"
    id: Mapped[uuid.UUID] = key()
    kind: Mapped[str]
    subject: Mapped[str]
    wanted: Mapped[int]
    done: Mapped[int]
    attempts: Mapped[int]
    next_attempt_at: Mapped[datetime]
    claim: Mapped[uuid.UUID | None]
    claimed_until: Mapped[datetime | None]
    last_error: Mapped[str] = mapped_column(default="")
    asked_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("kind", "subject"),
        Index("ix_errands_due", "next_attempt_at", postgresql_where=text("done < wanted")),
    )

    @property
    def waiting(self) -> bool:
        """Whether something is left to do."""
        return self.done < self.wanted

    @property
    def stuck(self) -> bool:
        """Whether it was given up and waits for a person."""
        return self.waiting and self.attempts >= MAX_ATTEMPTS


Prepare = Callable[..., Any]
"""prepare(session, subject, *, again, at) -> plan, or None when nothing is left to do. A `Failure` puts it off."""

Call = Callable[[Any], Any]
"""call(plan) -> outcome, without any transaction. A `Failure` means that nothing is known: it is tried again."""

Record = Callable[..., None]
"""record(session, plan, *, outcome, at): write the outcome down. The same outcome twice is once."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What errands of one name do, step by step."""

    prepare: Prepare
    call: Call
    record: Record


def ask(session: Session, *, kind: str, subject: str, at: datetime) -> int:
    """Ask for an errand in this transaction; return the turn that answers it (`done` reaches it when it is answered).

    An errand that waited for a person is tried again.
    """
    new = insert(Errand).values(
        id=new_id(), kind=kind, subject=subject, wanted=1, done=0, attempts=0, next_attempt_at=at, last_error="",
        asked_at=at,
    )  # fmt: skip
    again = {
        "wanted": Errand.wanted + 1,
        "asked_at": at,
        "next_attempt_at": at,
        "attempts": func.least(Errand.attempts, 1),
    }
    turn = session.scalar(
        new.on_conflict_do_update(index_elements=["kind", "subject"], set_=again).returning(Errand.wanted)
    )
    wake(session)
    return int(turn or 0)


def retry(session: Session, *, errand_id: uuid.UUID, at: datetime) -> Errand:
    """Try a waiting errand now, with as many attempts as a new one; raise `NotFound`."""
    errand = session.get(Errand, errand_id, with_for_update=True)
    if errand is None:
        raise NotFound("errand", errand_id)
    errand.attempts, errand.next_attempt_at = min(errand.attempts, 1), at
    session.flush()
    wake(session)
    return errand


def list_errands(session: Session, *, prefix: str, waiting: bool, cursor: str | None, limit: int) -> Page[Errand]:
    """Return a page of the errands whose kind begins with `prefix`, newest first; only those not done if `waiting`."""
    query = select(Errand).where(Errand.kind.startswith(prefix, autoescape=True))
    if waiting:
        query = query.where(Errand.done < Errand.wanted)
    return page(session, query, key_column=Errand.id, cursor=cursor, limit=limit)


@dataclass(frozen=True, slots=True)
class _Claim:
    errand_id: uuid.UUID
    kind: str
    subject: str
    token: uuid.UUID
    turn: int
    plan: Any


def run_one(sessions: sessionmaker[Session], kinds: Mapping[str, Kind], *, clock: Clock) -> bool:
    """Run the errand that is due longest and that nobody holds; return False when there is none."""
    at = clock.now()
    with sessions.begin() as session:
        claim = _claim(session, kinds, at=at)
    if claim is None:
        return False
    if claim.plan is None:
        return True
    try:
        outcome = kinds[claim.kind].call(claim.plan)
        with sessions.begin() as session:
            errand = _held(session, claim)
            if errand is not None:
                kinds[claim.kind].record(session, claim.plan, outcome=outcome, at=clock.now())
                _finish(errand, claim.turn, at=clock.now())
    except Exception as error:
        if not isinstance(error, Failure):
            log.exception("errand failed", kind=claim.kind, subject=claim.subject)
        with sessions.begin() as session:
            errand = _held(session, claim)
            if errand is not None:
                _put_off(errand, error, at=clock.now())
    return True


def run_due(sessions: sessionmaker[Session], kinds: Mapping[str, Kind], *, clock: Clock) -> int:
    """Run until nothing is due (bounded); return how many ran."""
    for count in range(1_000):
        if not run_one(sessions, kinds, clock=clock):
            return count
    return 1_000


def _claim(session: Session, kinds: Mapping[str, Kind], *, at: datetime) -> _Claim | None:
    errand = session.scalars(
        select(Errand)
        .where(
            Errand.done < Errand.wanted,
            Errand.next_attempt_at <= at,
            Errand.attempts < MAX_ATTEMPTS,
            Errand.kind.in_(kinds),
            or_(Errand.claim.is_(None), and_(Errand.claim.is_not(None), Errand.claimed_until <= at)),
        )
        .order_by(Errand.next_attempt_at, Errand.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if errand is None:
        return None
    again = errand.attempts > 0
    errand.attempts += 1
    errand.claim, errand.claimed_until = new_id(), at + timedelta(seconds=LEASE_SECONDS)
    claim = _Claim(errand.id, errand.kind, errand.subject, errand.claim, errand.wanted, None)
    try:
        with session.begin_nested():
            plan = kinds[errand.kind].prepare(session, errand.subject, again=again, at=at)
            session.flush()
    except Exception as error:
        if not isinstance(error, Failure):
            log.exception("errand failed", kind=errand.kind, subject=errand.subject)
        _put_off(errand, error, at=at)
        return claim
    if plan is None:
        _finish(errand, claim.turn, at=at)
        return claim
    return _Claim(errand.id, errand.kind, errand.subject, claim.token, claim.turn, plan)


def _held(session: Session, claim: _Claim) -> Errand | None:
    """Lock the errand if the claim still holds; None when another worker took over meanwhile."""
    return session.scalars(
        select(Errand).where(Errand.id == claim.errand_id, Errand.claim == claim.token).with_for_update()
    ).first()


def _finish(errand: Errand, turn: int, *, at: datetime) -> None:
    errand.done, errand.attempts, errand.last_error, errand.finished_at = turn, 0, "", at
    errand.claim = errand.claimed_until = None


def _put_off(errand: Errand, error: Exception, *, at: datetime) -> None:
    told = int(error.values.get("retry_after", 0)) if isinstance(error, Failure) else 0
    pause = max(told, min(2**errand.attempts, LONGEST_PAUSE_SECONDS))
    errand.next_attempt_at = at + timedelta(seconds=pause)
    errand.last_error = (error.detail if isinstance(error, Failure) else repr(error))[:500]
    errand.claim = errand.claimed_until = None

"""Keys of the installation: receipts and bundles are signed with the one in force; public halves stay published.

A private half lies in the database encrypted by the vault, so that every process signs alike and a dump alone signs
nothing. A process remembers the keys for `REMEMBERED`; a new key begins `LEAD` after it was made, so that by then every
process knows it, and no time has two keys.
"""

import secrets
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from auctions.domain.proofs import Signer
from auctions.proof_models import SigningKey
from marketplace import audit, db, direct
from marketplace.actor import SYSTEM, Actor
from marketplace.crypto import Vault
from marketplace.db import Page
from marketplace.errors import Conflict, Unavailable
from marketplace.runtime import Runtime

LEAD: Final = timedelta(minutes=5)
REMEMBERED: Final = timedelta(minutes=1)
_KEYS: Final = direct.Plain(
    select(SigningKey.key_id, SigningKey.sealed, SigningKey.valid_from, SigningKey.valid_until).order_by(
        SigningKey.valid_from
    )
)
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('auctions.signing_keys'))"


class NoSigningKey(Unavailable):
    """No key is in force: the first is made as a door opens, with the first publication, or by the clockwork."""

    code = "no_signing_key"

    def __init__(self) -> None:
        super().__init__("No signing key is in force yet; try again in a minute.")


class RotationPending(Conflict):
    """A new key was made and has not begun."""

    code = "rotation_pending"

    def __init__(self, begins: datetime) -> None:
        super().__init__("A new key was made and begins soon; wait for it.", begins_at=begins.isoformat())


@dataclass(frozen=True, slots=True)
class _Remembered:
    """Keys as they were read, oldest first."""

    read_at: datetime
    keys: Sequence[tuple[datetime, datetime | None, Signer]]

    def in_force(self, at: datetime) -> Signer | None:
        """Return the signer whose time holds `at`."""
        return next(
            (signer for begins, ends, signer in self.keys if begins <= at and (ends is None or at < ends)), None
        )


_rings: "weakref.WeakKeyDictionary[Any, _Remembered]" = weakref.WeakKeyDictionary()
"""By engine. What is remembered is read from the database again after a minute, and whenever it does not help."""


def signer(session: Session, *, vault: Vault, at: datetime) -> Signer:
    """Return the key in force at `at`; raise `NoSigningKey`. Reads the database once a minute and process."""
    engine = session.get_bind()
    ring = _rings.get(engine)
    found = ring.in_force(at) if ring is not None and abs(at - ring.read_at) < REMEMBERED else None
    if found is None:
        ring = _rings[engine] = _read(session, vault, at)
        found = ring.in_force(at)
    if found is None:
        raise NoSigningKey
    return found


def _read(session: Session, vault: Vault, at: datetime) -> _Remembered:
    rows = _KEYS.ask(session).rows()
    return _Remembered(at, [(row.valid_from, row.valid_until, _opened(vault, row)) for row in rows])


def _opened(vault: Vault, row: Any) -> Signer:
    return Signer.of(bytes.fromhex(vault.open(row.sealed, context=_context(row.key_id))))


def _context(key_id: str) -> str:
    return f"signing_keys/{key_id}"


def ensure_key(session: Session, *, vault: Vault, at: datetime) -> None:
    """Make the installation's first key, in force since a little before `at`; does nothing when there is one."""
    session.execute(text(_LOCK))
    if session.scalar(select(SigningKey.id).limit(1)) is None:
        row = _make(session, vault, valid_from=at - LEAD, at=at)
        audit.record(session, actor=SYSTEM, at=at, subject=row, verb="make", after={"key_id": row.key_id})


def make_ready(running: Runtime) -> None:
    """Make the first key as a door opens, so that no bid of a new installation waits for the clockwork.

    However many doors open at once, the lock of `ensure_key` lets one of them make it.
    """
    db.at_start(running.sessions, lambda session: ensure_key(session, vault=running.vault, at=running.clock.now()))


def rotate_key(session: Session, *, reason: str, vault: Vault, actor: Actor, at: datetime) -> SigningKey:
    """Make the next key, in force `LEAD` from now, when the present one ends; raise `RotationPending`."""
    session.execute(text(_LOCK))
    present = session.scalars(select(SigningKey).where(SigningKey.valid_until.is_(None))).first()
    if present is None:
        raise NoSigningKey
    if present.valid_from > at:
        raise RotationPending(present.valid_from)
    present.valid_until = at + LEAD
    session.flush()
    row = _make(session, vault, valid_from=at + LEAD, at=at)
    change = {"key_id": row.key_id, "instead_of": present.key_id}
    audit.record(session, actor=actor, at=at, subject=row, verb="rotate", after=change, reason=reason)
    return row


def _make(session: Session, vault: Vault, *, valid_from: datetime, at: datetime) -> SigningKey:
    private = secrets.token_bytes(32)
    made = Signer.of(private)
    row = SigningKey(
        key_id=made.key_id,
        public=made.public,
        sealed=vault.seal(private.hex(), context=_context(made.key_id)),
        valid_from=valid_from,
        created_at=at,
    )
    session.add(row)
    session.flush()
    return row


def list_keys(session: Session, *, cursor: str | None, limit: int) -> Page[SigningKey]:
    """Return every key that ever signed, newest first; for everybody."""
    return db.page(session, select(SigningKey), key_column=SigningKey.id, cursor=cursor, limit=limit)


def all_keys(session: Session) -> Sequence[SigningKey]:
    """Return every key, oldest first."""
    return session.scalars(select(SigningKey).order_by(SigningKey.valid_from)).all()

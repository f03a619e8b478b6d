"""A request sent twice with one `Idempotency-Key` does its work once and gets the first answer again.

The key is claimed by an insert in the request's own transaction: a second request with the same key waits for the
first, then finds its stored answer. A request that failed leaves nothing, so its key may be tried again.
"""

import hashlib
import re
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Final

from flask import Request, Response
from sqlalchemy import LargeBinary, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from marketplace.actor import Actor
from marketplace.db import Base
from marketplace.errors import Invalid

HEADER: Final = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)

PARAMETER: Final = {
    "in": "header",
    "name": HEADER,
    "required": True,
    "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
    "description": "New for each new deed; the same for its repetition.",
}
"""The header as OpenAPI describes it."""


class StoredAnswer(Base):
    """The first answer given to a key of an actor. `status` is null only inside the claiming transaction."""

    __tablename__ = "stored_answers"
    owner_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime] = mapped_column(index=True)
    status: Mapped[int | None]
    media_type: Mapped[str | None]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)


class IdempotencyKeyMissing(Invalid):
    """The route makes money or promises and must not be repeated by accident."""

    code = "idempotency_key_missing"

    def __init__(self) -> None:
        super().__init__(f"Send a header {HEADER} of 1 to 128 visible ASCII characters, a new one for each new deed.")


class IdempotencyKeyReused(Invalid):
    """The key was used for another request."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__(f"This {HEADER} was used for a different request; use a new one.")


def require_key(request: Request) -> str:
    """Return the key of a request; raise `IdempotencyKeyMissing`. For routes whose own rows hold the first answer."""
    return checked_key(request.headers.get(HEADER, ""))


def checked_key(text: str) -> str:
    """Return a key that has the right form; raise `IdempotencyKeyMissing`."""
    if not _KEY.fullmatch(text):
        raise IdempotencyKeyMissing
    return text


def answer_once(
    session: Session, request: Request, *, actor: Actor, at: datetime, work: Callable[[], Response]
) -> Response:
    """Run `work` once per (user or key, Idempotency-Key) and give its first answer to every repetition."""
    key = require_key(request)
    owner = actor.user_id or actor.api_key_id or actor.organisation_id
    fingerprint = _fingerprint(request)
    claimed = session.execute(
        insert(StoredAnswer)
        .values(owner_id=owner, key=key, request_hash=fingerprint, at=at)
        .on_conflict_do_nothing()
        .returning(StoredAnswer.key)
    ).first()
    if claimed is None:
        return _replay(session, owner, key, fingerprint)
    response = work()
    session.execute(
        StoredAnswer.__table__.update()  # type: ignore[attr-defined]  # set at run time, unknown to the stubs
        .where(StoredAnswer.owner_id == owner, StoredAnswer.key == key)
        .values(status=response.status_code, media_type=response.mimetype, body=response.get_data())
    )
    return response


def _replay(session: Session, owner: uuid.UUID, key: str, fingerprint: bytes) -> Response:
    stored = session.scalars(select(StoredAnswer).where(StoredAnswer.owner_id == owner, StoredAnswer.key == key)).one()
    if stored.request_hash != fingerprint:
        raise IdempotencyKeyReused
    response = Response(stored.body or b"", status=stored.status or 200, mimetype=stored.media_type)
    response.headers["Idempotent-Replay"] = "true"
    return response


def _fingerprint(request: Request) -> bytes:
    digest = hashlib.sha256(f"{request.method} {request.path}\n".encode())
    if request.mimetype == "multipart/form-data":
        for name, value in sorted(request.form.items(multi=True)):
            digest.update(f"{name}={value}\n".encode())
        for name, upload in sorted(request.files.items(multi=True)):
            content = upload.stream.read()
            upload.stream.seek(0)
            digest.update(f"{name}:{hashlib.sha256(content).hexdigest()}\n".encode())
    else:
        digest.update(request.get_data(cache=True))
    return digest.digest()


def forget(session: Session, *, before: datetime) -> int:
    """Drop answers older than an instant (they are kept for 30 days); return how many."""
    count = session.scalar(select(func.count()).select_from(StoredAnswer).where(StoredAnswer.at < before)) or 0
    session.execute(StoredAnswer.__table__.delete().where(StoredAnswer.at < before))  # type: ignore[attr-defined]  # set at run time, unknown to the stubs
    return count

"""Files: bytes in a folder or an S3 bucket under their SHA-256, described by a row. Content never changes or moves."""

import contextlib
import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import obstore
from obstore.store import LocalStore, S3Store
from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, Session, mapped_column

from marketplace.actor import Actor
from marketplace.db import Base, key
from marketplace.errors import Unavailable
from marketplace.settings import Settings


class StoredFile(Base):
    """A file that was taken in or made: immutable by its hash."""

    __tablename__ = "stored_files"
    id: Mapped[uuid.UUID] = key()
    organisation_id: Mapped[uuid.UUID]
    name: Mapped[str]
    media_type: Mapped[str]
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(index=True)
    created_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("size >= 0", "size_not_negative"),)


class FileMissing(Unavailable):
    """The row exists, its bytes cannot be read, or they are not what was stored."""

    code = "file_missing"

    def __init__(self, sha256: str) -> None:
        super().__init__(f"The content {sha256[:12]}… cannot be read from the store just now.")


@dataclass(frozen=True, slots=True)
class FileStore:
    """Bytes by hash. Writing the same content twice is one object."""

    store: Any

    @classmethod
    def of(cls, settings: Settings) -> "FileStore":
        """Return the S3 bucket when one is configured, else the folder."""
        if settings.s3 is None:
            settings.files_path.mkdir(parents=True, exist_ok=True)
            return cls(LocalStore(prefix=str(settings.files_path)))
        return cls(
            S3Store(
                settings.s3.bucket,
                endpoint=settings.s3.endpoint,
                access_key_id=settings.s3.access_key,
                secret_access_key=settings.s3.secret_key,
                region=settings.s3.region,
                virtual_hosted_style_request=False,
                client_options={"allow_http": True},
            )
        )

    def put(self, content: bytes) -> str:
        """Store and return the SHA-256 in hex."""
        digest = hashlib.sha256(content).hexdigest()
        with contextlib.suppress(obstore.exceptions.AlreadyExistsError):
            obstore.put(self.store, _path(digest), content, mode="create")
        return digest

    def get(self, sha256: str) -> bytes:
        """Read and check against the hash; raise `FileMissing`."""
        try:
            content = bytes(obstore.get(self.store, _path(sha256)).bytes())
        except (FileNotFoundError, obstore.exceptions.BaseError):
            raise FileMissing(sha256) from None
        if hashlib.sha256(content).hexdigest() != sha256:
            raise FileMissing(sha256)
        return content


def _path(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


def store(
    session: Session, files: FileStore, *, content: bytes, name: str, media_type: str, actor: Actor, at: datetime
) -> StoredFile:
    """Keep a file: bytes first, then the row; a crash between leaves bytes that nobody refers to, never the reverse."""
    row = StoredFile(
        organisation_id=actor.organisation_id,
        name=name,
        media_type=media_type,
        size=len(content),
        sha256=files.put(content),
        created_at=at,
    )
    session.add(row)
    session.flush()
    return row

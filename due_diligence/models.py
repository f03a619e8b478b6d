"""Rows of due diligence.

What is evidence (versions, readings, acceptances, copies, links, disclosures) is append-only by trigger; nothing is
ever deleted, so index numbers stay gapless and the record outlives its subjects.
"""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from due_diligence.domain.rooms import (
    Audience,
    DisclosureKind,
    DocumentState,
    GrantBasis,
    GrantState,
    RoomAccess,
    RoomState,
)
from due_diligence.domain.verdicts import SENTENCES, Sentence, Verdict
from marketplace.db import Base, enum_column, key

_SHA256 = "~ '^[0-9a-f]{64}$'"


class Room(Base):
    """The data room of a package; a package has at most one."""

    __tablename__ = "rooms"
    id: Mapped[uuid.UUID] = key()
    package_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("packages.id"))
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"), index=True)
    access: Mapped[RoomAccess] = mapped_column(enum_column(RoomAccess))
    state: Mapped[RoomState] = mapped_column(enum_column(RoomState))
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("package_id"),)


class AgreementVersion(Base):
    """One text of a room's confidentiality agreement, both languages under one hash; the newest is current."""

    __tablename__ = "agreement_versions"
    id: Mapped[uuid.UUID] = key()
    room_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("rooms.id"))
    number: Mapped[int]
    text_zh: Mapped[str]
    text_en: Mapped[str]
    sha256: Mapped[str]
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("room_id", "number"),
        CheckConstraint("number >= 1", "number_from_one"),
        CheckConstraint(f"sha256 {_SHA256}", "sha256_form"),
    )


class Folder(Base):
    """A folder of a room. `index_number` is given once and stays."""

    __tablename__ = "folders"
    id: Mapped[uuid.UUID] = key()
    room_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("rooms.id"))
    parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("folders.id"))
    index_number: Mapped[str]
    name: Mapped[str]
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("room_id", "index_number"),
        CheckConstraint("index_number ~ '^[1-9][0-9]*([.][1-9][0-9]*)*$'", "index_number_form"),
    )


class Document(Base):
    """A document of a room: its place and audience. Its content are its versions."""

    __tablename__ = "documents"
    id: Mapped[uuid.UUID] = key()
    room_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("rooms.id"))
    folder_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("folders.id"))
    index_number: Mapped[str]
    title: Mapped[str]
    audience: Mapped[Audience] = mapped_column(enum_column(Audience))
    state: Mapped[DocumentState] = mapped_column(enum_column(DocumentState))
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("room_id", "index_number"),
        CheckConstraint("index_number ~ '^[1-9][0-9]*([.][1-9][0-9]*)*$'", "index_number_form"),
    )


class DocumentVersion(Base):
    """One upload of a document: immutable under its hash."""

    __tablename__ = "document_versions"
    id: Mapped[uuid.UUID] = key()
    document_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("documents.id"))
    number: Mapped[int]
    file_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("stored_files.id"))
    file_name: Mapped[str]
    sha256: Mapped[str] = mapped_column(index=True)
    size: Mapped[int]
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id"))
    uploaded_by: Mapped[str]
    uploaded_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("document_id", "number"),
        CheckConstraint("number >= 1", "number_from_one"),
        CheckConstraint(f"sha256 {_SHA256}", "sha256_form"),
    )


class DocumentReading(Base):
    """What reading a version came to; written once."""

    __tablename__ = "document_readings"
    version_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("document_versions.id"), primary_key=True)
    verdict: Mapped[Verdict] = mapped_column(enum_column(Verdict))
    pages: Mapped[int]
    note: Mapped[str]
    read_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("pages >= 0", "pages_not_negative"),)

    @property
    def sentence(self) -> Sentence:
        """What it means and what to do."""
        return SENTENCES[self.verdict]


class DocumentPage(Base):
    """The text of one page of a version, bounded, for search."""

    __tablename__ = "document_pages"
    version_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("document_versions.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]

    __table_args__ = (CheckConstraint("number >= 1", "number_from_one"),)


class Grant(Base):
    """An organisation's access to a room; taken back it stays as a record, and a new one may follow."""

    __tablename__ = "grants"
    id: Mapped[uuid.UUID] = key()
    room_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("rooms.id"))
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    basis: Mapped[GrantBasis] = mapped_column(enum_column(GrantBasis))
    state: Mapped[GrantState] = mapped_column(enum_column(GrantState))
    created_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_grants_room_id_organisation_id", "room_id", "organisation_id"),
        Index("uq_grants_live", "room_id", "organisation_id", unique=True, postgresql_where=text("state = 'live'")),
    )


class AgreementAcceptance(Base):
    """An organisation's promise, made by a person, to one text, under one grant."""

    __tablename__ = "agreement_acceptances"
    id: Mapped[uuid.UUID] = key()
    grant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("grants.id"))
    agreement_version_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("agreement_versions.id"))
    sha256: Mapped[str]
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    user_name: Mapped[str]
    at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("grant_id", "agreement_version_id"),)


class MarkedCopy(Base):
    """The copy of one version for one reader (a user or an API key). Its number and time stand on its pages."""

    __tablename__ = "marked_copies"
    id: Mapped[uuid.UUID] = key()
    document_version_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("document_versions.id"))
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    reader_id: Mapped[uuid.UUID]
    number: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int]
    marked_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("document_version_id", "organisation_id", "reader_id"),
        UniqueConstraint("number"),
        CheckConstraint(f"sha256 {_SHA256}", "sha256_form"),
    )


class DownloadLink(Base):
    """A short-lived way to one content for one organisation. The token is kept as its hash only."""

    __tablename__ = "download_links"
    id: Mapped[uuid.UUID] = key()
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    room_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("rooms.id"))
    document_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("documents.id"))
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    sha256: Mapped[str]
    file_name: Mapped[str]
    media_type: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("token_hash"),
        CheckConstraint("octet_length(token_hash) = 32", "token_hash_length"),
        CheckConstraint("expires_at > created_at", "expires_later"),
    )


class Disclosure(Base):
    """What was given to whom, as it was called then. No deletion reaches it."""

    __tablename__ = "disclosures"
    id: Mapped[uuid.UUID] = key()
    at: Mapped[datetime]
    room_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("rooms.id"), index=True)
    link_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("download_links.id"))
    kind: Mapped[DisclosureKind] = mapped_column(enum_column(DisclosureKind))
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    organisation_name: Mapped[str]
    reader_id: Mapped[uuid.UUID]
    reader_name: Mapped[str]
    document_version_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("document_versions.id"))
    index_number: Mapped[str | None]
    title: Mapped[str]
    version_number: Mapped[int | None]
    original_sha256: Mapped[str]
    copy_sha256: Mapped[str]
    copy_number: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint("link_id"),
        CheckConstraint(
            "(kind = 'document') = (document_version_id IS NOT NULL AND copy_number IS NOT NULL)", "document_is_marked"
        ),
    )

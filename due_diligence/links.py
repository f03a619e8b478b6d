"""Giving content to buyers: a marked copy behind a short-lived link, recorded before it can be opened.

Asking for a link is the deed: the copy is made and verified, copy, link and disclosure are written together. Opening
the link writes nothing and decides everything anew: room, grant, agreement, licence, document and time.
"""

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from due_diligence import access, documents
from due_diligence.documents import DocumentView
from due_diligence.domain import copies, verdicts
from due_diligence.domain.rooms import AgreementNotAccepted, DisclosureKind, DocumentState
from due_diligence.models import Disclosure, Document, DownloadLink, MarkedCopy
from due_diligence.pdf import delivery
from marketplace import audit
from marketplace.actor import Actor
from marketplace.crypto import token_hash
from marketplace.db import new_id
from marketplace.errors import Conflict, NotFound
from marketplace.files import FileStore
from marketplace.packages import service as packages
from marketplace.parties import service as parties


class NotRead(Conflict):
    """The document has been uploaded but not read yet."""

    code = "document_not_read"

    def __init__(self) -> None:
        super().__init__("The document is being read; try again in a moment.")


class NotDeliverable(Conflict):
    """The document cannot be marked, so nobody gets it."""

    code = "document_not_deliverable"

    def __init__(self, verdict: verdicts.Verdict) -> None:
        super().__init__("The document cannot be given out; the seller was told why.", verdict=verdict.value)


class LinkExpired(NotFound):
    """The link was good for five minutes."""

    code = "link_expired"

    def __init__(self) -> None:
        super().__init__("link", "expired")
        self.detail = "The link has expired; ask for a new one."


class ChangedMeanwhile(Conflict):
    """While the copy was being made, the document got another version."""

    code = "changed_meanwhile"

    def __init__(self) -> None:
        super().__init__("The document was replaced in this moment; ask for the link again.")


@dataclass(frozen=True, slots=True)
class IssuedLink:
    """A link with its token, which is shown this once, and what was recorded."""

    token: str
    link: DownloadLink
    disclosure: Disclosure


@dataclass(frozen=True, slots=True)
class Download:
    """What opening a link gives."""

    content: bytes
    file_name: str
    media_type: str


def _reader_id(actor: Actor) -> uuid.UUID:
    return actor.user_id or actor.api_key_id or actor.organisation_id


def give_document(
    session: Session, *, document_id: uuid.UUID, store: FileStore, actor: Actor, at: datetime
) -> IssuedLink:
    """Make (once per version and reader) the marked copy of a document, and a link to it; record the disclosure.

    Raises `NotFound`, `AgreementNotAccepted`, `NotRead`, `NotDeliverable`, `NotMarked`, `ChangedMeanwhile`. The copy is
    made before any lock is taken, then everything is checked again under the room's lock.
    """
    view = _deliverable(session, document_id, actor=actor, at=at)
    copy = _copy_of(session, view, actor) or _make_copy(session, view, store=store, actor=actor, at=at)
    access.entered_room(session, view.document.room_id, actor=actor, at=at, for_update=True)
    again = _deliverable(session, document_id, actor=actor, at=at)
    if again.current.version.id != view.current.version.id:
        raise ChangedMeanwhile
    copy = _copy_of(session, view, actor) or copy
    session.add(copy)
    version = view.current.version
    link, token = _link(
        session,
        room_id=view.document.room_id,
        document_id=document_id,
        sha256=copy.sha256,
        file_name=f"{view.document.index_number} {view.document.title}.pdf",
        media_type="application/pdf",
        actor=actor,
        at=at,
    )
    disclosure = _disclose(
        session,
        link,
        kind=DisclosureKind.DOCUMENT,
        document_version_id=version.id,
        index_number=view.document.index_number,
        title=view.document.title,
        version_number=version.number,
        original_sha256=version.sha256,
        copy_number=copy.number,
        actor=actor,
    )
    return IssuedLink(token, link, disclosure)


def _deliverable(session: Session, document_id: uuid.UUID, *, actor: Actor, at: datetime) -> DocumentView:
    view = documents.visible_document(session, document_id, actor=actor, at=at)
    _, stands = access.entered_room(session, view.document.room_id, actor=actor, at=at)
    if not stands.in_force:
        raise AgreementNotAccepted
    reading = view.current.reading
    if reading is None:
        raise NotRead
    if not view.current.deliverable:
        raise NotDeliverable(reading.verdict)
    return view


def _copy_of(session: Session, view: DocumentView, actor: Actor) -> MarkedCopy | None:
    return session.scalars(
        select(MarkedCopy).where(
            MarkedCopy.document_version_id == view.current.version.id,
            MarkedCopy.organisation_id == actor.organisation_id,
            MarkedCopy.reader_id == _reader_id(actor),
        )
    ).first()


def _make_copy(session: Session, view: DocumentView, *, store: FileStore, actor: Actor, at: datetime) -> MarkedCopy:
    """Make and store a marked copy; the row is returned, not yet added."""
    version, reading = view.current.version, view.current.reading
    assert reading is not None
    copy_id = new_id()
    number = copies.copy_number(copy_id)
    organisation = parties.require_organisation(session, actor.organisation_id).name
    lines = copies.mark_lines(organisation=organisation, reader=actor.name, at=at, number=number)
    content = delivery.marked_copy(store.get(version.sha256), lines=lines, pages=reading.pages)
    return MarkedCopy(
        id=copy_id,
        document_version_id=version.id,
        organisation_id=actor.organisation_id,
        reader_id=_reader_id(actor),
        number=number,
        sha256=store.put(content),
        size=len(content),
        marked_at=at,
    )


def give_masked_tape(
    session: Session, *, room_id: uuid.UUID, store: FileStore, actor: Actor, at: datetime
) -> IssuedLink:
    """Give a link to the package's masked tape (CSV); record the disclosure.

    Raises `NotFound`, `AgreementNotAccepted`.
    """
    room, stands = access.entered_room(session, room_id, actor=actor, at=at, for_update=True)
    if not stands.in_force:
        raise AgreementNotAccepted
    content = packages.masked_tape(session, room.package_id)
    package = packages.require_package(session, room.package_id)
    sha256 = store.put(content)
    title = f"{package.name} 资产清单（脱敏）"
    link, token = _link(
        session,
        room_id=room.id,
        document_id=None,
        sha256=sha256,
        file_name=f"{title}.csv",
        media_type="text/csv",
        actor=actor,
        at=at,
    )
    disclosure = _disclose(
        session, link, kind=DisclosureKind.MASKED_TAPE, title=title, original_sha256=sha256, actor=actor
    )
    return IssuedLink(token, link, disclosure)


def _link(
    session: Session,
    *,
    room_id: uuid.UUID,
    document_id: uuid.UUID | None,
    sha256: str,
    file_name: str,
    media_type: str,
    actor: Actor,
    at: datetime,
) -> tuple[DownloadLink, str]:
    token = secrets.token_urlsafe(32)
    link = DownloadLink(
        token_hash=token_hash(token),
        room_id=room_id,
        document_id=document_id,
        organisation_id=actor.organisation_id,
        sha256=sha256,
        file_name=file_name,
        media_type=media_type,
        created_at=at,
        expires_at=at + copies.LINK_LIFETIME,
    )
    session.add(link)
    session.flush()
    return link, token


def _disclose(
    session: Session,
    link: DownloadLink,
    *,
    kind: DisclosureKind,
    title: str,
    original_sha256: str,
    actor: Actor,
    document_version_id: uuid.UUID | None = None,
    index_number: str | None = None,
    version_number: int | None = None,
    copy_number: str | None = None,
) -> Disclosure:
    disclosure = Disclosure(
        at=link.created_at,
        room_id=link.room_id,
        link_id=link.id,
        kind=kind,
        organisation_id=actor.organisation_id,
        organisation_name=parties.require_organisation(session, actor.organisation_id).name,
        reader_id=_reader_id(actor),
        reader_name=actor.name,
        document_version_id=document_version_id,
        index_number=index_number,
        title=title,
        version_number=version_number,
        original_sha256=original_sha256,
        copy_sha256=link.sha256,
        copy_number=copy_number,
    )
    session.add(disclosure)
    session.flush()
    after = {"copy_sha256": link.sha256, "original_sha256": original_sha256, "copy_number": copy_number}
    audit.record(session, actor=actor, at=link.created_at, subject=disclosure, verb="disclose", after=after)
    return disclosure


def open_link(session: Session, *, token: str, store: FileStore, actor: Actor, at: datetime) -> Download:
    """Return what a link leads to, deciding everything anew; writes nothing.

    Raises `NotFound`, `LinkExpired`, `AgreementNotAccepted` (the text changed since), `FileMissing` (the stored bytes
    are not what was recorded).
    """
    link = session.scalars(select(DownloadLink).where(DownloadLink.token_hash == token_hash(token))).first()
    if link is None or link.organisation_id != actor.organisation_id:
        raise NotFound("link", "")
    if at >= link.expires_at:
        raise LinkExpired
    _, stands = access.entered_room(session, link.room_id, actor=actor, at=at)
    if not stands.in_force:
        raise AgreementNotAccepted
    if link.document_id is not None:
        document = session.get_one(Document, link.document_id)
        if document.state is not DocumentState.PRESENT or document.audience not in stands.audiences:
            raise NotFound("link", "")
    return Download(store.get(link.sha256), link.file_name, link.media_type)

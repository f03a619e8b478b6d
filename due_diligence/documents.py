"""Folders and documents of a room: their places, their versions, and what reading a version came to."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from due_diligence import access
from due_diligence.domain import index
from due_diligence.domain.rooms import DOCUMENT, Audience, DocumentState, RoomState
from due_diligence.domain.verdicts import Reading, starts_like_pdf
from due_diligence.models import Document, DocumentPage, DocumentReading, DocumentVersion, Folder, Room
from due_diligence.pdf import delivery
from marketplace import audit, files, jobs
from marketplace.actor import Actor, OrganisationKind
from marketplace.db import new_id
from marketplace.errors import Conflict, Invalid, NotFound
from marketplace.files import FileStore

MAX_DOCUMENT_BYTES: Final = 200 * 1024 * 1024
MAX_ENTRIES: Final = 20_000
"""Folders and documents of one room."""
MAX_VERSIONS: Final = 200
JOB: Final = "due_diligence.read_document"


class NotAPdf(Invalid):
    """The file does not begin like a PDF; nothing of it was stored."""

    code = "not_a_pdf"

    def __init__(self) -> None:
        super().__init__(
            "This is not a PDF, whatever its name says (a ZIP or Office file, perhaps): export it as PDF and upload "
            "that. 文件不是 PDF（可能是改了扩展名的其他文件）；请导出为 PDF 后上传。",
        )


class TooLarge(Invalid):
    """The file has more bytes than a document may have."""

    status = 413
    code = "document_too_large"

    def __init__(self) -> None:
        super().__init__(f"A document has at most {MAX_DOCUMENT_BYTES} bytes; split it.")


class RoomClosed(Conflict):
    """A closed room is a record; reopen it to change it."""

    code = "room_closed"

    def __init__(self) -> None:
        super().__init__("The room is closed; reopen it to change what is in it.")


class Withdrawn(Conflict):
    """A withdrawn document takes no new version."""

    code = "document_withdrawn"

    def __init__(self) -> None:
        super().__init__("The document is withdrawn; upload a new document instead.")


@dataclass(frozen=True, slots=True)
class Content:
    """A file that was uploaded. `name` is what its sender called it."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class VersionOf:
    """A version with its reading, None while it has not been read."""

    version: DocumentVersion
    reading: DocumentReading | None

    @property
    def deliverable(self) -> bool:
        """Whether marked copies of it can be given to buyers."""
        reading = self.reading
        return reading is not None and Reading(reading.verdict, reading.pages, (), "").deliverable


@dataclass(frozen=True, slots=True)
class DocumentView:
    """A document and its versions, oldest first; never empty."""

    document: Document
    versions: Sequence[VersionOf]

    @property
    def current(self) -> VersionOf:
        """The version that is given out."""
        return self.versions[-1]


@dataclass(frozen=True, slots=True)
class IndexView:
    """What of a room's index an actor may see, in the order of index numbers."""

    room: Room
    folders: Sequence[Folder]
    documents: Sequence[DocumentView]


def _editable(session: Session, room_id: uuid.UUID, *, actor: Actor) -> Room:
    room = access.own_room(session, room_id, actor=actor)
    if room.state is RoomState.CLOSED:
        raise RoomClosed
    return room


def _place(session: Session, room: Room, folder_id: uuid.UUID | None) -> str:
    """Return the next index number in a folder (None: the room itself). The caller holds the room's lock."""
    parent = session.get(Folder, folder_id) if folder_id is not None else None
    if folder_id is not None and (parent is None or parent.room_id != room.id):
        raise NotFound("folder", folder_id)
    total = inside = 0
    for kind, owner in ((Folder, Folder.parent_id), (Document, Document.folder_id)):
        here = owner == folder_id if folder_id is not None else owner.is_(None)
        counts = session.execute(select(func.count(), func.count().filter(here)).where(kind.room_id == room.id)).one()
        total, inside = total + counts[0], inside + counts[1]
    if total >= MAX_ENTRIES:
        raise index.IndexFull
    return index.child(parent.index_number if parent is not None else "", inside + 1)


def add_folder(
    session: Session, *, room_id: uuid.UUID, parent_id: uuid.UUID | None, name: str, actor: Actor, at: datetime
) -> Folder:
    """Add a folder at the next index number; raise `NotFound`, `RoomClosed`, `IndexFull`."""
    room = _editable(session, room_id, actor=actor)
    number = _place(session, room, parent_id)
    folder = Folder(room_id=room.id, parent_id=parent_id, index_number=number, name=name, created_at=at)
    session.add(folder)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=folder, verb="add", after={"index_number": number})
    return folder


def add_document(
    session: Session,
    *,
    room_id: uuid.UUID,
    folder_id: uuid.UUID | None,
    title: str,
    audience: Audience,
    content: Content,
    store: FileStore,
    actor: Actor,
    at: datetime,
) -> DocumentView:
    """Take in a document with its first version, to be read by a job; raise as `add_folder`, `NotAPdf`, `TooLarge`."""
    _check(content)
    room = _editable(session, room_id, actor=actor)
    number = _place(session, room, folder_id)
    document = Document(
        room_id=room.id,
        folder_id=folder_id,
        index_number=number,
        title=title,
        audience=audience,
        state=DOCUMENT.initial,
        created_at=at,
    )
    session.add(document)
    session.flush()
    after = {"index_number": number, "title": title, "audience": audience.value}
    audit.record(session, actor=actor, at=at, subject=document, verb="add", after=after)
    version = _add_version(session, document, 1, content, store=store, actor=actor, at=at)
    return DocumentView(document, [VersionOf(version, None)])


def add_version(
    session: Session,
    *,
    document_id: uuid.UUID,
    content: Content,
    store: FileStore,
    actor: Actor,
    at: datetime,
) -> DocumentView:
    """Take in a new version; the same bytes as the newest change nothing.

    Raises `NotFound`, `RoomClosed`, `Withdrawn`, `NotAPdf`, `TooLarge`, `IndexFull`.
    """
    _check(content)
    document = _own_document(session, document_id, actor=actor)
    if document.state is DocumentState.WITHDRAWN:
        raise Withdrawn
    view = view_of(session, document)
    if view.current.version.sha256 == store.put(content.data):
        return view
    if len(view.versions) >= MAX_VERSIONS:
        raise index.IndexFull
    number = len(view.versions) + 1
    version = _add_version(session, document, number, content, store=store, actor=actor, at=at)
    return DocumentView(document, [*view.versions, VersionOf(version, None)])


def _check(content: Content) -> None:
    if len(content.data) > MAX_DOCUMENT_BYTES:
        raise TooLarge
    if not starts_like_pdf(content.data):
        raise NotAPdf


def _own_document(session: Session, document_id: uuid.UUID, *, actor: Actor) -> Document:
    document = session.get(Document, document_id)
    if document is None:
        raise NotFound("document", document_id)
    try:
        _editable(session, document.room_id, actor=actor)
    except NotFound:
        raise NotFound("document", document_id) from None
    session.refresh(document)
    return document


def _add_version(
    session: Session,
    document: Document,
    number: int,
    content: Content,
    *,
    store: FileStore,
    actor: Actor,
    at: datetime,
) -> DocumentVersion:
    kept = files.store(
        session, store, content=content.data, name=content.name, media_type="application/pdf", actor=actor, at=at
    )
    version_id = new_id()
    job = jobs.enqueue(session, name=JOB, arguments={"version_id": str(version_id)}, actor=actor, at=at)
    version = DocumentVersion(
        id=version_id,
        document_id=document.id,
        number=number,
        file_id=kept.id,
        file_name=content.name,
        sha256=kept.sha256,
        size=kept.size,
        job_id=job.id,
        uploaded_by=actor.name,
        uploaded_at=at,
    )
    session.add(version)
    session.flush()
    after = {"number": number, "sha256": kept.sha256, "size": kept.size}
    audit.record(session, actor=actor, at=at, subject=version, verb="upload", after=after)
    return version


def withdraw_document(
    session: Session, *, document_id: uuid.UUID, reason: str, actor: Actor, at: datetime
) -> DocumentView:
    """Take a document out of the room, at once; its number and its record stay. Raises `NotFound`, `IllegalMove`."""
    document = _own_document(session, document_id, actor=actor)
    audit.transition(session, document, "withdraw", lifecycle=DOCUMENT, actor=actor, at=at, reason=reason)
    session.flush()
    return view_of(session, document)


def view_of(session: Session, document: Document) -> DocumentView:
    """Return a document with its versions and readings."""
    rows = session.execute(
        select(DocumentVersion, DocumentReading)
        .outerjoin(DocumentReading, DocumentReading.version_id == DocumentVersion.id)
        .where(DocumentVersion.document_id == document.id)
        .order_by(DocumentVersion.number)
    )
    return DocumentView(document, [VersionOf(version, reading) for version, reading in rows])


def visible_document(session: Session, document_id: uuid.UUID, *, actor: Actor, at: datetime) -> DocumentView:
    """Return a document that the actor may see; raise `NotFound`. Buyers see what is present and for them."""
    document = session.get(Document, document_id)
    if document is None:
        raise NotFound("document", document_id)
    try:
        if actor.organisation_kind is not OrganisationKind.BUYER:
            access.visible_room(session, document.room_id, actor=actor, at=at)
            return view_of(session, document)
        _, stands = access.entered_room(session, document.room_id, actor=actor, at=at)
    except NotFound:
        raise NotFound("document", document_id) from None
    session.refresh(document)
    if document.state is not DocumentState.PRESENT or document.audience not in stands.audiences:
        raise NotFound("document", document_id)
    return view_of(session, document)


def room_index(session: Session, *, room_id: uuid.UUID, actor: Actor, at: datetime) -> IndexView:
    """Return the index of a room as the actor may see it: names and numbers, no content. Raises `NotFound`."""
    documents = select(Document).where(Document.room_id == room_id)
    if actor.organisation_kind is OrganisationKind.BUYER:
        room, stands = access.entered_room(session, room_id, actor=actor, at=at)
        documents = documents.where(
            Document.state == DocumentState.PRESENT, Document.audience.in_(sorted(stands.audiences))
        )
    else:
        room = access.visible_room(session, room_id, actor=actor, at=at)
    folders = session.scalars(select(Folder).where(Folder.room_id == room.id)).all()
    views = _views(session, session.scalars(documents).all())
    return IndexView(
        room,
        sorted(folders, key=lambda folder: index.order(folder.index_number)),
        sorted(views, key=lambda view: index.order(view.document.index_number)),
    )


def _views(session: Session, documents: Sequence[Document]) -> list[DocumentView]:
    versions: dict[uuid.UUID, list[VersionOf]] = {document.id: [] for document in documents}
    rows = session.execute(
        select(DocumentVersion, DocumentReading)
        .outerjoin(DocumentReading, DocumentReading.version_id == DocumentVersion.id)
        .where(DocumentVersion.document_id.in_(versions))
        .order_by(DocumentVersion.number)
    )
    for version, reading in rows:
        versions[version.document_id].append(VersionOf(version, reading))
    return [DocumentView(document, versions[document.id]) for document in documents]


def read_version(session: Session, *, version_id: uuid.UUID, store: FileStore, at: datetime) -> DocumentReading:
    """Read a version in a child process and keep what came of it; a version that was read is not read again.

    The same bytes are not read twice either: a file that killed its reader twice stays known by its hash.
    """
    done = session.get(DocumentReading, version_id)
    if done is not None:
        return done
    version = session.get_one(DocumentVersion, version_id)
    known = _known(session, version.sha256)
    read = known or delivery.read(store.get(version.sha256))
    reading = DocumentReading(version_id=version_id, verdict=read.verdict, pages=read.pages, note=read.note, read_at=at)
    session.add(reading)
    session.flush()
    pages = [
        {"version_id": version_id, "number": number, "text": text}
        for number, text in enumerate(read.texts, start=1)
        if text
    ]
    if pages:
        session.execute(insert(DocumentPage), pages)
    return reading


def _known(session: Session, sha256: str) -> Reading | None:
    found = session.scalars(
        select(DocumentReading)
        .join(DocumentVersion, DocumentVersion.id == DocumentReading.version_id)
        .where(DocumentVersion.sha256 == sha256)
        .limit(1)
    ).first()
    if found is None:
        return None
    texts = [""] * found.pages
    for page in session.scalars(select(DocumentPage).where(DocumentPage.version_id == found.version_id)):
        texts[page.number - 1] = page.text
    return Reading(found.verdict, found.pages, tuple(texts), found.note)

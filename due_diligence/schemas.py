"""What the routes of due diligence take and give."""

from typing import Any

import marshmallow as ma

from due_diligence.disclosures import ExportFormat
from due_diligence.documents import DocumentView, VersionOf
from due_diligence.domain.rooms import (
    Audience,
    DisclosureKind,
    DocumentState,
    GrantBasis,
    GrantState,
    RoomAccess,
    RoomState,
)
from due_diligence.domain.verdicts import Verdict
from marketplace.actor import Actor, OrganisationKind
from marketplace.fields import Choice, Count, Flag, Id, Instant, Schema, Text, Upload

_AGREEMENT = 100_000


class RoomIn(Schema):
    """A room to be made."""

    package_id = Id(required=True)
    access = Choice(RoomAccess, required=True)


class RoomOut(Schema):
    """A room."""

    id = Id(required=True)
    package_id = Id(required=True)
    organisation_id = Id(required=True)
    access = Choice(RoomAccess, required=True)
    state = Choice(RoomState, required=True)
    created_at = Instant(required=True)


class AgreementIn(Schema):
    """The text of an agreement, in both languages."""

    text_zh = Text(maximum=_AGREEMENT, required=True)
    text_en = Text(maximum=_AGREEMENT, required=True)


class AgreementOut(Schema):
    """One version of a room's agreement; both texts under one hash."""

    id = Id(required=True)
    number = Count(required=True)
    text_zh = Text(required=True, maximum=_AGREEMENT)
    text_en = Text(required=True, maximum=_AGREEMENT)
    sha256 = Text(required=True, maximum=64)
    created_at = Instant(required=True)


class AcceptanceIn(Schema):
    """The hash of the text that was read and is accepted."""

    sha256 = Text(required=True, pattern="[0-9a-f]{64}", maximum=64)


class AcceptanceOut(Schema):
    """A promise made."""

    id = Id(required=True)
    sha256 = Text(required=True, maximum=64)
    organisation_id = Id(required=True)
    user_id = Id(required=True)
    user_name = Text(required=True)
    at = Instant(required=True)


class GrantIn(Schema):
    """Whom to invite."""

    organisation_id = Id(required=True)


class GrantOut(Schema):
    """An organisation's access."""

    id = Id(required=True)
    room_id = Id(required=True)
    organisation_id = Id(required=True)
    basis = Choice(GrantBasis, required=True)
    state = Choice(GrantState, required=True)
    created_at = Instant(required=True)


class FolderIn(Schema):
    """A folder to be added; without `parent_id` at the top."""

    parent_id = Id(load_default=None, allow_none=True)
    name = Text(required=True)


class FolderOut(Schema):
    """A folder."""

    id = Id(required=True)
    parent_id = Id(required=True, allow_none=True)
    index_number = Text(required=True)
    name = Text(required=True)


class DocumentForm(Schema):
    """The words that come with an upload."""

    title = Text(required=True)
    folder_id = Id(load_default=None)
    audience = Choice(Audience, load_default=Audience.BUYERS)


class DocumentFileIn(Schema):
    """An upload."""

    file = Upload(required=True)


class VerdictSentenceOut(Schema):
    """What it means and what to do."""

    zh = Text(required=True, maximum=1000)
    en = Text(required=True, maximum=1000)


class DocumentVersionOut(Schema):
    """One version of a document. Verdict, note and job are for the seller's side; buyers get null."""

    number = Count(required=True)
    file_name = Text(required=True, allow_none=True)
    sha256 = Text(required=True, allow_none=True)
    size = Count(required=True)
    pages = Count(required=True, allow_none=True)
    deliverable = Flag(required=True)
    verdict = Choice(Verdict, required=True, allow_none=True)
    sentence = ma.fields.Nested(VerdictSentenceOut, required=True, allow_none=True)
    note = Text(required=True, allow_none=True)
    job_id = Id(required=True, allow_none=True)
    uploaded_at = Instant(required=True)


class DocumentOut(Schema):
    """A document; the last of its versions is given out. Buyers see that one only."""

    id = Id(required=True)
    room_id = Id(required=True)
    folder_id = Id(required=True, allow_none=True)
    index_number = Text(required=True)
    title = Text(required=True)
    audience = Choice(Audience, required=True, allow_none=True)
    state = Choice(DocumentState, required=True)
    versions = ma.fields.List(ma.fields.Nested(DocumentVersionOut), required=True)


class RoomIndexOut(Schema):
    """A room's index: numbers and names, no content."""

    room = ma.fields.Nested(RoomOut, required=True)
    folders = ma.fields.List(ma.fields.Nested(FolderOut), required=True)
    documents = ma.fields.List(ma.fields.Nested(DocumentOut), required=True)


class RoomStandingOut(Schema):
    """How a buyer stands to a room: whether it has accepted the agreement that holds now."""

    accepted = Flag(required=True)
    agreement_sha256 = Text(required=True, allow_none=True)


class DownloadLinkOut(Schema):
    """A link, good for five minutes and for this organisation; the token is shown this once."""

    url = Text(required=True)
    token = Text(required=True)
    expires_at = Instant(required=True)
    file_name = Text(required=True, maximum=500)
    sha256 = Text(required=True)
    copy_number = Text(required=True, allow_none=True)
    disclosure_id = Id(required=True)


class DisclosureOut(Schema):
    """What was given to whom."""

    id = Id(required=True)
    at = Instant(required=True)
    kind = Choice(DisclosureKind, required=True)
    organisation_id = Id(required=True)
    organisation_name = Text(required=True)
    reader_id = Id(required=True)
    reader_name = Text(required=True)
    document_version_id = Id(required=True, allow_none=True)
    index_number = Text(required=True, allow_none=True)
    title = Text(required=True)
    version_number = Count(required=True, allow_none=True)
    original_sha256 = Text(required=True)
    copy_sha256 = Text(required=True)
    copy_number = Text(required=True, allow_none=True)
    link_id = Id(required=True)


class DisclosureExportArgs(Schema):
    """As what to export."""

    format = Choice(ExportFormat, load_default=ExportFormat.CSV)


def document(view: DocumentView, actor: Actor) -> dict[str, Any]:
    """Return a document as an actor may see it: a buyer gets no file names, verdicts, audiences or older versions."""
    outside = actor.organisation_kind is OrganisationKind.BUYER
    row = view.document
    shown = [view.current] if outside else view.versions
    return {
        "id": row.id,
        "room_id": row.room_id,
        "folder_id": row.folder_id,
        "index_number": row.index_number,
        "title": row.title,
        "audience": None if outside else row.audience,
        "state": row.state,
        "versions": [_version(entry, outside=outside) for entry in shown],
    }


def _version(entry: VersionOf, *, outside: bool) -> dict[str, Any]:
    version, reading = entry.version, entry.reading
    shown = {
        "number": version.number,
        "size": version.size,
        "pages": reading.pages if reading is not None and entry.deliverable else None,
        "deliverable": entry.deliverable,
        "uploaded_at": version.uploaded_at,
        "file_name": version.file_name,
        "sha256": version.sha256,
        "verdict": reading.verdict if reading is not None else None,
        "sentence": reading.sentence if reading is not None else None,
        "note": reading.note if reading is not None else None,
        "job_id": version.job_id,
    }
    inside = ("file_name", "sha256", "verdict", "sentence", "note", "job_id")
    return shown | dict.fromkeys(inside) if outside else shown

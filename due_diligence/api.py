"""Routes of due diligence: rooms, agreements, access, documents, links, disclosures."""

import re
import uuid
from typing import Any, Final

from flask import Response

from due_diligence import documents, models, schemas, service
from marketplace import http
from marketplace.actor import Role
from marketplace.db import Page
from marketplace.fields import PageArgs, ReasonIn, page_of
from marketplace.policies import allow, reads
from marketplace.runtime import current

blueprint = http.Blueprint("due_diligence", description="What is in it?")

_SELLERS: Final = (Role.SELLER_MANAGER, Role.SELLER_AGENT)
_BUYERS: Final = (Role.BUYER_BIDDER, Role.BUYER_ANALYST)
_MANAGE: Final = allow(Role.SELLER_MANAGER)
_FILL: Final = allow(*_SELLERS)
_READ: Final = allow(*_BUYERS)
_SEE: Final = reads(*_SELLERS, *_BUYERS)
_WATCH: Final = reads(*_SELLERS)
_FORM_BYTES: Final = 64 * 1024


@blueprint.post("/rooms", policy=_MANAGE)
@blueprint.arguments(schemas.RoomIn)
@blueprint.response(201, schemas.RoomOut)
def create_room(data: dict[str, Any]) -> models.Room:
    """Make the data room of a package."""
    return service.create_room(http.session(), **data, actor=http.actor(), at=http.at())


@blueprint.get("/rooms", policy=_SEE)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.RoomOut))
def list_rooms(query: dict[str, Any]) -> Page[models.Room]:
    """List the rooms one may see; for a buyer the open ones that it may enter."""
    return service.list_rooms(http.session(), **query, actor=http.actor(), at=http.at())


@blueprint.get("/rooms/<uuid:room_id>", policy=_SEE)
@blueprint.response(200, schemas.RoomOut)
def get_room(room_id: uuid.UUID) -> models.Room:
    """Show a room."""
    return service.visible_room(http.session(), room_id, actor=http.actor(), at=http.at())


@blueprint.post("/rooms/<uuid:room_id>/open", policy=_MANAGE)
@blueprint.response(200, schemas.RoomOut)
def open_room(room_id: uuid.UUID) -> models.Room:
    """Let buyers in."""
    return _move(room_id, "open")


@blueprint.post("/rooms/<uuid:room_id>/close", policy=_MANAGE)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.RoomOut)
def close_room(data: dict[str, Any], room_id: uuid.UUID) -> models.Room:
    """Shut buyers out, at once."""
    return _move(room_id, "close", **data)


@blueprint.post("/rooms/<uuid:room_id>/reopen", policy=_MANAGE)
@blueprint.response(200, schemas.RoomOut)
def reopen_room(room_id: uuid.UUID) -> models.Room:
    """Let buyers in again."""
    return _move(room_id, "reopen")


def _move(room_id: uuid.UUID, verb: str, reason: str = "") -> models.Room:
    return service.move_room(
        http.session(), room_id=room_id, verb=verb, reason=reason, actor=http.actor(), at=http.at()
    )


@blueprint.post("/rooms/<uuid:room_id>/agreement-versions", policy=_MANAGE)
@blueprint.arguments(schemas.AgreementIn)
@blueprint.response(201, schemas.AgreementOut)
def write_agreement(data: dict[str, Any], room_id: uuid.UUID) -> models.AgreementVersion:
    """Set the text of the confidentiality agreement; a new text has to be accepted anew."""
    return service.write_agreement(http.session(), room_id=room_id, **data, actor=http.actor(), at=http.at())


@blueprint.get("/rooms/<uuid:room_id>/agreement", policy=_SEE)
@blueprint.response(200, schemas.AgreementOut)
def get_agreement(room_id: uuid.UUID) -> models.AgreementVersion:
    """Read the confidentiality agreement that holds now."""
    return service.agreement_of(http.session(), room_id, actor=http.actor(), at=http.at())


@blueprint.post("/rooms/<uuid:room_id>/agreement/accept", policy=allow(Role.BUYER_BIDDER), idempotent=True)
@blueprint.arguments(schemas.AcceptanceIn)
@blueprint.response(201, schemas.AcceptanceOut)
def accept_agreement(data: dict[str, Any], room_id: uuid.UUID) -> models.AgreementAcceptance:
    """Accept the agreement for one's organisation, as a person; `sha256` says which text was read."""
    return service.accept_agreement(http.session(), room_id=room_id, **data, actor=http.actor(), at=http.at())


@blueprint.get("/rooms/<uuid:room_id>/standing", policy=_READ)
@blueprint.response(200, schemas.RoomStandingOut)
def get_standing(room_id: uuid.UUID) -> dict[str, Any]:
    """Say whether one's organisation has accepted the agreement that holds now."""
    room = service.visible_room(http.session(), room_id, actor=http.actor(), at=http.at())
    stands = service.standing(http.session(), room, organisation_id=http.actor().organisation_id, at=http.at())
    agreement = stands.agreement
    return {"accepted": stands.in_force, "agreement_sha256": agreement.sha256 if agreement is not None else None}


@blueprint.post("/rooms/<uuid:room_id>/grants", policy=_MANAGE)
@blueprint.arguments(schemas.GrantIn)
@blueprint.response(201, schemas.GrantOut)
def grant_access(data: dict[str, Any], room_id: uuid.UUID) -> models.Grant:
    """Invite an organisation."""
    return service.grant_access(http.session(), room_id=room_id, **data, actor=http.actor(), at=http.at())


@blueprint.get("/rooms/<uuid:room_id>/grants", policy=_WATCH)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.GrantOut))
def list_grants(query: dict[str, Any], room_id: uuid.UUID) -> Page[models.Grant]:
    """List who has, and had, access."""
    return service.list_grants(http.session(), room_id=room_id, **query, actor=http.actor(), at=http.at())


@blueprint.post("/grants/<uuid:grant_id>/revoke", policy=_MANAGE)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.GrantOut)
def revoke_access(data: dict[str, Any], grant_id: uuid.UUID) -> models.Grant:
    """Take access back, at once."""
    return service.revoke_access(http.session(), grant_id=grant_id, **data, actor=http.actor(), at=http.at())


@blueprint.post("/rooms/<uuid:room_id>/folders", policy=_FILL, idempotent=True)
@blueprint.arguments(schemas.FolderIn)
@blueprint.response(201, schemas.FolderOut)
def add_folder(data: dict[str, Any], room_id: uuid.UUID) -> models.Folder:
    """Add a folder; the server gives the index number."""
    return service.add_folder(http.session(), room_id=room_id, **data, actor=http.actor(), at=http.at())


@blueprint.post(
    "/rooms/<uuid:room_id>/documents",
    policy=_FILL,
    idempotent=True,
    max_bytes=documents.MAX_DOCUMENT_BYTES + _FORM_BYTES,
)
@blueprint.arguments(schemas.DocumentForm, location="form")
@blueprint.arguments(schemas.DocumentFileIn, location="files")
@blueprint.response(201, schemas.DocumentOut)
def add_document(form: dict[str, Any], upload: dict[str, Any], room_id: uuid.UUID) -> dict[str, Any]:
    """Upload a PDF as a new document; a job reads it (`job_id`), then its verdict is known."""
    view = service.add_document(
        http.session(),
        room_id=room_id,
        **form,
        content=_content(upload),
        store=current().files,
        actor=http.actor(),
        at=http.at(),
    )
    return schemas.document(view, http.actor())


@blueprint.post(
    "/documents/<uuid:document_id>/versions", policy=_FILL, max_bytes=documents.MAX_DOCUMENT_BYTES + _FORM_BYTES
)
@blueprint.arguments(schemas.DocumentFileIn, location="files")
@blueprint.response(201, schemas.DocumentOut)
def add_version(upload: dict[str, Any], document_id: uuid.UUID) -> dict[str, Any]:
    """Upload a new version; the old ones stay as they are. The same bytes change nothing."""
    view = service.add_version(
        http.session(),
        document_id=document_id,
        content=_content(upload),
        store=current().files,
        actor=http.actor(),
        at=http.at(),
    )
    return schemas.document(view, http.actor())


def _content(upload: dict[str, Any]) -> service.Content:
    file = upload["file"]
    name = re.sub(r"[\x00-\x1f\x7f/\\\ud800-\udfff]", "_", file.filename or "document.pdf")[-200:]
    return service.Content(name, file.stream.read())


@blueprint.get("/documents/<uuid:document_id>", policy=_SEE)
@blueprint.response(200, schemas.DocumentOut)
def get_document(document_id: uuid.UUID) -> dict[str, Any]:
    """Show a document: its place, its versions and, for the seller's side, what reading them came to."""
    view = service.visible_document(http.session(), document_id, actor=http.actor(), at=http.at())
    return schemas.document(view, http.actor())


@blueprint.post("/documents/<uuid:document_id>/withdraw", policy=_FILL)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.DocumentOut)
def withdraw_document(data: dict[str, Any], document_id: uuid.UUID) -> dict[str, Any]:
    """Take a document out of the room, at once; its number and record stay."""
    view = service.withdraw_document(http.session(), document_id=document_id, **data, actor=http.actor(), at=http.at())
    return schemas.document(view, http.actor())


@blueprint.get("/rooms/<uuid:room_id>/index", policy=_SEE)
@blueprint.response(200, schemas.RoomIndexOut)
def get_index(room_id: uuid.UUID) -> dict[str, Any]:
    """Show folders and documents by index number, without content."""
    view = service.room_index(http.session(), room_id=room_id, actor=http.actor(), at=http.at())
    return {
        "room": view.room,
        "folders": view.folders,
        "documents": [schemas.document(entry, http.actor()) for entry in view.documents],
    }


@blueprint.post("/documents/<uuid:document_id>/links", policy=_READ)
@blueprint.response(201, schemas.DownloadLinkOut)
def give_document(document_id: uuid.UUID) -> dict[str, Any]:
    """Ask for a marked copy: makes it, records the disclosure, gives a link good for five minutes."""
    return _link(
        service.give_document(
            http.session(), document_id=document_id, store=current().files, actor=http.actor(), at=http.at()
        )
    )


@blueprint.post("/rooms/<uuid:room_id>/tape-links", policy=_READ)
@blueprint.response(201, schemas.DownloadLinkOut)
def give_masked_tape(room_id: uuid.UUID) -> dict[str, Any]:
    """Ask for the masked tape: records the disclosure, gives a link good for five minutes."""
    return _link(
        service.give_masked_tape(
            http.session(), room_id=room_id, store=current().files, actor=http.actor(), at=http.at()
        )
    )


def _link(issued: service.IssuedLink) -> dict[str, Any]:
    return {
        "url": f"/api/v1/links/{issued.token}",
        "token": issued.token,
        "expires_at": issued.link.expires_at,
        "file_name": issued.link.file_name,
        "sha256": issued.link.sha256,
        "copy_number": issued.disclosure.copy_number,
        "disclosure_id": issued.disclosure.id,
    }


@blueprint.get("/links/<string(maxlength=64):token>", policy=_READ)
@blueprint.download("application/pdf", "text/csv")
def open_link(token: str) -> Response:
    """Download what a link leads to; every right is checked again."""
    got = service.open_link(http.session(), token=token, store=current().files, actor=http.actor(), at=http.at())
    return http.download(got.content, name=got.file_name, media_type=got.media_type)


@blueprint.get("/rooms/<uuid:room_id>/disclosures", policy=_WATCH)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.DisclosureOut))
def list_disclosures(query: dict[str, Any], room_id: uuid.UUID) -> Page[models.Disclosure]:
    """List what was given to whom, newest first."""
    return service.list_disclosures(http.session(), room_id=room_id, **query, actor=http.actor(), at=http.at())


@blueprint.get("/rooms/<uuid:room_id>/disclosures/export", policy=_WATCH)
@blueprint.arguments(schemas.DisclosureExportArgs, location="query")
@blueprint.download("text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
def export_disclosures(query: dict[str, Any], room_id: uuid.UUID) -> Response:
    """Download the whole record of disclosures, oldest first."""
    form: service.ExportFormat = query["format"]
    content = service.export_disclosures(http.session(), room_id=room_id, form=form, actor=http.actor(), at=http.at())
    media_type = {
        service.ExportFormat.CSV: "text/csv",
        service.ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    }[form]
    return http.download(content, name=f"disclosures.{form.value}", media_type=media_type)

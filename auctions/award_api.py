"""Routes of what follows the hammer: awards, eligibility, conflicts of interest."""

import uuid
from typing import Any

from flask import Response

from auctions import award_schemas as schemas
from auctions import award_turns, award_views, awards, conflicts, eligibility
from auctions.award_models import AwardProlongation, InterestConflict
from marketplace import http
from marketplace.actor import Role
from marketplace.db import Page
from marketplace.fields import ReasonIn, page_of
from marketplace.policies import allow, reads
from marketplace.runtime import current

blueprint = http.Blueprint("awards", description="What follows the hammer?")

_SELLER = (Role.SELLER_MANAGER, Role.SELLER_AGENT)
_BUYER = (Role.BUYER_BIDDER, Role.BUYER_ANALYST)
_COMPLIANCE = (Role.OPERATOR_ADMIN, Role.OPERATOR_COMPLIANCE)
_FORM_BYTES = 64 * 1024


def _file(award_id: uuid.UUID) -> award_views.AwardFile:
    return award_views.award_file(http.session(), award_id, actor=http.actor(), at=http.at())


@blueprint.get("/awards", policy=reads(*_SELLER, *_BUYER))
@blueprint.arguments(schemas.AwardArgs, location="query")
@blueprint.response(200, page_of(schemas.AwardOut))
def list_awards(page: dict[str, Any]) -> Page[award_views.AwardView]:
    """List the awards that one is concerned with, newest first; operator and auditor see all."""
    return award_views.list_awards(http.session(), **page, actor=http.actor())


@blueprint.get("/awards/<uuid:award_id>", policy=reads(*_SELLER, *_BUYER))
@blueprint.response(200, schemas.AwardFileOut)
def show_award(award_id: uuid.UUID) -> award_views.AwardFile:
    """Show an award with its deadlines to those concerned."""
    return _file(award_id)


@blueprint.post("/awards/<uuid:award_id>/confirm-protocol", policy=allow(Role.SELLER_MANAGER), idempotent=True)
@blueprint.response(200, schemas.AwardFileOut)
def confirm_protocol(award_id: uuid.UUID) -> award_views.AwardFile:
    """Confirm the protocol of an award, as its seller."""
    awards.confirm_protocol(http.session(), award_id=award_id, actor=http.actor(), at=http.at())
    return _file(award_id)


@blueprint.post(
    "/awards/<uuid:award_id>/prolong",
    policy=allow(Role.SELLER_MANAGER, Role.OPERATOR_ADMIN),
    idempotent=True,
    max_bytes=awards.MAX_DOCUMENT_BYTES + _FORM_BYTES,
)
@blueprint.arguments(schemas.ProlongFileIn, location="files")
@blueprint.arguments(schemas.ProlongIn, location="form")
@blueprint.response(201, schemas.ProlongationOut)
def prolong_award(files: dict[str, Any], form: dict[str, Any], award_id: uuid.UUID) -> AwardProlongation:
    """Give the contract of an award more time, on a document and with a reason; at most twice."""
    upload = files["file"]
    return awards.prolong(
        http.session(),
        award_id=award_id,
        **form,
        content=upload.read(),
        file_name=upload.filename or "document",
        media_type=upload.mimetype,
        store=current().files,
        actor=http.actor(),
        at=http.at(),
    )


@blueprint.get("/awards/<uuid:award_id>/prolongations/<int:number>/document", policy=reads(*_SELLER, *_BUYER))
@blueprint.download("application/octet-stream")
def prolongation_document(award_id: uuid.UUID, number: int) -> Response:
    """Give out the document of a prolongation to those concerned."""
    stored, content = award_views.prolongation_document(
        http.session(), award_id, number=number, store=current().files, actor=http.actor()
    )
    return http.download(content, name=stored.name, media_type="application/octet-stream")


@blueprint.post("/awards/<uuid:award_id>/fail", policy=allow(Role.SELLER_MANAGER, *_COMPLIANCE), idempotent=True)
@blueprint.arguments(schemas.FailAwardIn)
@blueprint.response(200, schemas.AwardFileOut)
def fail_award(data: dict[str, Any], award_id: uuid.UUID) -> award_views.AwardFile:
    """End an award in force, with a cause and a reason; a buyer's default bars it from the re-auction."""
    award_turns.fail_award(http.session(), award_id=award_id, **data, actor=http.actor(), at=http.at())
    return _file(award_id)


@blueprint.post(
    "/awards/<uuid:award_id>/promote", policy=allow(Role.SELLER_MANAGER, Role.OPERATOR_ADMIN), idempotent=True
)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.AwardFileOut)
def promote_award(data: dict[str, Any], award_id: uuid.UUID) -> award_views.AwardFile:
    """Give the next in line its turn, at its own price."""
    award_turns.promote_award(http.session(), award_id=award_id, **data, actor=http.actor(), at=http.at())
    return _file(award_id)


@blueprint.post(
    "/awards/<uuid:award_id>/release", policy=allow(Role.BUYER_BIDDER, Role.OPERATOR_ADMIN), idempotent=True
)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.AwardFileOut)
def release_award(data: dict[str, Any], award_id: uuid.UUID) -> award_views.AwardFile:
    """Stop waiting for one's turn, with a reason."""
    award_turns.release_award(http.session(), award_id=award_id, **data, actor=http.actor(), at=http.at())
    return _file(award_id)


@blueprint.get("/registrations/<uuid:registration_id>/eligibility", policy=reads(*_BUYER))
@blueprint.response(200, schemas.EligibilityOut)
def show_eligibility(registration_id: uuid.UUID) -> eligibility.Eligibility:
    """Show every condition of bidding with its result, as of now."""
    return eligibility.eligibility_of(http.session(), registration_id, actor=http.actor(), at=http.at())


@blueprint.get("/conflicts", policy=reads())
@blueprint.arguments(schemas.ConflictArgs, location="query")
@blueprint.response(200, page_of(schemas.ConflictOut))
def list_conflicts(page: dict[str, Any]) -> Page[InterestConflict]:
    """List conflicts of interest that were found, newest first, for compliance."""
    return conflicts.list_conflicts(http.session(), **page)


def _decide(conflict_id: uuid.UUID, verb: str, reason: str) -> InterestConflict:
    return conflicts.decide(
        http.session(), conflict_id=conflict_id, verb=verb, reason=reason, actor=http.actor(), at=http.at()
    )


@blueprint.post("/conflicts/<uuid:conflict_id>/clear", policy=allow(*_COMPLIANCE))
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.ConflictOut)
def clear_conflict(data: dict[str, Any], conflict_id: uuid.UUID) -> InterestConflict:
    """Find that a namesake is somebody else."""
    return _decide(conflict_id, "clear", **data)


@blueprint.post("/conflicts/<uuid:conflict_id>/uphold", policy=allow(*_COMPLIANCE))
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.ConflictOut)
def uphold_conflict(data: dict[str, Any], conflict_id: uuid.UUID) -> InterestConflict:
    """Find that a namesake is the same person: the bidder is barred from its next bid on."""
    return _decide(conflict_id, "uphold", **data)

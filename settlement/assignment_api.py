"""Routes of assignment notices: written for every borrower of a deal, then sent, delivered or returned."""

import uuid
from typing import Any

from flask import Response

from marketplace import http
from marketplace.actor import Role
from marketplace.cases.domain import sheet
from marketplace.db import Page
from marketplace.fields import ReasonIn, page_of
from marketplace.jobs import Job
from marketplace.policies import allow, reads
from settlement import aftersale_schemas as schemas
from settlement import assignment_notices as notices
from settlement import payer_documents, reports
from settlement.closing_models import AssignmentNotice

blueprint = http.Blueprint("assignment", description="Does every borrower know whom it owes?")

_PARTIES = reads(Role.SELLER_MANAGER, Role.SELLER_AGENT, Role.BUYER_BIDDER, Role.BUYER_ANALYST)
_SELLER = allow(Role.SELLER_MANAGER)
_READERS = allow(Role.SELLER_MANAGER, Role.BUYER_BIDDER)
PROOF_BYTES = payer_documents.MAX_BYTES + 64 * 1024


@blueprint.post("/deals/<uuid:deal_id>/assignment-notices", policy=_SELLER, idempotent=True)
@blueprint.response(202, schemas.AssignmentJobOut)
def write_notices(deal_id: uuid.UUID) -> Job:
    """Ask for a notice to every borrower of your sale that has none yet; watch the job under `/jobs/{id}`."""
    return notices.enqueue(http.session(), deal_id=deal_id, actor=http.actor(), at=http.at())


@blueprint.get("/deals/<uuid:deal_id>/assignment-notices", policy=_PARTIES)
@blueprint.arguments(schemas.AssignmentNoticeArgs, location="query")
@blueprint.response(200, page_of(schemas.AssignmentNoticeOut))
def list_notices(query: dict[str, Any], deal_id: uuid.UUID) -> Page[AssignmentNotice]:
    """List the notices of a deal, case by case, newest first."""
    return notices.list_notices(http.session(), deal_id=deal_id, **query, actor=http.actor())


@blueprint.post("/assignment-notices/<uuid:notice_id>/paper", policy=_READERS)
@blueprint.download(reports.MEDIA_TYPE)
def download_paper(notice_id: uuid.UUID) -> Response:
    """Download a notice as it was written; it names the borrower, so who reads it is recorded."""
    content = notices.paper(http.session(), notice_id=notice_id, actor=http.actor(), at=http.at())
    return http.download(content, name="assignment-notice.pdf", media_type=reports.MEDIA_TYPE)


@blueprint.post("/assignment-notices/<uuid:notice_id>/send", policy=_SELLER, idempotent=True)
@blueprint.arguments(schemas.NoticeSentIn)
@blueprint.response(200, schemas.AssignmentNoticeOut)
def send_notice(data: dict[str, Any], notice_id: uuid.UUID) -> AssignmentNotice:
    """Record that a notice was sent, or sent again after it came back."""
    return notices.send(http.session(), notice_id=notice_id, **data, actor=http.actor(), at=http.at())


@blueprint.post("/assignment-notices/<uuid:notice_id>/deliver", policy=_SELLER, idempotent=True)
@blueprint.arguments(schemas.NoticeDeliveredIn)
@blueprint.response(200, schemas.AssignmentNoticeOut)
def deliver_notice(data: dict[str, Any], notice_id: uuid.UUID) -> AssignmentNotice:
    """Record with its proof that a notice arrived: from that day the transfer binds the borrower."""
    return notices.deliver(http.session(), notice_id=notice_id, **data, actor=http.actor(), at=http.at())


@blueprint.post("/assignment-notices/<uuid:notice_id>/proof", policy=_SELLER, idempotent=True, max_bytes=PROOF_BYTES)
@blueprint.arguments(schemas.NoticeProofFile, location="files")
@blueprint.response(200, schemas.AssignmentNoticeOut)
def keep_proof(uploads: dict[str, Any], notice_id: uuid.UUID) -> AssignmentNotice:
    """Keep the paper that proves that a notice was sent or arrived (PDF, PNG, JPEG)."""
    upload = uploads["file"]
    return notices.keep_proof(
        http.session(),
        notice_id=notice_id,
        content=upload.read(),
        name=(upload.filename or "proof")[:200],
        actor=http.actor(),
        at=http.at(),
    )


@blueprint.post("/assignment-notices/<uuid:notice_id>/proof-paper", policy=_READERS)
@blueprint.download("application/pdf", "image/png", "image/jpeg")
def download_proof(notice_id: uuid.UUID) -> Response:
    """Download the paper that proves a delivery; who reads it is recorded."""
    kept, content = notices.read_proof(http.session(), notice_id=notice_id, actor=http.actor(), at=http.at())
    return http.download(content, name=kept.name, media_type=kept.media_type)


@blueprint.get("/deals/<uuid:deal_id>/assignment-notices/export.csv", policy=_PARTIES)
@blueprint.download(sheet.CSV)
def export_csv(deal_id: uuid.UUID) -> Response:
    """The notices of a deal as CSV, in the order of its cases."""
    rows = notices.table(http.session(), deal_id=deal_id, actor=http.actor())
    return http.download(sheet.to_csv(notices.HEADINGS, rows), name="assignment-notices.csv", media_type=sheet.CSV)


@blueprint.get("/deals/<uuid:deal_id>/assignment-notices/export.xlsx", policy=_PARTIES)
@blueprint.download(sheet.XLSX)
def export_xlsx(deal_id: uuid.UUID) -> Response:
    """The notices of a deal as a workbook."""
    rows = notices.table(http.session(), deal_id=deal_id, actor=http.actor())
    content = sheet.to_xlsx(notices.HEADINGS, rows, name="notices")
    return http.download(content, name="assignment-notices.xlsx", media_type=sheet.XLSX)


@blueprint.post("/assignment-notices/<uuid:notice_id>/return", policy=_SELLER, idempotent=True)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.AssignmentNoticeOut)
def return_notice(data: dict[str, Any], notice_id: uuid.UUID) -> AssignmentNotice:
    """Record that a notice came back undelivered."""
    return notices.send_back(http.session(), notice_id=notice_id, **data, actor=http.actor(), at=http.at())

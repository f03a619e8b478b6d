"""Routes of what is asked for and of what came for nothing: payment notices, tolerances, unapplied cash."""

import uuid
from typing import Any

from flask import Response

from marketplace import http
from marketplace.actor import Role
from marketplace.db import Page
from marketplace.fields import PageArgs, ReasonIn, page_of
from marketplace.policies import allow, reads, signed_in
from settlement import ledger_papers, notice_papers, notice_views, notices, reports, tolerances, unapplied
from settlement import notice_schemas as schemas
from settlement.deal_schemas import LanguageArgs
from settlement.domain.notices import Instalment
from settlement.ledger_schemas import LedgerFileArgs
from settlement.notice_models import PaymentTolerance
from settlement.notice_views import NoticeView
from settlement.notices import Terms

FINANCE = Role.OPERATOR_FINANCE
_PAYERS = reads(Role.BUYER_BIDDER, Role.BUYER_ANALYST)

blueprint = http.Blueprint("payment-notices", description="Who is asked for money, and what came for nothing?")


@blueprint.post(
    "/registrations/<uuid:registration_id>/payment-notices", policy=allow(Role.BUYER_BIDDER, FINANCE), idempotent=True
)
@blueprint.arguments(schemas.NoticeTermsIn)
@blueprint.response(201, schemas.NoticeOut)
def issue_deposit_notice(data: dict[str, Any], registration_id: uuid.UUID) -> NoticeView:
    """Ask for what is missing of a deposit; its bidder gets the notice that stands, or a new one."""
    return notices.issue_for_registration(
        http.session(), registration_id=registration_id, terms=Terms(**data), actor=http.actor(), at=http.at()
    )


@blueprint.post("/deals/<uuid:deal_id>/payment-notices", policy=allow(FINANCE), idempotent=True)
@blueprint.arguments(schemas.DealNoticesIn)
@blueprint.response(201, schemas.NoticesOut)
def issue_deal_notices(data: dict[str, Any], deal_id: uuid.UUID) -> dict[str, Any]:
    """Ask for the balance that is due, in one or in instalments."""
    parts = [Instalment(**part) for part in data.pop("parts")]
    items = notices.issue_for_deal(
        http.session(), deal_id=deal_id, parts=parts, terms=Terms(**data), actor=http.actor(), at=http.at()
    )
    return {"items": items}


@blueprint.get("/payment-notices", policy=_PAYERS)
@blueprint.arguments(schemas.NoticeArgs, location="query")
@blueprint.response(200, page_of(schemas.NoticeOut))
def list_notices(arguments: dict[str, Any]) -> Page[NoticeView]:
    """Payment notices, newest first; a buyer sees its own."""
    return notice_views.list_notices(http.session(), **arguments, actor=http.actor(), at=http.at())


@blueprint.get("/payment-notices/<uuid:notice_id>", policy=_PAYERS)
@blueprint.response(200, schemas.NoticeOut)
def get_notice(notice_id: uuid.UUID) -> NoticeView:
    """One payment notice."""
    return notice_views.get_notice(http.session(), notice_id=notice_id, actor=http.actor(), at=http.at())


@blueprint.get("/payment-notices/<uuid:notice_id>/notice.pdf", policy=_PAYERS)
@blueprint.arguments(LanguageArgs, location="query")
@blueprint.download(reports.MEDIA_TYPE)
def download_notice(query: dict[str, Any], notice_id: uuid.UUID) -> Response:
    """The payment notice as PDF, in Chinese or English."""
    view = notice_views.get_notice(http.session(), notice_id=notice_id, actor=http.actor(), at=http.at())
    content = notice_papers.notice(view, **query, at=http.at())
    return http.download(content, name=f"{view.notice.reference}.pdf", media_type=reports.MEDIA_TYPE)


@blueprint.post("/payment-notices/<uuid:notice_id>/cancel", policy=allow(FINANCE), idempotent=True)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.NoticeOut)
def cancel_notice(data: dict[str, Any], notice_id: uuid.UUID) -> NoticeView:
    """Take a notice back; money that still comes under its reference is looked at by a person."""
    return notices.cancel(http.session(), notice_id=notice_id, **data, actor=http.actor(), at=http.at())


@blueprint.post("/payment-notices/<uuid:notice_id>/reissue", policy=allow(FINANCE), idempotent=True)
@blueprint.arguments(schemas.ReissueIn)
@blueprint.response(201, schemas.NoticeOut)
def reissue_notice(data: dict[str, Any], notice_id: uuid.UUID) -> NoticeView:
    """Put a notice with other terms in the place of one; both references are understood."""
    reason = data.pop("reason")
    return notices.reissue(
        http.session(), notice_id=notice_id, reason=reason, terms=Terms(**data), actor=http.actor(), at=http.at()
    )


@blueprint.post("/payment-tolerances", policy=allow(Role.OPERATOR_ADMIN), idempotent=True)
@blueprint.arguments(schemas.ToleranceIn)
@blueprint.response(201, schemas.ToleranceOut)
def add_tolerance(data: dict[str, Any]) -> PaymentTolerance:
    """Say how much too little or too much is let go for a purpose from a day on; a deposit has no tolerance."""
    return tolerances.add_tolerance(http.session(), **data, actor=http.actor(), at=http.at())


@blueprint.get("/payment-tolerances", policy=signed_in())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.ToleranceOut))
def list_tolerances(page: dict[str, Any]) -> Page[PaymentTolerance]:
    """Tolerances, newest first."""
    return tolerances.list_tolerances(http.session(), **page)


@blueprint.get("/unapplied-cash", policy=reads())
@blueprint.response(200, schemas.UnappliedOut)
def show_unapplied_cash() -> unapplied.UnappliedReport:
    """What came and belongs to nothing yet, with its age: a liability."""
    return unapplied.report(http.session(), at=http.at())


@blueprint.get("/unapplied-cash/file", policy=reads())
@blueprint.arguments(LedgerFileArgs, location="query")
@blueprint.download(*ledger_papers.MEDIA_TYPES.values())
def download_unapplied_cash(arguments: dict[str, Any]) -> Response:
    """Unapplied cash as CSV, XLSX or PDF, oldest first, with a total for each currency and bucket."""
    kind = arguments["format"]
    table = ledger_papers.unapplied_table(
        unapplied.report(http.session(), at=http.at()), language=arguments["language"], at=http.at()
    )
    content = ledger_papers.write(table, kind=kind)
    return http.download(content, name=f"unapplied-cash.{kind.value}", media_type=ledger_papers.MEDIA_TYPES[kind])

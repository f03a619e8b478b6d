"""Routes of closings: terms and their approval, preview and proof, third parties, parts, price and net of each case."""

import uuid
from typing import Any

from flask import Response, request

from marketplace import documents, http
from marketplace.actor import Role, Scope
from marketplace.db import Page
from marketplace.documents import Node
from marketplace.fields import PageArgs, ReasonIn, page_of
from marketplace.policies import allow, reads, signed_in
from settlement import closing_schemas as schemas
from settlement import closings, instalments, parts, third_parties
from settlement.closing_models import ClosingTerms, DealPart
from settlement.domain.closing_document import close_document, verify

PREVIEW_BYTES = 8 * 1024 * 1024

blueprint = http.Blueprint("closings", description="What leaves the price, and what does each case receive?")

_PARTIES = reads(Role.SELLER_MANAGER, Role.SELLER_AGENT, Role.BUYER_BIDDER, Role.BUYER_ANALYST)
_SELLING = reads(Role.SELLER_MANAGER, Role.SELLER_AGENT)
_FINANCE = allow(Role.OPERATOR_FINANCE, Role.OPERATOR_ADMIN)


@blueprint.post("/deals/<uuid:deal_id>/closing-terms", policy=_FINANCE, idempotent=True)
@blueprint.arguments(schemas.TermsIn)
@blueprint.response(201, schemas.TermsOut)
def propose_terms(data: dict[str, Any], deal_id: uuid.UUID) -> ClosingTerms:
    """Propose costs, senior claims, liens, holdback, ceilings and order of a closing; another person approves."""
    return closings.propose_terms(http.session(), deal_id=deal_id, **data, actor=http.actor(), at=http.at())


@blueprint.get("/deals/<uuid:deal_id>/closing-terms", policy=_SELLING)
@blueprint.response(200, schemas.TermsListOut)
def list_terms(deal_id: uuid.UUID) -> dict[str, Any]:
    """List every version of a deal's terms, newest first; the newest approved one holds."""
    return {"items": closings.list_terms(http.session(), deal_id=deal_id, actor=http.actor())}


@blueprint.post("/closing-terms/<uuid:terms_id>/approve", policy=_FINANCE, idempotent=True)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.TermsOut)
def approve_terms(data: dict[str, Any], terms_id: uuid.UUID) -> ClosingTerms:
    """Approve terms that another person proposed."""
    return _decide_terms(terms_id, data, approve=True)


@blueprint.post("/closing-terms/<uuid:terms_id>/reject", policy=_FINANCE, idempotent=True)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.TermsOut)
def reject_terms(data: dict[str, Any], terms_id: uuid.UUID) -> ClosingTerms:
    """Reject terms; who proposed them may take them back too."""
    return _decide_terms(terms_id, data, approve=False)


def _decide_terms(terms_id: uuid.UUID, data: dict[str, Any], *, approve: bool) -> ClosingTerms:
    return closings.decide_terms(
        http.session(), terms_id=terms_id, approve=approve, **data, actor=http.actor(), at=http.at()
    )


@blueprint.post(
    "/deals/<uuid:deal_id>/closing-preview",
    policy=allow(Role.OPERATOR_FINANCE, Role.OPERATOR_ADMIN, Role.SELLER_MANAGER, scope=Scope.READ),
)
@blueprint.arguments(schemas.TermsPreviewIn)
@blueprint.response(200, schemas.ClosingOut)
def preview_closing(data: dict[str, Any], deal_id: uuid.UUID) -> dict[str, Any]:
    """Show the whole closing of a deal, case by case, under the terms given or in force; nothing is written."""
    return closings.preview(http.session(), deal_id=deal_id, **data, actor=http.actor())


@blueprint.get("/deals/<uuid:deal_id>/closing-proof.json", policy=_SELLING)
@blueprint.download("application/json")
def download_proof(deal_id: uuid.UUID) -> Response:
    """Download the proof package: inputs, result, hash; `python -m settlement verify` writes it again byte by byte."""
    content = closings.proof(http.session(), deal_id=deal_id, actor=http.actor())
    return http.download(content, name="closing-proof.json", media_type="application/json")


@blueprint.get("/deals/<uuid:deal_id>/third-parties", policy=_SELLING)
@blueprint.response(200, schemas.ThirdPartiesOut)
def list_third_parties(deal_id: uuid.UUID) -> dict[str, Any]:
    """List who is paid out of the price before the seller."""
    return {"items": third_parties.list_claims(http.session(), deal_id=deal_id, actor=http.actor())}


@blueprint.get("/deals/<uuid:deal_id>/parts", policy=_SELLING)
@blueprint.response(200, schemas.PartsOut)
def list_parts(deal_id: uuid.UUID) -> dict[str, Any]:
    """List the parts in which the cases receive the proceeds."""
    return {"items": parts.list_parts(http.session(), deal_id=deal_id, actor=http.actor())}


@blueprint.post("/deals/<uuid:deal_id>/parts", policy=_FINANCE, idempotent=True)
@blueprint.arguments(schemas.ReleaseIn)
@blueprint.response(201, schemas.PartOut)
def propose_release(data: dict[str, Any], deal_id: uuid.UUID) -> DealPart:
    """Propose to release some or all of the holdback; another person approves."""
    return parts.propose_release(http.session(), deal_id=deal_id, **data, actor=http.actor(), at=http.at())


@blueprint.post("/deal-parts/<uuid:part_id>/approve", policy=_FINANCE, idempotent=True)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.PartOut)
def approve_release(data: dict[str, Any], part_id: uuid.UUID) -> DealPart:
    """Approve a release that another person proposed: shared among the cases, the payout is proposed."""
    return _decide_release(part_id, data, approve=True)


@blueprint.post("/deal-parts/<uuid:part_id>/reject", policy=_FINANCE, idempotent=True)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.PartOut)
def reject_release(data: dict[str, Any], part_id: uuid.UUID) -> DealPart:
    """Reject a release; who proposed it may take it back too."""
    return _decide_release(part_id, data, approve=False)


def _decide_release(part_id: uuid.UUID, data: dict[str, Any], *, approve: bool) -> DealPart:
    return parts.decide_release(
        http.session(), part_id=part_id, approve=approve, **data, actor=http.actor(), at=http.at()
    )


@blueprint.get("/deals/<uuid:deal_id>/instalments", policy=_SELLING)
@blueprint.response(200, schemas.InstalmentsOut)
def list_instalments(deal_id: uuid.UUID) -> dict[str, Any]:
    """List the instalments of the price that are distributed, where the terms say per instalment."""
    return {"items": instalments.list_instalments(http.session(), deal_id=deal_id, actor=http.actor())}


@blueprint.get("/deal-instalments/<uuid:instalment_id>/cases", policy=_SELLING)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.CaseInstalmentOut))
def list_instalment_cases(page: dict[str, Any], instalment_id: uuid.UUID) -> Page[instalments.CaseInstalment]:
    """List what each case has of an instalment."""
    return instalments.list_cases(http.session(), instalment_id=instalment_id, **page, actor=http.actor())


@blueprint.get("/deals/<uuid:deal_id>/cases", policy=_PARTIES)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.CaseClosingOut))
def list_case_closings(page: dict[str, Any], deal_id: uuid.UUID) -> Page[closings.CaseShown]:
    """List price and net of every case side by side, as frozen at the closing."""
    return closings.list_case_closings(http.session(), deal_id=deal_id, **page, actor=http.actor())


@blueprint.post("/previews/close", policy=signed_in(scope=Scope.READ), max_bytes=PREVIEW_BYTES)
@blueprint.doc(requestBody={"required": True, "content": {"application/json": {"schema": {"type": "object"}}}})
@blueprint.response(200, schemas.ClosingOut)
def preview_document() -> dict[str, Any]:
    """Compute a closing document, as `python -m settlement close` does."""
    return close_document(_document())


@blueprint.post("/previews/verify", policy=signed_in(scope=Scope.READ), max_bytes=PREVIEW_BYTES)
@blueprint.doc(requestBody={"required": True, "content": {"application/json": {"schema": {"type": "object"}}}})
@blueprint.response(200, schemas.ProofOut)
def verify_document() -> dict[str, Any]:
    """Compute a proof package anew, as `python -m settlement verify` does."""
    return verify(_document())


def _document() -> Node:
    if not request.is_json:
        raise http.UnsupportedMediaType(request.mimetype)
    return Node(documents.parse(request.get_data()))

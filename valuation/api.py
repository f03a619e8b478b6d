"""Routes of valuation: appraisals, the model beside them, opinions of value, and the methods anyone can repeat."""

import contextlib
import uuid
from typing import Any

from flask import Response, request

from marketplace import documents, http, runtime
from marketplace.actor import Role, Scope
from marketplace.db import Page
from marketplace.fields import PageArgs, ReasonIn, page_of
from marketplace.policies import allow, reads, signed_in
from valuation import models, schemas, service
from valuation.domain import methods
from valuation.domain.appraisals import Signer, Submission

blueprint = http.Blueprint("valuation", description="What is it worth?")

PREVIEW_BYTES = 8 * 1024 * 1024
REPORT_BYTES = 64 * 1024 * 1024

_VALUER = allow(Role.VALUER_APPRAISER)
_SELLER = allow(Role.SELLER_MANAGER)
_OWNER_READS = reads(Role.SELLER_MANAGER, Role.SELLER_AGENT)
PDF = "application/pdf"
CSV = "text/csv"


@blueprint.post("/packages/<uuid:package_id>/appraisals", policy=_SELLER, idempotent=True)
@blueprint.arguments(schemas.AppraisalRequestIn)
@blueprint.response(201, schemas.AppraisalOut)
def request_appraisal(data: dict[str, Any], package_id: uuid.UUID) -> service.AppraisalShown:
    """Ask a valuer for an appraisal of a package."""
    return service.request_appraisal(http.session(), package_id=package_id, **data, actor=http.actor(), at=http.at())


@blueprint.get("/packages/<uuid:package_id>/appraisals", policy=signed_in())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.AppraisalOut))
def list_appraisals_of_package(page: dict[str, Any], package_id: uuid.UUID) -> Page[Any]:
    """List the appraisals of a package that you may see, newest first."""
    return service.list_appraisals(http.session(), package_id=package_id, **page, actor=http.actor())


@blueprint.get("/appraisals", policy=signed_in())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.AppraisalOut))
def list_appraisals(page: dict[str, Any]) -> Page[Any]:
    """List every appraisal that you may see, newest first."""
    return service.list_appraisals(http.session(), package_id=None, **page, actor=http.actor())


@blueprint.get("/appraisals/<uuid:appraisal_id>", policy=signed_in())
@blueprint.response(200, schemas.AppraisalOut)
def show_appraisal(appraisal_id: uuid.UUID) -> service.AppraisalShown:
    """Show an appraisal."""
    return service.get_appraisal(http.session(), appraisal_id, actor=http.actor())


@blueprint.post("/appraisals/<uuid:appraisal_id>/engage", policy=_VALUER)
@blueprint.arguments(schemas.EngageIn)
@blueprint.response(200, schemas.AppraisalOut)
def engage(data: dict[str, Any], appraisal_id: uuid.UUID) -> service.AppraisalShown:
    """Accept the task and declare independence."""
    return service.engage(http.session(), appraisal_id, **data, actor=http.actor(), at=http.at())


@blueprint.post("/appraisals/<uuid:appraisal_id>/decline", policy=_VALUER)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.AppraisalOut)
def decline(data: dict[str, Any], appraisal_id: uuid.UUID) -> service.AppraisalShown:
    """Give the task back."""
    return service.decline(http.session(), appraisal_id, **data, actor=http.actor(), at=http.at())


@blueprint.get("/appraisals/<uuid:appraisal_id>/tape.csv", policy=allow(Role.VALUER_APPRAISER, scope=Scope.READ))
@blueprint.download(CSV)
def tape(appraisal_id: uuid.UUID) -> Response:
    """Download the masked tape of the package to be valued, while engaged."""
    content = service.tape_for_valuer(http.session(), appraisal_id, actor=http.actor())
    return http.download(content, name=f"tape-{appraisal_id}.csv", media_type=CSV)


@blueprint.post("/appraisals/<uuid:appraisal_id>/report", policy=_VALUER, max_bytes=REPORT_BYTES)
@blueprint.arguments(schemas.ReportIn, location="files")
@blueprint.response(200, schemas.AppraisalOut)
def attach_report(data: dict[str, Any], appraisal_id: uuid.UUID) -> service.AppraisalShown:
    """Upload the report as a PDF; a later one takes the place of an earlier."""
    with contextlib.closing(data["file"]) as file:
        content, name = file.read(), (file.filename or "report.pdf").replace("\x00", "")[:200]
    return service.attach_report(
        http.session(), appraisal_id, content=content, name=name,
        store=runtime.current().files, actor=http.actor(), at=http.at(),
    )  # fmt: skip


@blueprint.get("/appraisals/<uuid:appraisal_id>/report", policy=signed_in())
@blueprint.download(PDF)
def report(appraisal_id: uuid.UUID) -> Response:
    """Download the report."""
    name, content = service.report_of(http.session(), appraisal_id, store=runtime.current().files, actor=http.actor())
    return http.download(content, name=name, media_type=PDF)


@blueprint.post("/appraisals/<uuid:appraisal_id>/submit", policy=_VALUER)
@blueprint.arguments(schemas.SubmissionIn)
@blueprint.response(200, schemas.AppraisalOut)
def submit(data: dict[str, Any], appraisal_id: uuid.UUID) -> service.AppraisalShown:
    """Submit the opinion; everything that is missing is named at once."""
    signers = [Signer(**signer) for signer in data.pop("signers")]
    submission = Submission(signers=signers, **data)
    return service.submit(http.session(), appraisal_id, submission=submission, actor=http.actor(), at=http.at())


@blueprint.post("/appraisals/<uuid:appraisal_id>/return", policy=_SELLER)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.AppraisalOut)
def return_appraisal(data: dict[str, Any], appraisal_id: uuid.UUID) -> service.AppraisalShown:
    """Send a submission back to the valuer with objections."""
    return service.decide(http.session(), appraisal_id, verb="return", **data, actor=http.actor(), at=http.at())


@blueprint.post("/appraisals/<uuid:appraisal_id>/accept", policy=_SELLER)
@blueprint.response(200, schemas.AppraisalOut)
def accept(appraisal_id: uuid.UUID) -> service.AppraisalShown:
    """Accept a submission."""
    return service.decide(http.session(), appraisal_id, verb="accept", actor=http.actor(), at=http.at())


@blueprint.post("/appraisals/<uuid:appraisal_id>/reject", policy=_SELLER)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.AppraisalOut)
def reject(data: dict[str, Any], appraisal_id: uuid.UUID) -> service.AppraisalShown:
    """Reject a submission for good."""
    return service.decide(http.session(), appraisal_id, verb="reject", **data, actor=http.actor(), at=http.at())


@blueprint.post("/assumption-sets", policy=allow(Role.SELLER_MANAGER, Role.OPERATOR_ADMIN), idempotent=True)
@blueprint.arguments(schemas.AssumptionSetIn)
@blueprint.response(201, schemas.AssumptionSetOut)
def save_assumptions(data: dict[str, Any]) -> models.AssumptionSet:
    """Keep a new version of what the model assumes; the operator's are for every seller."""
    return service.save_assumptions(http.session(), **data, actor=http.actor(), at=http.at())


@blueprint.get("/assumption-sets", policy=_OWNER_READS)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.AssumptionSetOut))
def list_assumptions(page: dict[str, Any]) -> Page[models.AssumptionSet]:
    """List sets of assumptions, newest first."""
    return service.list_assumptions(http.session(), **page, actor=http.actor())


@blueprint.post(
    "/packages/<uuid:package_id>/valuations", policy=allow(Role.SELLER_MANAGER, Role.OPERATOR_ADMIN), idempotent=True
)
@blueprint.arguments(schemas.ValuationIn)
@blueprint.response(201, schemas.ValuationOut)
def value_package(data: dict[str, Any], package_id: uuid.UUID) -> models.Valuation:
    """Compute the model over the frozen cases."""
    return service.value_package(http.session(), package_id=package_id, **data, actor=http.actor(), at=http.at())


@blueprint.get("/packages/<uuid:package_id>/valuations", policy=_OWNER_READS)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.ValuationOut))
def list_valuations(page: dict[str, Any], package_id: uuid.UUID) -> Page[models.Valuation]:
    """List the figures of the model for a package, newest first."""
    return service.list_valuations(http.session(), package_id=package_id, **page, actor=http.actor())


@blueprint.get("/packages/<uuid:package_id>/value-opinions", policy=_OWNER_READS)
@blueprint.response(200, schemas.OpinionsOut)
def show_opinions(package_id: uuid.UUID) -> dict[str, Any]:
    """Show accepted appraisals and the model side by side, each with the reserve it implies."""
    return {"items": service.value_opinions(http.session(), package_id, actor=http.actor(), at=http.at())}


@blueprint.post("/previews/value", policy=signed_in(scope=Scope.READ), max_bytes=PREVIEW_BYTES)
@blueprint.doc(requestBody={"required": True, "content": {"application/json": {"schema": {"type": "object"}}}})
@blueprint.response(200, schemas.ValueOut)
def preview_value() -> dict[str, Any]:
    """Compute a document `{"method", "currency", "inputs"}`, as `python -m valuation value` does."""
    if not request.is_json:
        raise http.UnsupportedMediaType(request.mimetype)
    return methods.value(documents.Node(documents.parse(request.get_data())))

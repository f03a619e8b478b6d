"""Routes of collection: receipts, contacts, levels, and the computations anyone can repeat."""

import uuid
from typing import Any

from flask import Response, request

from collection import models, schemas, service
from collection.domain import computations
from collection.domain.contact import Person, is_zone
from marketplace import documents, http, runtime
from marketplace.actor import Role, Scope
from marketplace.db import Page
from marketplace.errors import Invalid
from marketplace.fields import JobAsked, PageArgs, ReasonIn, page_of
from marketplace.jobs import Job
from marketplace.policies import allow, reads, signed_in

blueprint = http.Blueprint("collection", description="What has been done to recover it?")

_WORK = allow(Role.SELLER_MANAGER, Role.SELLER_AGENT)
_MANAGE = allow(Role.SELLER_MANAGER)
_READ = reads(Role.SELLER_MANAGER, Role.SELLER_AGENT)
PREVIEW_BYTES = 8 * 1024 * 1024


class UnknownZone(Invalid):
    """There is no such time zone."""

    code = "unknown_zone"

    def __init__(self, zone: str) -> None:
        super().__init__(f"There is no time zone {zone!r}; name one such as Asia/Shanghai.", found=zone)


@blueprint.get("/cases/<uuid:case_id>/receipts", policy=_READ)
@blueprint.response(200, schemas.CaseReceiptsOut)
def list_receipts(case_id: uuid.UUID) -> dict[str, Any]:
    """Show every receipt of a case, oldest first."""
    return {"items": service.receipts_of(http.session(), case_id, actor=http.actor())}


@blueprint.post("/cases/<uuid:case_id>/receipts", policy=_WORK, idempotent=True)
@blueprint.arguments(schemas.RepaymentIn)
@blueprint.response(201, schemas.CaseReceiptOut)
def record_repayment(data: dict[str, Any], case_id: uuid.UUID) -> models.CaseReceipt:
    """Record money that a borrower paid; it is applied to costs, interest, principal."""
    return service.record_repayment(http.session(), case_id=case_id, **data, actor=http.actor(), at=http.at())


@blueprint.post("/receipts/<uuid:receipt_id>/reverse", policy=_MANAGE, idempotent=True)
@blueprint.arguments(ReasonIn)
@blueprint.response(201, schemas.CaseReceiptOut)
def reverse_receipt(data: dict[str, Any], receipt_id: uuid.UUID) -> models.CaseReceipt:
    """Take a repayment back by a new row."""
    return service.reverse_receipt(http.session(), receipt_id, **data, actor=http.actor(), at=http.at())


@blueprint.get("/cases/<uuid:case_id>/contact-records", policy=_READ)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.ContactRecordOut))
def list_contacts(page: dict[str, Any], case_id: uuid.UUID) -> Page[Any]:
    """List the contacts of a case, refused ones included, newest first."""
    return service.contact_records(http.session(), case_id, **page, actor=http.actor())


@blueprint.post("/cases/<uuid:case_id>/contact-records", policy=_WORK, idempotent=True)
@blueprint.arguments(schemas.ContactIn)
@blueprint.response(201, schemas.ContactRecordOut)
def record_contact(data: dict[str, Any], case_id: uuid.UUID) -> Any:
    """Ask before a contact: allowed and recorded, or refused (403 `contact_refused` with the rule) and recorded too."""
    person = Person(_zone(data.pop("zone")), reachable=data.pop("reachable"), consent=data.pop("consent"))
    shown = service.record_contact(
        http.session(), case_id=case_id, person=person, vault=runtime.current().vault, **data,
        actor=http.actor(), at=http.at(),
    )  # fmt: skip
    refusal = service.refusal(shown.record)
    return shown if refusal is None else http.problem_response(refusal)


def _zone(name: str) -> str:
    if not is_zone(name):
        raise UnknownZone(name)
    return name


@blueprint.post("/contact-records/<uuid:contact_record_id>/outcome", policy=_WORK, idempotent=True)
@blueprint.arguments(schemas.OutcomeIn)
@blueprint.response(201, schemas.ContactRecordOut)
def record_outcome(data: dict[str, Any], contact_record_id: uuid.UUID) -> Any:
    """Record whether a contact was answered."""
    return service.record_outcome(http.session(), contact_record_id, **data, actor=http.actor(), at=http.at())


@blueprint.post("/application-orders", policy=_MANAGE, idempotent=True)
@blueprint.arguments(schemas.ApplicationOrderIn)
@blueprint.response(201, schemas.ApplicationOrderOut)
def save_application_order(data: dict[str, Any]) -> models.ApplicationOrder:
    """Say in which order money pays costs, interest and principal, of one case or of all of yours; the latest holds."""
    return service.save_application_order(http.session(), **data, actor=http.actor(), at=http.at())


@blueprint.get("/application-orders", policy=_READ)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.ApplicationOrderOut))
def list_application_orders(page: dict[str, Any]) -> Page[models.ApplicationOrder]:
    """List the orders in which money is applied, newest first."""
    return service.application_orders(http.session(), **page, actor=http.actor())


@blueprint.post("/level-rules", policy=_MANAGE, idempotent=True)
@blueprint.arguments(schemas.LevelRuleIn)
@blueprint.response(201, schemas.LevelRuleOut)
def save_level_rule(data: dict[str, Any]) -> models.LevelRuleVersion:
    """Keep a new version of your rule of levels; the latest holds."""
    return service.save_level_rule(http.session(), **data, actor=http.actor(), at=http.at())


@blueprint.get("/level-rules", policy=_READ)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.LevelRuleOut))
def list_level_rules(page: dict[str, Any]) -> Page[models.LevelRuleVersion]:
    """List the versions of rules, newest first."""
    return service.level_rules(http.session(), **page, actor=http.actor())


@blueprint.post("/cases/classify", policy=_MANAGE, idempotent=True)
@blueprint.response(200, schemas.ClassifiedOut)
@blueprint.alt_response(202, schema=JobAsked)
def classify_cases() -> service.LevelShown | Response:
    """Give every open case its level by the rule in force; of many cases a job does it (202)."""
    limit = runtime.current().settings.synchronous_cases
    done = service.ask_classify(http.session(), limit=limit, actor=http.actor(), at=http.at())
    return http.accepted(done.id) if isinstance(done, Job) else done


@blueprint.get("/cases/<uuid:case_id>/levels", policy=_READ)
@blueprint.response(200, schemas.CaseLevelsOut)
def list_levels(case_id: uuid.UUID) -> dict[str, Any]:
    """Show the levels of a case, the present one first."""
    return {"items": service.case_levels(http.session(), case_id, actor=http.actor())}


@blueprint.post("/previews/compute", policy=signed_in(scope=Scope.READ), max_bytes=PREVIEW_BYTES)
@blueprint.doc(requestBody={"required": True, "content": {"application/json": {"schema": {"type": "object"}}}})
@blueprint.response(200, schemas.ComputationOut)
def preview_computation() -> dict[str, Any]:
    """Compute a document `{"compute", "inputs"}`, as `python -m collection compute` does."""
    if not request.is_json:
        raise http.UnsupportedMediaType(request.mimetype)
    return computations.compute(documents.Node(documents.parse(request.get_data())))

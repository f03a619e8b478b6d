"""Routes of the cases: column mappings, tapes and their errors, cases."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from flask import Response

from marketplace import http
from marketplace.actor import Role
from marketplace.cases import models, reading, schemas, service
from marketplace.cases.domain.sheet import CSV, XLSX, to_csv, to_xlsx
from marketplace.db import Page
from marketplace.fields import PageArgs, ReasonIn, page_of
from marketplace.money import Money
from marketplace.policies import allow, reads
from marketplace.runtime import current

blueprint = http.Blueprint("cases", description="What is owed, by whom, secured by what?")

_SELLERS = (Role.SELLER_MANAGER, Role.SELLER_AGENT)
_READ = reads(*_SELLERS)
_ERROR_COLUMNS = ("row", "column", "found", "allowed", "code")
_CASE_COLUMNS = (
    "case_key", "product", "customer_type", "currency", "principal", "interest", "other", "days_past_due", "as_of_on",
    "default_on", "originated_on", "grade", "litigation", "written_off", "security", "credit_limit", "province", "city",
    "state",
)  # fmt: skip


@blueprint.post("/tape-mappings", policy=allow(*_SELLERS), idempotent=True)
@blueprint.arguments(schemas.MappingIn)
@blueprint.response(201, schemas.MappingOut)
def save_mapping(data: dict[str, Any]) -> models.TapeMapping:
    """Save a column mapping; it is never changed, so that an import can be repeated."""
    return service.save_mapping(http.session(), **data, actor=http.actor(), at=http.at())


@blueprint.get("/tape-mappings", policy=_READ)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.MappingOut))
def list_mappings(page: dict[str, Any]) -> Page[models.TapeMapping]:
    """List one's column mappings."""
    return service.list_mappings(http.session(), **page, actor=http.actor())


@blueprint.post("/tapes", policy=allow(*_SELLERS), max_bytes=reading.MAX_BYTES + 64 * 1024)
@blueprint.arguments(schemas.TapeFileIn, location="files")
@blueprint.arguments(schemas.TapeTermsIn, location="form")
@blueprint.response(202, schemas.TapeOut)
def deliver_tape(upload: dict[str, Any], terms: dict[str, Any]) -> models.Tape:
    """Deliver a tape; the import runs as a job. The same file again answers with the tape known already."""
    file = upload["file"]
    name = (file.filename or "tape").replace("\x00", "")[:200]
    delivery = service.Delivery(content=file.stream.read(), name=name, **terms)
    return service.deliver_tape(
        http.session(), delivery=delivery, store=current().files, actor=http.actor(), at=http.at()
    )


@blueprint.get("/tapes", policy=_READ)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.TapeOut))
def list_tapes(page: dict[str, Any]) -> Page[models.Tape]:
    """List tapes, newest first."""
    return service.list_tapes(http.session(), **page, actor=http.actor())


@blueprint.get("/tapes/<uuid:tape_id>", policy=_READ)
@blueprint.response(200, schemas.TapeOut)
def show_tape(tape_id: uuid.UUID) -> models.Tape:
    """Show a tape and what became of it."""
    return service.get_tape(http.session(), tape_id, actor=http.actor())


@blueprint.get("/tapes/<uuid:tape_id>/errors.csv", policy=_READ)
@blueprint.download(CSV)
def tape_errors_csv(tape_id: uuid.UUID) -> Response:
    """Download the errors of a tape: row, column, what was found, what is allowed."""
    rows = service.tape_errors(http.session(), tape_id, actor=http.actor())
    return http.download(to_csv(_ERROR_COLUMNS, rows), name=f"errors-{tape_id}.csv", media_type=CSV)


@blueprint.get("/tapes/<uuid:tape_id>/errors.xlsx", policy=_READ)
@blueprint.download(XLSX)
def tape_errors_xlsx(tape_id: uuid.UUID) -> Response:
    """Download the errors of a tape as a workbook."""
    rows = service.tape_errors(http.session(), tape_id, actor=http.actor())
    return http.download(to_xlsx(_ERROR_COLUMNS, rows), name=f"errors-{tape_id}.xlsx", media_type=XLSX)


@blueprint.get("/cases", policy=_READ)
@blueprint.arguments(schemas.CaseListArgs, location="query")
@blueprint.response(200, page_of(schemas.CaseOut))
def list_cases(query: dict[str, Any]) -> Page[models.Case]:
    """List cases, newest first."""
    return service.list_cases(http.session(), **query, actor=http.actor())


@blueprint.get("/cases/<uuid:case_id>", policy=_READ)
@blueprint.response(200, schemas.CaseFileOut)
def show_case(case_id: uuid.UUID) -> service.CaseFile:
    """Show a case with who owes (masked) and what secures it."""
    return service.case_file(http.session(), case_id, actor=http.actor())


@blueprint.post("/cases/<uuid:case_id>/withdraw", policy=allow(Role.SELLER_MANAGER))
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.CaseOut)
def withdraw_case(data: dict[str, Any], case_id: uuid.UUID) -> models.Case:
    """Take an open case back from the market."""
    return service.withdraw_case(http.session(), case_id, **data, actor=http.actor(), at=http.at())


@blueprint.post("/cases/<uuid:case_id>/reveal-identities", policy=allow(Role.SELLER_MANAGER))
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.IdentitiesOut)
def reveal_identities(data: dict[str, Any], case_id: uuid.UUID) -> dict[str, Any]:
    """Show the identities of a case in full to its seller's manager; who looked and why is recorded."""
    found = service.reveal_identities(
        http.session(), case_id, **data, vault=current().vault, actor=http.actor(), at=http.at()
    )
    return {"obligors": found}


@blueprint.get("/cases.csv", policy=_READ)
@blueprint.arguments(schemas.CaseFilterArgs, location="query")
@blueprint.download(CSV)
def export_cases_csv(query: dict[str, Any]) -> Response:
    """Download cases as CSV."""
    content = to_csv(_CASE_COLUMNS, _case_rows(service.export_cases(http.session(), **query, actor=http.actor())))
    return http.download(content, name="cases.csv", media_type=CSV)


@blueprint.get("/cases.xlsx", policy=_READ)
@blueprint.arguments(schemas.CaseFilterArgs, location="query")
@blueprint.download(XLSX)
def export_cases_xlsx(query: dict[str, Any]) -> Response:
    """Download cases as a workbook."""
    content = to_xlsx(_CASE_COLUMNS, _case_rows(service.export_cases(http.session(), **query, actor=http.actor())))
    return http.download(content, name="cases.xlsx", media_type=XLSX)


def _case_rows(cases: Sequence[models.Case]) -> Iterable[tuple[Any, ...]]:
    for case in cases:
        limit = None if case.credit_limit_minor is None else Money(case.credit_limit_minor, case.currency).text
        amounts = (case.principal_minor, case.interest_minor, case.other_minor)
        yield (
            case.case_key, case.product, case.customer_type.value, case.currency,
            *(Money(minor, case.currency).text for minor in amounts), case.days_past_due, case.as_of_on,
            case.default_on, case.originated_on, case.grade and case.grade.value, case.litigation.value,
            "true" if case.written_off else "false", case.security.value, limit, case.province, case.city,
            case.state.value,
        )  # fmt: skip

"""Routes of bank statements: our own accounts, statements, their lines, what those are for, the exception queue."""

import uuid
from typing import Any

from flask import Response

from marketplace import documents, http, runtime
from marketplace.actor import Role
from marketplace.cases.domain import sheet
from marketplace.db import Page
from marketplace.fields import JobAsked, PageArgs, ReasonIn, page_of
from marketplace.files import StoredFile
from marketplace.policies import allow, reads
from settlement import (
    bank,
    day_close,
    deciding,
    exceptions,
    matches,
    money_schemas,
    own_accounts,
    payer_documents,
    statement_jobs,
    suggesting,
)
from settlement import bank_schemas as schemas
from settlement.bank_models import OwnAccount
from settlement.domain.bank_csv import Column, CsvProfile
from settlement.domain.statements import MAX_BYTES
from settlement.models import BankStatement, PaymentOrder

FINANCE = Role.OPERATOR_FINANCE
_FORM_BYTES = 64 * 1024
_UPLOAD_BYTES = MAX_BYTES + _FORM_BYTES
_SECOND = allow(FINANCE, Role.OPERATOR_ADMIN)

blueprint = http.Blueprint("bank", description="What does the bank say, and what is it for?")


@blueprint.post("/own-accounts", policy=allow(FINANCE, Role.OPERATOR_ADMIN), idempotent=True)
@blueprint.arguments(schemas.OwnAccountIn)
@blueprint.response(201, schemas.OwnAccountOut)
def register_own_account(data: dict[str, Any]) -> OwnAccount:
    """Say that an account is ours; statements of any other account are refused."""
    return own_accounts.register_account(http.session(), **data, actor=http.actor(), at=http.at())


@blueprint.get("/own-accounts", policy=reads())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.OwnAccountOut))
def list_own_accounts(page: dict[str, Any]) -> Page[OwnAccount]:
    """Our accounts, newest first."""
    return own_accounts.list_accounts(http.session(), **page)


@blueprint.get("/own-accounts/<uuid:account_id>/day", policy=reads())
@blueprint.arguments(schemas.DayArgs, location="query")
@blueprint.response(200, schemas.DayOut)
def view_day(arguments: dict[str, Any], account_id: uuid.UUID) -> day_close.DayView:
    """Bank against books of an account at the end of a day, with what is in transit and why they differ."""
    return day_close.view_day(http.session(), account_id=account_id, **arguments)


@blueprint.post("/own-accounts/<uuid:account_id>/day-closes", policy=allow(FINANCE), idempotent=True)
@blueprint.arguments(schemas.DayCloseIn)
@blueprint.response(201, schemas.DayOut)
def close_day(data: dict[str, Any], account_id: uuid.UUID) -> day_close.DayView:
    """Close a day of an account: no difference, or an explained one."""
    return day_close.close_day(http.session(), account_id=account_id, **data, actor=http.actor(), at=http.at())


@blueprint.post("/bank-statements", policy=allow(FINANCE), idempotent=True, max_bytes=_UPLOAD_BYTES)
@blueprint.arguments(schemas.StatementFile, location="files")
@blueprint.arguments(schemas.StatementForm, location="form")
@blueprint.response(201, schemas.StatementsOut)
def import_statement(files: dict[str, Any], form: dict[str, Any]) -> dict[str, Any]:
    """Take in a bank statement (camt.053, MT940, BAI2, OFX, CSV): prove it, post each new line, match it.

    The same file again, or a line that another file brought already, changes nothing. Large files: /statement-imports.
    """
    upload = files["file"]
    items = bank.import_file(
        http.session(),
        store=runtime.current().files,
        content=upload.read(),
        name=(upload.filename or "statement")[:200],
        written_in=form["format"],
        profile=_profile(form),
        actor=http.actor(),
        at=http.at(),
    )
    return {"items": items}


@blueprint.post("/bank-statements/check", policy=allow(FINANCE), max_bytes=_UPLOAD_BYTES)
@blueprint.arguments(schemas.StatementFile, location="files")
@blueprint.arguments(schemas.StatementForm, location="form")
@blueprint.response(200, schemas.CheckedStatementsOut)
def check_statement(files: dict[str, Any], form: dict[str, Any]) -> dict[str, Any]:
    """Read a file and prove each statement by itself; nothing is stored."""
    items = statement_jobs.check(files["file"].read(), written_in=form["format"], profile=_profile(form))
    return {"items": items}


@blueprint.post("/statement-imports", policy=allow(FINANCE), idempotent=True, max_bytes=_UPLOAD_BYTES)
@blueprint.arguments(schemas.StatementFile, location="files")
@blueprint.arguments(schemas.StatementForm, location="form")
@blueprint.response(202, JobAsked)
def start_import(files: dict[str, Any], form: dict[str, Any]) -> dict[str, Any]:
    """Take in a large statement file as a job whose progress is shown under /jobs."""
    upload = files["file"]
    job = statement_jobs.enqueue(
        http.session(),
        store=runtime.current().files,
        content=upload.read(),
        name=(upload.filename or "statement")[:200],
        written_in=form["format"],
        profile=_profile(form),
        actor=http.actor(),
        at=http.at(),
    )
    return {"job_id": job.id}


def _profile(form: dict[str, Any]) -> CsvProfile:
    changes = {key: form[key] for key in ("date_order", "decimal_comma")} | {"columns": _columns(form["columns"])}
    return own_accounts.csv_profile(
        http.session(), name=form["profile"], account=form["account"], currency=form["currency"], changes=changes
    )


def _columns(text: str) -> dict[Column, str]:
    if not text:
        return {}
    node = documents.Node(documents.parse(text.encode()), "/columns")
    members = node.object((), tuple(Column))
    return {Column(name): child.text(maximum=60) for name, child in members.items() if child.given}


@blueprint.get("/bank-statements", policy=reads())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.StatementOut))
def list_statements(page: dict[str, Any]) -> Page[BankStatement]:
    """Bank statements, newest first."""
    return bank.list_statements(http.session(), **page)


@blueprint.get("/bank-statements/<uuid:statement_id>", policy=reads())
@blueprint.response(200, schemas.StatementWithLinesOut)
def get_statement(statement_id: uuid.UUID) -> bank.StatementView:
    """One statement with the lines that it brought."""
    return bank.get_statement(http.session(), statement_id=statement_id)


@blueprint.get("/statement-lines", policy=reads())
@blueprint.arguments(schemas.LineArgs, location="query")
@blueprint.response(200, page_of(schemas.StatementLineOut))
def list_lines(arguments: dict[str, Any]) -> Page[matches.LineView]:
    """Lines of statements, newest first; with `open=true` the unapplied cash and unexplained payments."""
    page = {name: arguments.pop(name) for name in ("cursor", "limit")}
    days = arguments.pop("older_than_days")
    until = None if days is None else exceptions.booked_before(http.at(), days=days)
    wanted = exceptions.LineFilter(only_open=arguments.pop("open"), booked_until=until, **arguments)
    return exceptions.list_lines(http.session(), wanted=wanted, **page)


@blueprint.get("/statement-lines/export.csv", policy=reads())
@blueprint.download("text/csv")
def export_queue_csv() -> Response:
    """The exception queue as CSV, oldest line first."""
    content = exceptions.queue_csv(http.session(), at=http.at())
    return http.download(content, name="statement-lines.csv", media_type=sheet.CSV)


@blueprint.get("/statement-lines/export.xlsx", policy=reads())
@blueprint.download(sheet.XLSX)
def export_queue_xlsx() -> Response:
    """The exception queue as a workbook, oldest line first."""
    content = exceptions.queue_xlsx(http.session(), at=http.at())
    return http.download(content, name="statement-lines.xlsx", media_type=sheet.XLSX)


@blueprint.get("/statement-lines/<uuid:line_id>/suggestions", policy=reads())
@blueprint.response(200, schemas.SuggestionsOut)
def list_suggestions(line_id: uuid.UUID) -> dict[str, Any]:
    """What an open line may be for, best first, with score and reasons. Nothing is chosen."""
    return suggesting.shown(http.session(), line_id=line_id)


@blueprint.post("/statement-lines/<uuid:line_id>/match", policy=allow(FINANCE), idempotent=True)
@blueprint.arguments(schemas.LineMatchIn)
@blueprint.response(200, schemas.StatementLineOut)
def match_line(data: dict[str, Any], line_id: uuid.UUID) -> matches.LineView:
    """Say what an open line is for; above the account's limit this is a proposal for a second person."""
    return deciding.match_line(http.session(), line_id=line_id, **data, actor=http.actor(), at=http.at())


@blueprint.post(
    "/statement-lines/<uuid:line_id>/documents",
    policy=allow(FINANCE),
    idempotent=True,
    max_bytes=payer_documents.MAX_BYTES + _FORM_BYTES,
)
@blueprint.arguments(schemas.LineDocumentFile, location="files")
@blueprint.response(201, schemas.LineDocumentOut)
def keep_document(files: dict[str, Any], line_id: uuid.UUID) -> StoredFile:
    """Keep a document that says why the payment of a third party counts (PDF, PNG, JPEG)."""
    upload = files["file"]
    return payer_documents.keep_document(
        http.session(),
        store=runtime.current().files,
        line_id=line_id,
        content=upload.read(),
        name=(upload.filename or "document")[:200],
        actor=http.actor(),
        at=http.at(),
    )


@blueprint.get("/match-proposals/<uuid:proposal_id>/document", policy=reads())
@blueprint.download("application/pdf", "image/png", "image/jpeg")
def download_document(proposal_id: uuid.UUID) -> Response:
    """The document on which a third party's payment is to be accepted."""
    kept = payer_documents.document_of(http.session(), proposal_id=proposal_id)
    content = runtime.current().files.get(kept.sha256)
    return http.download(content, name=kept.name, media_type=kept.media_type)


@blueprint.post(
    "/match-proposals/<uuid:proposal_id>/approve", policy=allow(FINANCE, Role.OPERATOR_ADMIN), idempotent=True
)
@blueprint.response(200, schemas.StatementLineOut)
def approve_proposal(proposal_id: uuid.UUID) -> matches.LineView:
    """Carry out a match that another person proposed."""
    return deciding.decide(
        http.session(), proposal_id=proposal_id, approved=True, reason="", actor=http.actor(), at=http.at()
    )


@blueprint.post("/match-proposals/<uuid:proposal_id>/refuse", policy=_SECOND, idempotent=True)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.StatementLineOut)
def refuse_proposal(data: dict[str, Any], proposal_id: uuid.UUID) -> matches.LineView:
    """Turn down a match that another person proposed."""
    return deciding.decide(
        http.session(), proposal_id=proposal_id, approved=False, **data, actor=http.actor(), at=http.at()
    )


@blueprint.post("/matches/<uuid:match_id>/unmatch", policy=allow(FINANCE), idempotent=True)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.StatementLineOut)
def unmatch(data: dict[str, Any], match_id: uuid.UUID) -> matches.LineView:
    """Take a match back: its entry is reversed and the line's money is open again."""
    return deciding.unmatch(http.session(), match_id=match_id, **data, actor=http.actor(), at=http.at())


@blueprint.post("/statement-lines/<uuid:line_id>/assign", policy=allow(FINANCE), idempotent=True)
@blueprint.arguments(schemas.AssignIn)
@blueprint.response(200, schemas.StatementLineOut)
def assign_line(data: dict[str, Any], line_id: uuid.UUID) -> matches.LineView:
    """Say who looks after a line of the exception queue."""
    return exceptions.assign_line(http.session(), line_id=line_id, **data, actor=http.actor(), at=http.at())


@blueprint.post("/statement-lines/<uuid:line_id>/refund", policy=allow(FINANCE), idempotent=True)
@blueprint.arguments(ReasonIn)
@blueprint.response(201, money_schemas.PaymentOrderOut)
def refund_line(data: dict[str, Any], line_id: uuid.UUID) -> PaymentOrder:
    """Propose to send back what is open of an incoming line, to the account it came from."""
    return matches.refund_line(http.session(), line_id=line_id, **data, actor=http.actor(), at=http.at())

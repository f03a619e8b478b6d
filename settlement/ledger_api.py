"""Routes of the books: accounts, entries, statements of account, corrections, closed days, checks."""

import uuid
from typing import Any

from flask import Response

from marketplace import http
from marketplace.actor import Role
from marketplace.db import Page
from marketplace.fields import PageArgs, ReasonIn, page_of
from marketplace.money import CurrencyMismatch
from marketplace.policies import allow, public, reads
from settlement import client_money, controls, corrections, journal, ledger, ledger_papers, periods
from settlement import ledger_schemas as schemas
from settlement import trial_balance as trial
from settlement.domain.ledger import Line
from settlement.ledger_models import ClientMoneyCheck, ClosedDay, Correction, CorrectionLimit
from settlement.ledger_papers import FileKind, Table

FINANCE = Role.OPERATOR_FINANCE
FILE_ROWS = 10_000
"""Lines of a statement of account in one file."""

blueprint = http.Blueprint("ledger", description="What do the books say, and can they be believed?")


def _file(table: Table, kind: FileKind, name: str) -> Response:
    content = ledger_papers.write(table, kind=kind)
    return http.download(content, name=f"{name}.{kind.value}", media_type=ledger_papers.MEDIA_TYPES[kind])


@blueprint.get("/ledger-accounts", policy=reads())
@blueprint.arguments(schemas.AccountArgs, location="query")
@blueprint.response(200, schemas.AccountsOut)
def list_accounts(arguments: dict[str, Any]) -> dict[str, Any]:
    """Accounts of the books with their balances, as of now or of the end of a value or posting date."""
    items = ledger.balances(http.session(), **arguments)
    full = len({item.key for item in items}) == arguments["limit"]
    return {"items": items, "next": items[-1].key if full else None}


@blueprint.get("/ledger-accounts/<string:key>/statement", policy=reads())
@blueprint.arguments(schemas.StatementOfAccountArgs, location="query")
@blueprint.response(200, schemas.StatementOfAccountOut)
def show_account_statement(arguments: dict[str, Any], key: str) -> journal.AccountStatement:
    """What moved on an account, by posting or value date, with the balance after each line."""
    return journal.account_statement(http.session(), key=key, **arguments)


@blueprint.get("/ledger-accounts/<string:key>/statement/file", policy=reads())
@blueprint.arguments(schemas.StatementOfAccountFileArgs, location="query")
@blueprint.download(*ledger_papers.MEDIA_TYPES.values())
def download_account_statement(arguments: dict[str, Any], key: str) -> Response:
    """The first ten thousand lines of a statement of account as CSV, XLSX or PDF."""
    kind, language = arguments.pop("format"), arguments.pop("language")
    found = journal.account_statement(http.session(), key=key, limit=FILE_ROWS, **arguments)
    table = ledger_papers.account_statement_table(found, language=language, at=http.at())
    return _file(table, kind, "account-statement")


@blueprint.get("/ledger-entries", policy=reads())
@blueprint.arguments(schemas.EntryArgs, location="query")
@blueprint.response(200, page_of(schemas.EntryOut))
def list_entries(arguments: dict[str, Any]) -> Page[journal.EntryView]:
    """Entries of the books with their lines, newest first."""
    return journal.list_entries(http.session(), **arguments)


@blueprint.post("/ledger-entries/<uuid:entry_id>/reverse", policy=allow(FINANCE), idempotent=True)
@blueprint.arguments(schemas.ReversalIn)
@blueprint.response(201, schemas.CorrectionOut)
def reverse_entry(data: dict[str, Any], entry_id: uuid.UUID) -> Correction:
    """Take an entry back by its mirror image; above the limit it waits for another person's approval."""
    return corrections.propose_reversal(http.session(), entry_id=entry_id, **data, actor=http.actor(), at=http.at())


@blueprint.post("/ledger-corrections", policy=allow(FINANCE), idempotent=True)
@blueprint.arguments(schemas.CorrectionIn)
@blueprint.response(201, schemas.CorrectionOut)
def propose_entry(data: dict[str, Any]) -> Correction:
    """Post an entry of one's own, such as a bank charge, to accounts without rows behind them; waits as a reversal."""
    amounts = [(one["account"], one["amount"]) for one in data.pop("lines")]
    currency = amounts[0][1].currency
    for _, amount in amounts:
        if amount.currency != currency:
            raise CurrencyMismatch(amount.currency, currency)
    lines = [Line(account, amount.minor) for account, amount in amounts]
    return corrections.propose_entry(
        http.session(), lines=lines, currency=currency, **data, actor=http.actor(), at=http.at()
    )


@blueprint.get("/ledger-corrections", policy=reads())
@blueprint.arguments(schemas.CorrectionArgs, location="query")
@blueprint.response(200, page_of(schemas.CorrectionOut))
def list_corrections(arguments: dict[str, Any]) -> Page[Correction]:
    """Corrections by hand, newest first."""
    return corrections.list_corrections(http.session(), **arguments)


@blueprint.post(
    "/ledger-corrections/<uuid:correction_id>/approve", policy=allow(FINANCE, Role.OPERATOR_ADMIN), idempotent=True
)
@blueprint.response(200, schemas.CorrectionOut)
def approve_correction(correction_id: uuid.UUID) -> Correction:
    """Say yes to a correction that another person proposed, and post it."""
    return corrections.approve_correction(http.session(), correction_id=correction_id, actor=http.actor(), at=http.at())


@blueprint.post(
    "/ledger-corrections/<uuid:correction_id>/reject", policy=allow(FINANCE, Role.OPERATOR_ADMIN), idempotent=True
)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.CorrectionOut)
def reject_correction(data: dict[str, Any], correction_id: uuid.UUID) -> Correction:
    """Say no to a correction; nothing is posted."""
    return corrections.reject_correction(
        http.session(), correction_id=correction_id, **data, actor=http.actor(), at=http.at()
    )


@blueprint.post("/ledger-correction-limits", policy=allow(Role.OPERATOR_ADMIN), idempotent=True)
@blueprint.arguments(schemas.CorrectionLimitIn)
@blueprint.response(201, schemas.CorrectionLimitOut)
def set_limit(data: dict[str, Any]) -> CorrectionLimit:
    """Say up to how much one person alone corrects the books in a currency; without a limit two always do."""
    limit = data["limit"]
    return corrections.set_limit(
        http.session(), limit_minor=limit.minor, currency=limit.currency, actor=http.actor(), at=http.at()
    )


@blueprint.get("/ledger/trial-balance", policy=reads())
@blueprint.arguments(schemas.TrialBalanceArgs, location="query")
@blueprint.response(200, schemas.TrialBalanceOut)
def show_trial_balance(arguments: dict[str, Any]) -> trial.TrialBalance:
    """Debits and credits of every name of the chart, as of both dates; equal in each currency."""
    return trial.trial_balance(http.session(), **arguments)


@blueprint.get("/ledger/trial-balance/file", policy=reads())
@blueprint.arguments(schemas.TrialBalanceFileArgs, location="query")
@blueprint.download(*ledger_papers.MEDIA_TYPES.values())
def download_trial_balance(arguments: dict[str, Any]) -> Response:
    """The trial balance as CSV, XLSX or PDF."""
    kind, language = arguments.pop("format"), arguments.pop("language")
    found = trial.trial_balance(http.session(), **arguments)
    return _file(ledger_papers.trial_balance_table(found, language=language, at=http.at()), kind, "trial-balance")


@blueprint.post("/ledger/closed-days", policy=allow(FINANCE), idempotent=True)
@blueprint.arguments(schemas.CloseDaysIn)
@blueprint.response(201, schemas.ClosedDaysOut)
def close_days(data: dict[str, Any]) -> dict[str, Any]:
    """Close every open day through one that is over; it happens by itself every night. Never opened again."""
    items = periods.close_days(http.session(), through=data["through_on"], actor=http.actor(), at=http.at())
    return {"items": items}


@blueprint.get("/ledger/closed-days", policy=reads())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.ClosedDayOut))
def list_closed_days(page: dict[str, Any]) -> Page[ClosedDay]:
    """Closed days with what lies in them, newest first."""
    return periods.list_days(http.session(), **page)


@blueprint.get("/ledger/heads", policy=public())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.LedgerHeadOut))
def list_heads(page: dict[str, Any]) -> Page[ClosedDay]:
    """The hash of each closed day, newest first, for anybody to keep: no day before it can be changed unnoticed."""
    return periods.list_days(http.session(), **page)


@blueprint.get("/ledger/verification", policy=reads())
@blueprint.response(200, schemas.LedgerVerificationOut)
def verify_ledger() -> periods.Verification:
    """Recompute the hash of every closed day from its rows; name the first that differs."""
    return periods.verify(http.session())


@blueprint.get("/ledger/control-totals", policy=reads())
@blueprint.response(200, schemas.ControlTotalsOut)
def show_control_totals() -> dict[str, Any]:
    """Each control account of the books against the rows behind it."""
    items = controls.control_totals(http.session())
    return {"agrees": not any(item.difference for item in items), "items": items}


@blueprint.post("/client-money-checks", policy=allow(FINANCE), idempotent=True)
@blueprint.response(201, schemas.ClientMoneyChecksOut)
def check_client_money() -> dict[str, Any]:
    """Check now whether what is in the bank is what we owe; a currency that passes is paid out again."""
    return {"items": client_money.check(http.session(), actor=http.actor(), at=http.at())}


@blueprint.get("/client-money-checks", policy=reads())
@blueprint.arguments(schemas.ClientMoneyArgs, location="query")
@blueprint.response(200, page_of(schemas.ClientMoneyCheckOut))
def list_client_money_checks(arguments: dict[str, Any]) -> Page[ClientMoneyCheck]:
    """Results of the client-money check, newest first; the newest of a currency decides."""
    return client_money.list_checks(http.session(), **arguments)


@blueprint.get("/client-money-checks/file", policy=reads())
@blueprint.arguments(schemas.LedgerFileArgs, location="query")
@blueprint.download(*ledger_papers.MEDIA_TYPES.values())
def download_client_money(arguments: dict[str, Any]) -> Response:
    """The newest result of each currency as CSV, XLSX or PDF."""
    rows = client_money.latest(http.session())
    table = ledger_papers.client_money_table(rows, language=arguments["language"], at=http.at())
    return _file(table, arguments["format"], "client-money")

"""Bank statements: taken in whole or not at all, each line once whatever file it comes in, posted, then matched.

Before a line is stored the statement is held against itself (balances, running balances), against our list of own
accounts, and against where the account stood after the statement before (`domain.account_chain`).
"""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from marketplace import audit, db, files, memory
from marketplace.actor import Actor
from marketplace.errors import NotFound
from marketplace.files import FileStore
from settlement import ledger, matches, matching_run, overlaps, own_accounts
from settlement.bank_models import OwnAccount
from settlement.domain import ledger as books
from settlement.domain.account_chain import Link, follow
from settlement.domain.bank_csv import CsvProfile
from settlement.domain.matching import Finding
from settlement.domain.reading import read_statements
from settlement.domain.statements import ParsedStatement, StatementFormat, admit
from settlement.matching_run import NewLine, Report
from settlement.models import BankStatement, StatementLine

SHOWN_LINES = 500
"""Lines that come with a statement; the others are read page by page under /statement-lines."""

_LINE_COLUMNS: Final = (
    "id", "statement_id", "position", "account_number", "currency", "amount_minor", "booked_on", "value_on",
    "remittance", "end_to_end_id", "counterparty_name", "counterparty_account", "bank_reference", "fingerprint",
    "occurrence", "finding", "sub_account",
)  # fmt: skip
_MEDIA_TYPES: Final = {
    StatementFormat.CAMT: "application/xml",
    StatementFormat.CSV: "text/csv",
    StatementFormat.OFX: "application/x-ofx",
}


@dataclass(frozen=True, slots=True)
class StatementView:
    """A statement with its first lines and their matches; `added` lines were new, the others known from elsewhere."""

    statement: BankStatement
    lines: Sequence[matches.LineView]


@dataclass(slots=True)
class _Taken:
    """A statement on its way in: its account, which of its lines are new, and its row."""

    account: OwnAccount
    new: list[overlaps.NewLine]
    row: BankStatement


def import_file(
    session: Session,
    *,
    store: FileStore,
    content: bytes,
    name: str,
    written_in: StatementFormat | None,
    profile: CsvProfile,
    actor: Actor,
    at: datetime,
    report: Report = lambda _done, _total, _step: None,
) -> list[StatementView]:
    """Take in every statement of a file: prove, store, post each new line, match it. The same file again adds nothing.

    Raises `StatementUnreadable`, `StatementUnproven`, `AccountNotOurs`, `StatementGap`; nothing is stored then.
    """
    with memory.uncollected():
        return _import(
            session,
            store=store,
            content=content,
            name=name,
            written_in=written_in,
            profile=profile,
            actor=actor,
            at=at,
            report=report,
        )


def _import(
    session: Session,
    *,
    store: FileStore,
    content: bytes,
    name: str,
    written_in: StatementFormat | None,
    profile: CsvProfile,
    actor: Actor,
    at: datetime,
    report: Report,
) -> list[StatementView]:
    parsed = read_statements(content, written_in=written_in, profile=profile)
    for statement in parsed:
        admit(statement)
    report(0, sum(len(statement.lines) for statement in parsed), "proven")
    sha256 = hashlib.sha256(content).hexdigest()
    accounts = _lock_accounts(session, parsed)
    known = session.scalars(
        select(BankStatement).where(BankStatement.sha256 == sha256).order_by(BankStatement.position)
    ).all()
    if known:
        return [_view(session, statement) for statement in known]
    taken = _chain(session, parsed, accounts, sha256=sha256, actor=actor, at=at)
    media_type = _MEDIA_TYPES.get(parsed[0].format, "text/plain")
    file = files.store(session, store, content=content, name=name, media_type=media_type, actor=actor, at=at)
    for one in taken:
        one.row.file_id = file.id
        session.add(one.row)
        session.flush()
        audit.record(session, actor=actor, at=at, subject=one.row, verb="import", after={"lines": len(one.new)})
    rows = [row for one in taken for row in _rows(one)]
    _match(session, sorted(rows, key=lambda row: row["booked_on"]), actor=actor, at=at, report=report)
    return [_view(session, session.get_one(BankStatement, one.row.id)) for one in taken]


def _lock_accounts(session: Session, parsed: Sequence[ParsedStatement]) -> dict[tuple[str, str], OwnAccount]:
    """Find our account of each statement and hold them all until the end of the transaction."""
    found = {
        (one.account, one.currency): own_accounts.account_of(session, number=one.account, currency=one.currency)
        for one in parsed
    }
    for account_id in sorted({account.id for account in found.values()}):
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"bank:{account_id}"})
    return found


def _chain(
    session: Session,
    parsed: Sequence[ParsedStatement],
    accounts: Mapping[tuple[str, str], OwnAccount],
    *,
    sha256: str,
    actor: Actor,
    at: datetime,
) -> list[_Taken]:
    """Hold each statement against where its account stands, one after the other as the file brings them."""
    links: dict[uuid.UUID, Link] = {}
    sorted_out = overlaps.Overlaps(session, parsed, accounts)
    taken = []
    for position, statement in enumerate(parsed, start=1):
        account = accounts[statement.account, statement.currency]
        link = links.get(account.id) or own_accounts.link_of(session, account)
        new = sorted_out.new_lines(position, head=link.head)
        total = sum(line.amount.minor for line in statement.lines)
        known_minor = total - sum(line.amount.minor for _, line, _ in new)
        after = follow(link, statement, known_minor=known_minor, new_count=len(new), numbered=account.numbered)
        links[account.id] = after
        row = _row(statement, account, link=after, position=position, sha256=sha256, actor=actor, at=at)
        row.new_line_count = len(new)
        taken.append(_Taken(account, new, row))
    return taken


def _row(
    statement: ParsedStatement,
    account: OwnAccount,
    *,
    link: Link,
    position: int,
    sha256: str,
    actor: Actor,
    at: datetime,
) -> BankStatement:
    return BankStatement(
        id=db.new_id(),
        sha256=sha256,
        position=position,
        format=statement.format,
        account_number=account.number,
        currency=account.currency,
        reference=statement.reference,
        from_on=statement.from_on,
        to_on=statement.to_on,
        opening_minor=statement.opening.minor if statement.opening is not None else None,
        closing_minor=statement.closing.minor if statement.closing is not None else None,
        proven=True,
        line_count=len(statement.lines),
        pending_count=statement.pending,
        imported_at=at,
        imported_by=actor.name,
        own_account_id=account.id,
        number=link.number,
        page=link.page,
        head_minor=link.head.minor,
    )


def _rows(taken: _Taken) -> list[dict[str, Any]]:
    ids = db.new_ids(len(taken.new))
    return [
        {
            "id": line_id,
            "statement_id": taken.row.id,
            "position": position,
            "account_number": taken.account.number,
            "currency": taken.account.currency,
            "amount_minor": line.amount.minor,
            "booked_on": line.booked_on,
            "value_on": line.value_on,
            "remittance": line.remittance,
            "end_to_end_id": line.end_to_end_id,
            "counterparty_name": line.counterparty_name,
            "counterparty_account": line.counterparty_account,
            "bank_reference": line.bank_reference,
            "fingerprint": identity.fingerprint,
            "occurrence": identity.occurrence,
            "finding": Finding.NO_REFERENCE,
            "sub_account": line.sub_account,
        }
        for line_id, (position, line, identity) in zip(ids, taken.new, strict=True)
    ]


def _match(session: Session, rows: Sequence[dict[str, Any]], *, actor: Actor, at: datetime, report: Report) -> None:
    """Decide, store, post and match new lines."""
    lines = [NewLine.of(row) for row in rows]
    decisions = matching_run.decide(session, lines, actor=actor, at=at)
    db.copy_rows(session, "statement_lines", _LINE_COLUMNS, rows)
    report(0, len(rows), "stored")
    _post(session, rows, actor=actor, at=at, report=report)
    matching_run.write(session, decisions, actor=actor, at=at, report=report)


def _post(session: Session, rows: Sequence[dict[str, Any]], *, actor: Actor, at: datetime, report: Report) -> None:
    """Put every line into the books: the bank account moves as the bank says, whatever the line turns out to be for."""
    drafts = []
    for row in rows:
        if row["amount_minor"] > 0:
            debit, credit = books.BANK, books.unapplied(row["id"])
        elif row["amount_minor"] < 0:
            debit, credit = books.unexplained(row["id"]), books.BANK
        else:
            continue
        drafts.append(
            ledger.Draft(
                source_kind="statement_line",
                source_id=row["id"],
                description=f"Bank line {row['bank_reference'] or row['fingerprint'][:12]}",
                lines=books.transfer(debit=debit, credit=credit, amount_minor=abs(row["amount_minor"])),
                currency=row["currency"],
                value_on=row["value_on"],
            )
        )
    for start in range(0, len(drafts), matching_run.CHUNK):
        part = drafts[start : start + matching_run.CHUNK]
        ledger.post_many(session, part, actor=actor, at=at)
        report(start + len(part), len(drafts), "posting")


def _view(session: Session, statement: BankStatement) -> StatementView:
    lines = session.scalars(
        select(StatementLine)
        .where(StatementLine.statement_id == statement.id)
        .order_by(StatementLine.position)
        .limit(SHOWN_LINES)
    ).all()
    return StatementView(statement, matches.views(session, lines=lines))


def get_statement(session: Session, *, statement_id: uuid.UUID) -> StatementView:
    """Return a statement with its first lines; raise `NotFound`."""
    statement = session.get(BankStatement, statement_id)
    if statement is None:
        raise NotFound("bank statement", statement_id)
    return _view(session, statement)


def list_statements(session: Session, *, cursor: str | None, limit: int) -> db.Page[BankStatement]:
    """Return a page of statements, newest first."""
    return db.page(session, select(BankStatement), key_column=BankStatement.id, cursor=cursor, limit=limit)

"""Bank statements: taken in whole or not at all, each line once whatever file it comes in, posted, then matched."""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from marketplace import audit, db, files
from marketplace.actor import Actor
from marketplace.errors import NotFound
from marketplace.files import FileStore
from settlement import ledger, matches
from settlement.domain import ledger as books
from settlement.domain.bank_csv import CsvProfile, parse_csv
from settlement.domain.camt import looks_like_camt, parse_camt
from settlement.domain.matching import Finding
from settlement.domain.statements import (
    LineIdentity,
    ParsedLine,
    ParsedStatement,
    StatementFormat,
    StatementUnreadable,
    identify,
    prove,
)
from settlement.models import BankStatement, StatementLine

SHOWN_LINES = 500
"""Lines that come with a statement; the others are read page by page under /statement-lines."""


@dataclass(frozen=True, slots=True)
class StatementView:
    """A statement with its first lines and their matches; `added` lines were new, the others known from elsewhere."""

    statement: BankStatement
    lines: Sequence[matches.LineView]


def read_statements(
    content: bytes,
    *,
    written_in: StatementFormat | None,
    profile: CsvProfile,
) -> list[ParsedStatement]:
    """Read a file in the named format, or the one it looks like; raise `StatementUnreadable`."""
    if written_in is None:
        written_in = StatementFormat.CAMT if looks_like_camt(content) else StatementFormat.CSV
    return parse_camt(content) if written_in is StatementFormat.CAMT else [parse_csv(content, profile)]


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
) -> list[StatementView]:
    """Take in every statement of a file: prove, store, post each new line, match it. The same file again adds nothing.

    Raises `StatementUnreadable`, `StatementUnproven`; nothing is stored then.
    """
    parsed = read_statements(content, written_in=written_in, profile=profile)
    proven = [_admitted(statement) for statement in parsed]
    sha256 = hashlib.sha256(content).hexdigest()
    for account in sorted({statement.account for statement in parsed}):
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"bank:{account}"})
    known = session.scalars(
        select(BankStatement).where(BankStatement.sha256 == sha256).order_by(BankStatement.position)
    ).all()
    if known:
        return [_view(session, statement) for statement in known]
    file = files.store(session, store, content=content, name=name, media_type=_media_type(parsed), actor=actor, at=at)
    identities = _identities(parsed)
    imported = []
    for position, statement in enumerate(parsed, start=1):
        row = _row(statement, position=position, proven=proven[position - 1], sha256=sha256, actor=actor, at=at)
        row.file_id = file.id
        new = _new_lines(session, statement, identities[position - 1])
        row.new_line_count = len(new)
        session.add(row)
        session.flush()
        audit.record(session, actor=actor, at=at, subject=row, verb="import", after={"lines": len(new)})
        lines = _store_lines(session, row, new)
        _post_lines(session, lines, actor=actor, at=at)
        for line in lines:
            matches.match_automatically(session, line=line, actor=actor, at=at)
        session.flush()
        imported.append(row)
    return [_view(session, row) for row in imported]


def _admitted(statement: ParsedStatement) -> bool:
    """Prove a statement and refuse what is none; return whether there was anything to prove."""
    if statement.kind != "statement":
        raise StatementUnreadable(
            f"a {statement.kind} (camt.052, camt.054) is no statement; take the camt.053 of the day."
        )
    if not statement.account:
        raise StatementUnreadable("nothing says which account it is of.")
    return prove(statement)


def _media_type(parsed: Sequence[ParsedStatement]) -> str:
    return "application/xml" if parsed[0].format is StatementFormat.CAMT else "text/csv"


def _identities(parsed: Sequence[ParsedStatement]) -> list[list[LineIdentity]]:
    """Identify the lines of a whole file, account by account: two statements of one account count on."""
    result: list[list[LineIdentity]] = [[] for _ in parsed]
    for account, currency in dict.fromkeys((statement.account, statement.currency) for statement in parsed):
        mine = [n for n, one in enumerate(parsed) if (one.account, one.currency) == (account, currency)]
        identities = iter(identify(account, [line for n in mine for line in parsed[n].lines]))
        for n in mine:
            result[n] = [next(identities) for _ in parsed[n].lines]
    return result


def _row(
    statement: ParsedStatement, *, position: int, proven: bool, sha256: str, actor: Actor, at: datetime
) -> BankStatement:
    return BankStatement(
        id=db.new_id(),
        sha256=sha256,
        position=position,
        format=statement.format,
        account_number=statement.account,
        currency=statement.currency,
        reference=statement.reference,
        from_on=statement.from_on,
        to_on=statement.to_on,
        opening_minor=statement.opening.minor if statement.opening is not None else None,
        closing_minor=statement.closing.minor if statement.closing is not None else None,
        proven=proven,
        line_count=len(statement.lines),
        pending_count=statement.pending,
        imported_at=at,
        imported_by=actor.name,
    )


def _new_lines(
    session: Session, statement: ParsedStatement, identities: Sequence[LineIdentity]
) -> list[tuple[int, ParsedLine, LineIdentity]]:
    """Return (position, line, identity) of the lines that no earlier file brought."""
    fingerprints = list({identity.fingerprint for identity in identities})
    known = set()
    for start in range(0, len(fingerprints), 10_000):
        known |= {
            (fingerprint, occurrence)
            for fingerprint, occurrence in session.execute(
                select(StatementLine.fingerprint, StatementLine.occurrence).where(
                    StatementLine.account_number == statement.account,
                    StatementLine.currency == statement.currency,
                    StatementLine.fingerprint.in_(fingerprints[start : start + 10_000]),
                )
            )
        }
    return [
        (position, line, identity)
        for position, (line, identity) in enumerate(zip(statement.lines, identities, strict=True), start=1)
        if (identity.fingerprint, identity.occurrence) not in known
    ]


def _store_lines(
    session: Session, statement: BankStatement, new: Sequence[tuple[int, ParsedLine, LineIdentity]]
) -> list[StatementLine]:
    rows = [
        {
            "id": db.new_id(),
            "statement_id": statement.id,
            "position": position,
            "account_number": statement.account_number,
            "currency": statement.currency,
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
        }
        for position, line, identity in new
    ]
    if rows:
        session.execute(insert(StatementLine), rows)
    return list(
        session.scalars(
            select(StatementLine)
            .where(StatementLine.statement_id == statement.id)
            .order_by(StatementLine.booked_on, StatementLine.position)
        )
    )


def _post_lines(session: Session, lines: Sequence[StatementLine], *, actor: Actor, at: datetime) -> None:
    """Put every line into the books: the bank account moves as the bank says, whatever the line turns out to be for."""
    drafts = []
    for line in lines:
        if line.amount_minor > 0:
            debit, credit = books.BANK, books.unapplied(line.id)
        elif line.amount_minor < 0:
            debit, credit = books.unexplained(line.id), books.BANK
        else:
            continue
        drafts.append(
            ledger.Draft(
                source_kind="statement_line",
                source_id=line.id,
                description=f"Bank line {line.bank_reference or line.fingerprint[:12]}",
                lines=books.transfer(debit=debit, credit=credit, amount_minor=abs(line.amount_minor)),
                currency=line.currency,
                value_on=line.value_on,
            )
        )
    for start in range(0, len(drafts), 5_000):
        ledger.post_all(session, drafts[start : start + 5_000], actor=actor, at=at)


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

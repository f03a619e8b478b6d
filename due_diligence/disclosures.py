"""The record of what was given to whom, for the room's seller, the operator and the auditor; as a list and a file."""

import csv
import enum
import io
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import xlsxwriter
from sqlalchemy import select
from sqlalchemy.orm import Session

from due_diligence import access
from due_diligence.models import Disclosure, Room
from marketplace import db
from marketplace.actor import Actor, OrganisationKind
from marketplace.clock import format_instant
from marketplace.db import Page
from marketplace.errors import NotFound

_COLUMNS: Final = (
    "时间 at",
    "机构 organisation",
    "使用人 reader",
    "类型 kind",
    "编号 index number",
    "文件 title",
    "版本 version",
    "副本编号 copy number",
    "原件 original sha256",
    "副本 copy sha256",
    "链接 link id",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class ExportFormat(enum.StrEnum):
    """As what the record is written."""

    CSV = "csv"
    XLSX = "xlsx"


def _room(session: Session, room_id: uuid.UUID, *, actor: Actor, at: datetime) -> Room:
    if actor.organisation_kind is OrganisationKind.BUYER:
        raise NotFound("room", room_id)
    return access.visible_room(session, room_id, actor=actor, at=at)


def list_disclosures(
    session: Session, *, room_id: uuid.UUID, actor: Actor, at: datetime, cursor: str | None, limit: int
) -> Page[Disclosure]:
    """Return the disclosures of a room, newest first; raise `NotFound` to buyers and strangers."""
    room = _room(session, room_id, actor=actor, at=at)
    query = select(Disclosure).where(Disclosure.room_id == room.id)
    return db.page(session, query, key_column=Disclosure.id, cursor=cursor, limit=limit)


def export_disclosures(
    session: Session, *, room_id: uuid.UUID, form: ExportFormat, actor: Actor, at: datetime
) -> bytes:
    """Return the whole record of a room, oldest first, as CSV (UTF-8 with mark) or XLSX; raise `NotFound`.

    Names that a spreadsheet would take for a formula are written as text.
    """
    room = _room(session, room_id, actor=actor, at=at)
    rows = session.scalars(
        select(Disclosure)
        .where(Disclosure.room_id == room.id)
        .order_by(Disclosure.id)
        .execution_options(yield_per=1000)
    )
    lines = (_line(row) for row in rows)
    return _csv(lines) if form is ExportFormat.CSV else _xlsx(lines)


def _line(row: Disclosure) -> tuple[str, ...]:
    values = (
        format_instant(row.at),
        row.organisation_name,
        row.reader_name,
        row.kind.value,
        row.index_number,
        row.title,
        row.version_number,
        row.copy_number,
        row.original_sha256,
        row.copy_sha256,
        row.link_id,
    )
    return tuple("" if value is None else str(value) for value in values)


def _csv(lines: Iterator[tuple[str, ...]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for line in lines:
        writer.writerow(f"'{value}" if value.startswith(_FORMULA) else value for value in line)
    return text.getvalue().encode("utf-8-sig")


def _xlsx(lines: Iterator[tuple[str, ...]]) -> bytes:
    target = io.BytesIO()
    with xlsxwriter.Workbook(
        target, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    ) as book:
        sheet = book.add_worksheet("披露记录")
        sheet.write_row(0, 0, _COLUMNS)
        for number, line in enumerate(lines, start=1):
            for column, value in enumerate(line):
                sheet.write_string(number, column, value)
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(_COLUMNS) - 1, 20)
    return target.getvalue()

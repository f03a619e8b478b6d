"""A child process that turns one sheet of an XLSX file into UTF-8 CSV, with bounded time and memory.

Run as `python -m marketplace.cases.workbook SOURCE TARGET [SHEET]`. A bomb or a damaged file kills this process, never
a worker. What it decides: a number cell counts to 15 significant digits, which is what spreadsheets keep and show
(0.1+0.2 is stored as 0.30000000000000004 and means 0.3); a longer whole number stays in exponent form and no column
takes it. Error and formula cells are written as `#ERROR` and `=FORMULA`, which no column takes either: a formula's
stored result may be stale, the sender must save values.
"""

import csv
import datetime as dt
import io
import re
import resource
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree as SafeXml
from defusedxml.common import DefusedXmlException
from python_calamine import CalamineError, CalamineWorkbook

REFUSED: Final = 3
MAX_UNPACKED: Final = 1024 * 1024 * 1024
MAX_PARTS: Final = 2_000
MAX_CELLS: Final = 64_000_000
MAX_SMALL_PART: Final = 16 * 1024 * 1024
MEMORY_BYTES: Final = 4 * 1024 * 1024 * 1024
CPU_SECONDS: Final = 200
MAX_SAFE: Final = 10**15
_CHUNK: Final = 1024 * 1024
_LOCAL_HEADER: Final = 30

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_ODD_CELL = re.compile(
    rb'<c\b(?=[^>]*\br="([A-Z]{1,3})([0-9]{1,7})")(?:([^>]*\bt="e"[^>]*)>|[^>]*(?<!/)>\s*<f\b)', re.ASCII
)
_CELL_AT = re.compile(rb'<(?:row|c)\b[^>]*?\br="([A-Z]{0,3})([0-9]{1,7})"', re.ASCII)


class BadWorkbook(Exception):
    """The file is no workbook that can be read; the message says why."""


def check_shell(content: bytes) -> zipfile.ZipFile:
    """Open the ZIP and check that it is a workbook of a sane size by what it declares; raise `BadWorkbook`."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        raise BadWorkbook("The file is a damaged ZIP or XLSX.") from None
    parts = archive.infolist()
    if "xl/workbook.xml" not in archive.NameToInfo:
        raise BadWorkbook("The file is a ZIP but no XLSX workbook: send the CSV or XLSX itself.")
    if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED:
        raise BadWorkbook(f"The workbook unpacks to more than {MAX_UNPACKED} bytes or {MAX_PARTS} parts.")
    if any(part.flag_bits & 1 for part in parts):
        raise BadWorkbook("The workbook is protected by a password; send it without one.")
    return archive


def _inflate(content: bytes, part: zipfile.ZipInfo, limit: int) -> bytes:
    """Unpack one part, counting what really comes out instead of believing what is declared."""
    start = part.header_offset
    names = int.from_bytes(content[start + 26 : start + 28], "little") + int.from_bytes(
        content[start + 28 : start + 30], "little"
    )
    raw = content[start + _LOCAL_HEADER + names :][: part.compress_size]
    if part.compress_type == zipfile.ZIP_STORED:
        return raw
    if part.compress_type != zipfile.ZIP_DEFLATED:
        raise BadWorkbook("The workbook is packed in an unusual way; save it again.")
    stream, pieces, size = zlib.decompressobj(-15), [], 0
    try:
        while raw and not stream.eof:
            piece = stream.decompress(raw, _CHUNK)
            raw, size = stream.unconsumed_tail, size + len(piece)
            pieces.append(piece)
            if size > limit:
                raise BadWorkbook(f"A part of the workbook unpacks to more than {limit} bytes.")
    except zlib.error:
        raise BadWorkbook("The workbook is damaged.") from None
    return b"".join(pieces)


def _small(content: bytes, archive: zipfile.ZipFile, name: str) -> Element:
    try:
        return SafeXml.fromstring(_inflate(content, archive.getinfo(name), MAX_SMALL_PART))
    except (KeyError, ParseError, DefusedXmlException):
        raise BadWorkbook(f"The part {name} of the workbook is missing or damaged.") from None


def _choose_sheet(content: bytes, archive: zipfile.ZipFile, wanted: str) -> tuple[str, str]:
    """Return name and part of the sheet asked for, or of the first visible one."""
    targets = {
        relation.get("Id"): relation.get("Target", "")
        for relation in _small(content, archive, "xl/_rels/workbook.xml.rels")
    }
    sheets = [
        (sheet.get("name", ""), targets.get(sheet.get(_RELATION)) or "", sheet.get("state", "visible"))
        for sheet in _small(content, archive, "xl/workbook.xml").iter(_MAIN + "sheet")
    ]
    for name, target, state in sheets:
        if name == wanted or (not wanted and state == "visible"):
            return name, target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    names = ", ".join(name for name, _, _ in sheets)[:200]
    raise BadWorkbook(f"The workbook has no sheet {wanted!r}; it has: {names}.")


def _look_at(xml: bytes) -> dict[tuple[int, int], str]:
    """Bound the area of a sheet before it is unfolded, and find its formula and error cells by (row, column)."""
    rows, columns = 0, 0
    for match in _CELL_AT.finditer(xml):
        rows, columns = max(rows, int(match[2])), max(columns, _column(match[1]))
    if rows * columns > MAX_CELLS:
        raise BadWorkbook(f"The sheet spans {rows} rows and {columns} columns; at most {MAX_CELLS} cells are read.")
    return {
        (int(match[2]), _column(match[1])): "#ERROR" if match[3] else "=FORMULA" for match in _ODD_CELL.finditer(xml)
    }


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def cell_text(value: Any) -> str:
    """Return a cell as text; see the module for numbers."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return _number(float(value))
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time.min else value.isoformat(" ")
    return value.isoformat() if isinstance(value, (dt.date, dt.time)) else str(value)


def _number(value: float) -> str:
    if value.is_integer() and abs(value) < MAX_SAFE:
        return str(int(value))
    text = f"{value:.15g}"
    if "e-" in text and abs(value) < 1:
        return f"{value:.20f}".rstrip("0").rstrip(".")
    return text


def convert(content: bytes, target: Path, wanted: str) -> None:
    """Write one sheet as CSV; raise `BadWorkbook`."""
    archive = check_shell(content)
    name, part = _choose_sheet(content, archive, wanted)
    if part not in archive.NameToInfo:
        raise BadWorkbook(f"The sheet {name!r} is missing from the workbook.")
    for other in archive.infolist():
        if other.filename != part:
            _inflate(content, other, MAX_UNPACKED)
    odd = _look_at(_inflate(content, archive.NameToInfo[part], MAX_UNPACKED))
    try:
        rows = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_name(name).iter_rows()
        _write(rows, odd, target)
    except (CalamineError, ValueError, OSError) as error:
        raise BadWorkbook(f"The workbook cannot be read: {str(error)[:200]}.") from None


def _write(rows: Any, odd: dict[tuple[int, int], str], target: Path) -> None:
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for number, row in enumerate(rows, start=1):
            cells = [cell_text(value) for value in row]
            if odd:
                cells = [odd.get((number, column), cell) for column, cell in enumerate(cells, start=1)]
            writer.writerow(cells)


def main(arguments: list[str]) -> int:
    """Convert under limits; exit code 3 and one sentence on standard error when the file is at fault."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    source, target, wanted = arguments
    try:
        convert(Path(source).read_bytes(), Path(target), wanted)
    except BadWorkbook as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

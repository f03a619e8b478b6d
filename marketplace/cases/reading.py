"""From the bytes of a tape to a table of text: encodings, separators, workbooks, and the bounds of each.

Rows are numbered as a spreadsheet shows them: the header is row 1, blank rows count, a quoted line break does not start
a row. Nothing is interpreted here; every cell stays text.
"""

import codecs
import csv
import io
import itertools
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from marketplace.cases import workbook
from marketplace.cases.domain.mapping import ColumnMapping, Encoding
from marketplace.errors import Invalid

MAX_BYTES: Final = 256 * 1024 * 1024
MAX_ROWS: Final = 1_000_000
MAX_COLUMNS: Final = 512
MAX_HEADER_BYTES: Final = 64 * 1024
WORKBOOK_SECONDS: Final = 240

ROW: Final = "row"
"""Name of the column that numbers the rows; the others are `c0`, `c1`, …"""

_SEPARATORS: Final = ",;\t|"
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class TapeUnreadable(Invalid):
    """The file as a whole cannot be read as a tape."""

    code = "tape_unreadable"


class TapeTooLarge(Invalid):
    """The file is beyond a bound."""

    code = "tape_too_large"

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"The file has more than {limit} {what}; split it.", allowed=limit)


@dataclass(frozen=True, slots=True)
class Table:
    """Header and rows as text; empty cells are null, blank rows are left out. `ragged` are rows with too many cells."""

    header: tuple[str, ...]
    rows: pl.DataFrame
    ragged: tuple[int, ...] = ()


def is_workbook(content: bytes) -> bool:
    """Tell by its first bytes whether the file is a ZIP, the shell of every XLSX."""
    return content[:4] == b"PK\x03\x04"


def read_header(content: bytes, mapping: ColumnMapping) -> tuple[str, ...] | None:
    """Look at the start of a file: its header, None for a workbook whose shell is in order; raise `TapeUnreadable`."""
    _check_size(content)
    if is_workbook(content):
        try:
            workbook.check_shell(content)
        except workbook.BadWorkbook as error:
            raise TapeUnreadable(str(error)) from None
        return None
    return _header(_first_lines(content, mapping.encoding))[0]


def read(content: bytes, mapping: ColumnMapping) -> Table:
    """Read a whole file; raise `TapeUnreadable` or `TapeTooLarge`."""
    _check_size(content)
    text = _unpack(content, mapping.sheet) if is_workbook(content) else _utf8(content, mapping.encoding)
    header, separator = _header(text[: MAX_HEADER_BYTES * 4].decode("utf-8", "ignore"))
    table = _parse(text, header, separator)
    if table.rows.height == 0:
        raise TapeUnreadable("The file has a header row and nothing below it.")
    return table


def _check_size(content: bytes) -> None:
    if not content.strip(b" \t\r\n\0\xef\xbb\xbf"):
        raise TapeUnreadable("The file is empty.")
    if len(content) > MAX_BYTES:
        raise TapeTooLarge("bytes", MAX_BYTES)
    if content[:5] == b"%PDF-" or content[:4] == b"\xd0\xcf\x11\xe0":
        raise TapeUnreadable("This is a PDF or an old XLS file; send CSV or XLSX.")


def _first_lines(content: bytes, encoding: Encoding) -> str:
    head = content[: MAX_HEADER_BYTES * 4]
    for name in _encodings(content, encoding):
        decoder = codecs.getincrementaldecoder(name)("strict")
        try:
            return decoder.decode(head, final=len(head) == len(content)).removeprefix("\ufeff")
        except UnicodeDecodeError:
            continue
    raise _unknown_encoding()


def _encodings(content: bytes, encoding: Encoding) -> tuple[str, ...]:
    if encoding is not Encoding.AUTO:
        return ("utf-8-sig",) if encoding is Encoding.UTF_8 else (encoding.value,)
    for bom, name in _BOMS:
        if content.startswith(bom):
            return (name,)
    return ("utf-8", "gb18030")


def _unknown_encoding() -> TapeUnreadable:
    return TapeUnreadable(
        "The text is neither UTF-8 nor GB18030; save it as UTF-8, or name its encoding in the column mapping."
    )


def _utf8(content: bytes, encoding: Encoding) -> bytes:
    for name in _encodings(content, encoding):
        try:
            text = content.decode(name)
        except UnicodeDecodeError:
            continue
        if name in {"utf-8", "utf-8-sig"}:
            return content.removeprefix(codecs.BOM_UTF8)
        return text.removeprefix("\ufeff").encode()
    raise _unknown_encoding()


def _header(text: str) -> tuple[tuple[str, ...], str]:
    """Return the first record and its separator: the one of , ; tab | that cuts it into most cells."""
    first_line = text.lstrip("\r\n").partition("\n")[0]
    separator = max(_SEPARATORS, key=first_line.count)
    try:
        cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
    except csv.Error as error:
        raise TapeUnreadable(f"The header row cannot be read: {error}.") from None
    if not any(cell.strip() for cell in cells):
        raise TapeUnreadable("The first row must hold the headers; it is blank.")
    if len(cells) > MAX_COLUMNS:
        raise TapeTooLarge("columns", MAX_COLUMNS)
    if sum(len(cell.encode()) for cell in cells) > MAX_HEADER_BYTES:
        raise TapeTooLarge("bytes in its header row", MAX_HEADER_BYTES)
    header = tuple(unicodedata.normalize("NFC", cell).strip() for cell in cells)
    if any(unicodedata.category(char) == "Cc" and char not in "\r\n\t" for cell in header for char in cell):
        raise TapeUnreadable("The header row holds control characters: this is no text file.")
    return header, separator


def _parse(text: bytes, header: tuple[str, ...], separator: str) -> Table:
    names = [f"c{index}" for index in range(len(header))]
    try:
        frame = pl.read_csv(
            io.BytesIO(text),
            separator=separator,
            has_header=False,
            new_columns=names,
            schema=dict.fromkeys(names, pl.String),
            n_rows=MAX_ROWS + 2,
            raise_if_empty=False,
        )
        ragged: tuple[int, ...] = ()
    except pl.exceptions.PolarsError:
        frame, ragged = _parse_by_row(text.decode(), names, separator)
    if frame.height - 1 > MAX_ROWS:
        raise TapeTooLarge("rows", MAX_ROWS)
    rows = frame.with_row_index(ROW, offset=1).slice(1).filter(pl.any_horizontal(pl.col(names).is_not_null()))
    return Table(header, rows, ragged)


def _parse_by_row(text: str, names: list[str], separator: str) -> tuple[pl.DataFrame, tuple[int, ...]]:
    """Read the slow way, which knows which rows have more cells than the header (they stay blank, but are named)."""
    ragged: list[int] = []

    def records() -> Iterator[list[str | None]]:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        for number, cells in enumerate(itertools.islice(reader, MAX_ROWS + 2), start=1):
            if any(cells[len(names) :]):
                ragged.append(number)
                yield [None] * len(names)
            else:
                filled: list[str | None] = [cell or None for cell in cells[: len(names)]]
                yield filled + [None] * (len(names) - len(filled))

    try:
        columns = list(zip(*records(), strict=True))
    except csv.Error as error:
        raise TapeUnreadable(f"The file cannot be read as CSV: {error}. Is a quotation mark left open?") from None
    return pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String), orient="col"), tuple(ragged)


def _unpack(content: bytes, sheet: str | None) -> bytes:
    """Turn a workbook into CSV in a child process that has bounded time and memory."""
    with tempfile.TemporaryDirectory(prefix="tape-") as folder:
        source, target = Path(folder, "in.xlsx"), Path(folder, "out.csv")
        source.write_bytes(content)
        command = [sys.executable, "-m", workbook.__name__, str(source), str(target), sheet or ""]
        try:
            child = subprocess.run(  # noqa: S603 - our own program on our own files
                command,
                cwd=Path(__file__).resolve().parents[2],
                capture_output=True,
                timeout=WORKBOOK_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TapeUnreadable(f"The workbook could not be read within {WORKBOOK_SECONDS} seconds.") from None
        if child.returncode == workbook.REFUSED:
            raise TapeUnreadable(child.stderr.decode("utf-8", "replace").strip()[:500])
        if child.returncode != 0:
            raise TapeUnreadable("The workbook needs more memory or time than a tape may take, or it is damaged.")
        return target.read_bytes()

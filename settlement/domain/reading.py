"""Which reader reads a file: the format named, or the one that its first bytes look like. Pure.

What is no statement at all (an archive, a picture, a PDF, QIF) is named as what it is before a reader stumbles.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from settlement.domain.bai2 import looks_like_bai2, parse_bai2
from settlement.domain.bank_csv import CsvProfile, parse_csv
from settlement.domain.camt import looks_like_camt, parse_camt
from settlement.domain.mt940 import looks_like_mt940, parse_mt940
from settlement.domain.ofx import looks_like_ofx, parse_ofx
from settlement.domain.statements import MAX_BYTES, ParsedStatement, StatementFormat, StatementUnreadable

_FOREIGN: Final = (
    (b"PK\x03\x04", "a ZIP archive (or an XLSX workbook); send the statement that is in it"),
    (b"%PDF", "a PDF; ask the bank for its statement as a file to read"),
    (b"\x1f\x8b", "compressed; send what is in it"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; export it as CSV"),
    (b"!Type:", "QIF, which names no account, no currency and no balance, so it can prove nothing"),
)

_READERS: Final[Mapping[StatementFormat, Callable[[bytes], Sequence[ParsedStatement]]]] = {
    StatementFormat.CAMT: parse_camt,
    StatementFormat.MT940: parse_mt940,
    StatementFormat.BAI2: parse_bai2,
    StatementFormat.OFX: parse_ofx,
}


def recognise(content: bytes) -> StatementFormat:
    """Return the format that a file looks like; CSV when it looks like none of the others."""
    if looks_like_ofx(content):
        return StatementFormat.OFX
    if looks_like_camt(content):
        return StatementFormat.CAMT
    if looks_like_bai2(content):
        return StatementFormat.BAI2
    return StatementFormat.MT940 if looks_like_mt940(content) else StatementFormat.CSV


def read_statements(
    content: bytes, *, written_in: StatementFormat | None, profile: CsvProfile | None = None
) -> list[ParsedStatement]:
    """Read every statement of a file in the format named or recognised; raise `StatementUnreadable`."""
    if len(content) > MAX_BYTES:
        raise StatementUnreadable(f"it is larger than {MAX_BYTES // 1024 // 1024} MiB.")
    for magic, what in _FOREIGN:
        if content.lstrip(b"\xef\xbb\xbf \r\n").startswith(magic):
            raise StatementUnreadable(f"it is {what}.")
    form = written_in or recognise(content)
    if form is StatementFormat.CSV:
        return [parse_csv(content, profile)]
    return list(_READERS[form](content))

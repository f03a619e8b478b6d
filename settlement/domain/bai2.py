"""BAI2 cash reports of North American banks (BAI Cash Management Balance Reporting Specifications, version 2).

Amounts are in the currency's minor units without a point. The file's own control totals and counts (49, 98, 99) are
checked before anything else: a line lost on the way shows there. Own reader: the package `bai2` has had no release
since 2017 and checks no totals (docs/adr).
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Final

from marketplace.money import Money, exponent
from settlement.domain.statements import (
    MAX_BYTES,
    MAX_LINES,
    ParsedLine,
    ParsedStatement,
    StatementFormat,
    StatementUnproven,
    StatementUnreadable,
    cut,
    decode,
)

_OPENING: Final = "010"
_CLOSING: Final = "015"
_FREE_FIELDS: Final = 3
_FUNDS_FIELDS: Final = {"S": 3, "V": 2}
_MAX_DIGITS: Final = 18


def looks_like_bai2(content: bytes) -> bool:
    """Say whether a file begins with the file header of BAI2."""
    return content.lstrip()[:3] == b"01,"


@dataclass(slots=True)
class _Account:
    """One account of a group, as its records come in."""

    number: str
    currency: str
    on: date
    place: str
    total: int = 0
    records: int = 1
    opening: Money | None = None
    closing: Money | None = None
    lines: list[ParsedLine] = field(default_factory=list)


def parse_bai2(content: bytes) -> list[ParsedStatement]:
    """Read every account of a file; raise `StatementUnreadable` naming the record, `StatementUnproven` for totals."""
    if len(content) > MAX_BYTES:
        raise StatementUnreadable(f"it is larger than {MAX_BYTES // 1024 // 1024} MiB.")
    reader = _Reader()
    for number, text, physical in _records(decode(content)):
        reader.take(text, number, physical)
    if not reader.closed:
        raise StatementUnreadable("it ends before its file trailer (99).")
    if not reader.done:
        raise StatementUnreadable("there is no statement in it.")
    return [_statement(account) for account in reader.done]


def _records(text: str) -> list[tuple[int, str, int]]:
    """Join each record with its continuations (88): (first line, text without the final slash, physical records)."""
    records: list[tuple[int, str, int]] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line:
            continue
        if line.startswith("88,"):
            if not records:
                raise StatementUnreadable(f"record {number}: a continuation of nothing.")
            first, before, count = records[-1]
            ended = before.endswith("/")
            records[-1] = (first, f"{before.removesuffix('/')}{',' if ended else ' '}{line[3:]}", count + 1)
        else:
            records.append((number, line, 1))
    return [(number, line.removesuffix("/"), count) for number, line, count in records]


def _statement(account: _Account) -> ParsedStatement:
    return ParsedStatement(
        format=StatementFormat.BAI2,
        kind="statement",
        account=account.number,
        currency=account.currency,
        reference="",
        from_on=account.on,
        to_on=account.on,
        opening=account.opening,
        closing=account.closing,
        lines=tuple(account.lines),
    )


@dataclass(slots=True)
class _Reader:
    """Takes the records in order and checks every trailer against what came before it."""

    done: list[_Account] = field(default_factory=list)
    account: _Account | None = None
    on: date | None = None
    currency: str = "USD"
    group_total: int = 0
    group_accounts: int = 0
    group_records: int = 0
    file_total: int = 0
    groups: int = 0
    file_records: int = 0
    lines: int = 0
    closed: bool = False

    def take(self, text: str, number: int, physical: int) -> None:
        code, _, rest = text.partition(",")
        place = f"record {number}"
        self.group_records += physical
        self.file_records += physical
        if self.account is not None and code in {"16", "49"}:
            self.account.records += physical
        if code == "02":
            self._group(rest.split(","), place, physical)
        elif code == "03":
            self._open(rest.split(","), place, physical)
        elif code == "16":
            self._line(rest, place)
        elif code == "49":
            self._close(rest.split(","), place)
        elif code == "98":
            found = (self.group_total, self.group_accounts, self.group_records)
            self._check(rest.split(","), found, place, "group")
            self.file_total += self.group_total
            self.groups += 1
        elif code == "99":
            self._check(rest.split(","), (self.file_total, self.groups, self.file_records), place, "file")
            self.closed = True
        elif code != "01":
            raise StatementUnreadable(f"{place}: {code[:8]!r} is no record of BAI2.")

    def _group(self, fields: list[str], place: str, physical: int) -> None:
        if len(fields) < 4 or len(fields[3]) != 6 or not fields[3].isdigit():  # noqa: PLR2004 - YYMMDD in fourth place
            raise StatementUnreadable(f"{place}: the group has no date.")
        self.on = _day(fields[3], place)
        self.currency = (fields[5] if len(fields) > 5 else "") or "USD"  # noqa: PLR2004 - sixth field
        self.group_total, self.group_accounts, self.group_records = 0, 0, physical

    def _open(self, fields: list[str], place: str, physical: int) -> None:
        if self.on is None or self.account is not None:
            raise StatementUnreadable(f"{place}: an account outside a group, or inside another.")
        currency = (fields[1] if len(fields) > 1 else "") or self.currency
        exponent(currency)
        self.account = _Account(cut(fields[0]), currency, self.on, place, records=physical)
        rest = fields[2:]
        while rest:
            kind, amount = rest[0], rest[1] if len(rest) > 1 else ""
            skipped = 4 + _funds(rest[3:])
            if kind and amount:
                minor = _minor(amount, place)
                self.account.total += minor
                if kind == _OPENING:
                    self.account.opening = Money(minor, currency)
                elif kind == _CLOSING:
                    self.account.closing = Money(minor, currency)
            rest = rest[skipped:]

    def _line(self, text: str, place: str) -> None:
        account = self.account
        if account is None:
            raise StatementUnreadable(f"{place}: a line outside an account.")
        fields = text.split(",")
        code = fields[0]
        minor = _minor(fields[1], place) if len(fields) > 1 and fields[1] else 0
        account.total += minor
        self.lines += 1
        if self.lines > MAX_LINES:
            raise StatementUnreadable(f"it has more than {MAX_LINES} lines.")
        direction = _direction(code)
        if not direction:
            return
        rest = fields[3 + _funds(fields[2:]) :]
        words = ",".join(rest[2:]) if len(rest) >= _FREE_FIELDS else ""
        account.lines.append(
            ParsedLine(
                amount=Money(direction * minor, account.currency),
                booked_on=account.on,
                value_on=_value_on(fields[2:], account.on, place),
                remittance=cut(words),
                end_to_end_id=cut(rest[1]) if len(rest) > 1 else "",
                bank_reference=cut(rest[0]) if rest else "",
            )
        )

    def _close(self, fields: list[str], place: str) -> None:
        account = self.account
        if account is None:
            raise StatementUnreadable(f"{place}: an account trailer without an account.")
        self._check([fields[0], "1", fields[1] if len(fields) > 1 else ""], (account.total, 1, account.records), place,
                    f"account {account.number[-4:]}")  # fmt: skip
        self.group_total += account.total
        self.group_accounts += 1
        self.done.append(account)
        self.account = None

    def _check(self, fields: list[str], found: tuple[int, int, int], place: str, name: str) -> None:
        """Hold a trailer (control total, count, records) against what came."""
        for said, counted, what in zip(fields, found, ("control total", "count", "number of records"), strict=False):
            if said and _minor(said, place) != counted:
                raise StatementUnproven(
                    f"{place}: the {what} of the {name} is {said[:24]}, its records give {counted}."
                )


def _funds(fields: list[str]) -> int:
    """How many fields the funds type before them takes up: availability by day (S), date and time (V), a list (D)."""
    kind = fields[0] if fields else ""
    if kind == "D":
        count = fields[1] if len(fields) > 1 else "0"
        return 1 + 2 * int(count) if count.isdigit() and len(count) < 4 else 1  # noqa: PLR2004 - at most 999 days
    return _FUNDS_FIELDS.get(kind, 0)


def _value_on(fields: list[str], on: date, place: str) -> date:
    return _day(fields[1], place) if fields and fields[0] == "V" and len(fields) > 1 and fields[1] else on


def _direction(code: str) -> int:
    """Credit 100–399 and custom 900–919: +1; debit 400–699 and custom 920–959: −1; anything else is no movement."""
    number = int(code) if code.isascii() and code.isdigit() else 0
    if 100 <= number < 400 or 900 <= number < 920:  # noqa: PLR2004 - ranges of the specification
        return 1
    return -1 if 400 <= number < 700 or 920 <= number < 960 else 0  # noqa: PLR2004 - ranges of the specification


def _minor(text: str, place: str) -> int:
    plain = text.strip()
    digits = plain.lstrip("+-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > _MAX_DIGITS:
        raise StatementUnreadable(f"{place}: {text[:24]!r} is not an amount.")
    return -int(digits) if plain.startswith("-") else int(digits)


def _day(text: str, place: str) -> date:
    try:
        return date(2000 + int(text[:2]), int(text[2:4]), int(text[4:6]))
    except ValueError:
        raise StatementUnreadable(f"{place}: {text[:12]!r} is not a date.") from None

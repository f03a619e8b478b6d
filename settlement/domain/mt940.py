"""SWIFT MT940 statements and MT942 interim reports, with what banks make of them (SWIFT Standards MT, category 9).

One statement per message. Own reader: the package `mt-940` joins the messages of a file into one, so that no opening
balance can be held against its closing balance (docs/adr). Tolerated: blocks `{1:…}`, `-` or `-}` or nothing at the
end, `:NS:` lines of German banks, wrapped fields, days that a month does not have (30 February of a 30/360 calendar).
"""

import calendar
import re
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from marketplace.money import Money
from settlement.domain.statements import (
    MAX_BYTES,
    MAX_LINES,
    ParsedLine,
    ParsedStatement,
    StatementFormat,
    StatementUnreadable,
    cut,
    decode,
    exact_amount,
)

_TAG: Final = re.compile(
    r":(20|21|25P?|28C?|13D?|34F|60[FM]|61|62[FM]|64|65|86|90[CD]|NS):(.*)",
    re.DOTALL,
)
_BALANCE: Final = re.compile(r"(?P<mark>[CD])(?P<day>\d{6})(?P<currency>[A-Z]{3})?(?P<amount>\d+(?:[,.]\d*)?)")
_LINE: Final = re.compile(
    r"(?P<day>\d{6})(?P<entry>\d{4})?(?P<mark>E[CD]|R?[CD])(?P<funds>[A-Z])?\s*(?P<amount>\d+[,.]?\d*)"
    r"(?P<type>[A-Z][A-Z0-9 ]{3})?(?P<reference>(?:(?!//)[^\n]){0,16})(?://(?P<bank>[^\n]{0,34}))?(?P<rest>.*)",
    re.DOTALL,
)
_STRUCTURED: Final = re.compile(r"\s?\d{3}\?")
_PART: Final = re.compile(r"\?(\d\d)")
_END_TO_END: Final = re.compile(r"EREF\+(.*?)(?=[A-Z]{4}\+|$)")
_IBAN: Final = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{10,30}")
_CENTURY: Final = 80
"""Two-digit years from here on are of the last century."""


def looks_like_mt940(content: bytes) -> bool:
    """Say whether a file begins like SWIFT fields: a tag at the start of one of its first lines."""
    head = content[:4_000].decode("latin-1")
    return any(_TAG.match(line) for line in head.splitlines()[:12])


@dataclass(slots=True)
class _Message:
    """The fields of one message in order, each with the number of its first line in the file."""

    fields: list[tuple[str, str, int]] = field(default_factory=list)

    def first(self, *tags: str) -> str:
        return next((value.strip() for tag, value, _ in self.fields if tag in tags), "")


def parse_mt940(content: bytes) -> list[ParsedStatement]:
    """Read every message of a file; raise `StatementUnreadable` naming the line.

    An MT942 is a `report`. What stands outside any message (no account, no balance) is kept as a statement with a
    `fault`, so that the file is refused when it is to be stored; a file of nothing else is unreadable.
    """
    if len(content) > MAX_BYTES:
        raise StatementUnreadable(f"it is larger than {MAX_BYTES // 1024 // 1024} MiB.")
    messages = _messages(decode(content))
    if not any(message.first("60F", "60M", "62F", "62M", "34F") for message in messages):
        raise StatementUnreadable("there is no balance (:60F:, :62F:) in it, so it is no statement.")
    statements = [_statement(message) for message in messages]
    if sum(len(statement.lines) for statement in statements) > MAX_LINES:
        raise StatementUnreadable(f"it has more than {MAX_LINES} lines.")
    return statements


def _messages(text: str) -> list[_Message]:
    """Cut into messages: each begins at :20: (or after the end of another) and ends at a line of `-`."""
    messages: list[_Message] = []
    current: _Message | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip("\x01\x03\r")
        tagged = _TAG.match(line)
        if tagged is not None:
            if current is None or (tagged[1] == "20" and current.fields):
                current = _Message()
                messages.append(current)
            current.fields.append((tagged[1], tagged[2], number))
        elif line.rstrip() == "-" or line.startswith("-}"):
            current = None
        elif current is not None and line.strip():
            tag, value, first = current.fields[-1]
            current.fields[-1] = (tag, f"{value}\n{line}", first)
    return messages


def _statement(message: _Message) -> ParsedStatement:
    opening, first_on = _balance(message, "60F", "60M", currency="")
    currency = opening.currency if opening is not None else ""
    closing, last_on = _balance(message, "62F", "62M", currency=currency)
    interim = message.first("34F")
    if not currency:
        currency = closing.currency if closing is not None else interim[:3]
    balances = opening is not None or closing is not None
    number, page = _sequence(message.first("28C", "28"))
    lines, pending = _lines(message, currency) if currency else ([], 0)
    return ParsedStatement(
        format=StatementFormat.MT940,
        kind="report" if interim and not balances else "statement",
        account=_account(message.first("25", "25P"), currency),
        currency=currency,
        reference=cut(message.first("20")),
        from_on=first_on,
        to_on=last_on,
        opening=opening,
        closing=closing,
        lines=tuple(lines),
        pending=pending,
        number=number,
        page=page,
        fault="" if currency else f"what begins at line {message.fields[0][2]} has no balance (:60F:, :62F:).",
    )


def _account(text: str, currency: str) -> str:
    """The account as written, without the currency that some banks append to it."""
    account = cut(text.partition("\n")[0])
    return account.removesuffix(currency).rstrip() if currency and account[:-3].strip()[-1:].isdigit() else account


def _sequence(text: str) -> tuple[int | None, int | None]:
    number, _, page = text.partition("/")
    plain = [int(part) if part.strip().isascii() and part.strip().isdigit() else None for part in (number, page)]
    return plain[0], plain[1]


def _balance(message: _Message, *tags: str, currency: str) -> tuple[Money | None, date | None]:
    for tag, value, number in message.fields:
        if tag in tags:
            place = f"line {number}"
            found = _BALANCE.match(value)
            code = (found["currency"] or currency) if found else ""
            if found is None or not code:
                raise StatementUnreadable(f"{place}: {value[:40]!r} is not a balance.")
            return _signed(found["amount"], code, debit=found["mark"] == "D", place=place), _day(found["day"], place)
    return None, None


def _signed(text: str, currency: str, *, debit: bool, place: str) -> Money:
    amount = exact_amount(text.replace(",", ".").rstrip("."), currency, place=place)
    return -amount if debit else amount


def _day(text: str, place: str) -> date:
    """Read YYMMDD; a day after the end of its month is the last one (30/360 calendars know a 30 February)."""
    year, month, day = (int(text[at : at + 2]) for at in (0, 2, 4))
    year += 1900 if year >= _CENTURY else 2000
    if not 1 <= month <= 12 or not 1 <= day <= 31:  # noqa: PLR2004 - calendar
        raise StatementUnreadable(f"{place}: {text!r} is not a date.")
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))


def _entry_day(value_on: date, text: str, place: str) -> date:
    """Read MMDD in the year that brings it nearest to the value date."""
    found = [
        _day(f"{year % 100:02}{text}", place) for year in (value_on.year - 1, value_on.year, value_on.year + 1)
    ]  # a year on either side is enough: entry and value date are days apart
    return min(found, key=lambda day: abs(day - value_on))


def _lines(message: _Message, currency: str) -> tuple[list[ParsedLine], int]:
    """Read every :61: with the :86: and :NS: that follow it, up to the closing balance."""
    lines: list[ParsedLine] = []
    pending = 0
    entry: tuple[str, int] | None = None
    texts: list[tuple[str, str]] = []

    def close() -> int:
        if entry is None:
            return 0
        line = _line(entry[0], currency, texts, place=f"line {entry[1]}")
        if line is None:
            return 1
        lines.append(line)
        return 0

    for tag, value, number in message.fields:
        if tag == "61":
            pending += close()
            entry, texts = (value, number), []
        elif tag in {"86", "NS"} and entry is not None:
            texts.append((tag, value))
        elif tag.startswith("62"):
            break
    return lines, pending + close()


def _line(value: str, currency: str, texts: list[tuple[str, str]], *, place: str) -> ParsedLine | None:
    """Build one line; None for an expected entry (EC, ED), which is not booked."""
    found = _LINE.match(value) or _LINE.match(value.replace("\n", "", 1))
    if found is None:
        raise StatementUnreadable(f"{place}: {value[:60]!r} is not a statement line.")
    mark = found["mark"]
    if mark.startswith("E"):
        return None
    value_on = _day(found["day"], place)
    details = _Details.read(texts)
    rest = cut(found["rest"].strip("\n :"))
    reference = cut(found["reference"] or "")
    return ParsedLine(
        amount=_signed(found["amount"], currency, debit=mark in {"D", "RC"}, place=place),
        booked_on=_entry_day(value_on, found["entry"], place) if found["entry"] else value_on,
        value_on=value_on,
        remittance=cut(f"{rest} {details.remittance}"),
        end_to_end_id=details.end_to_end_id or ("" if reference.upper() == "NONREF" else reference),
        counterparty_name=details.name,
        counterparty_account=details.account,
        bank_reference=cut(found["bank"] or ""),
    )


@dataclass(frozen=True, slots=True)
class _Details:
    """What the :86: of a line says."""

    remittance: str
    end_to_end_id: str = ""
    name: str = ""
    account: str = ""

    @classmethod
    def read(cls, texts: list[tuple[str, str]]) -> "_Details":
        free = "\n".join(value for _, value in texts)
        if not texts or texts[0][0] == "NS" or not _STRUCTURED.match(texts[0][1]):
            first = free.split(maxsplit=1)[0] if free.split() else ""
            iban = first if _IBAN.fullmatch(first) else ""
            return cls(cut(free), account=iban)
        parts: dict[str, str] = {}
        pieces = _PART.split(free.replace("\n", ""))
        for code, text in zip(pieces[1::2], pieces[2::2], strict=True):
            parts[code] = parts.get(code, "") + text
        purpose = "".join(text for code, text in parts.items() if code[0] in "26" and code < "64")
        end_to_end = _END_TO_END.search(purpose)
        return cls(
            remittance=cut(f"{parts.get('00', '')} {purpose}"),
            end_to_end_id=cut(end_to_end[1]) if end_to_end else "",
            name=cut(parts.get("32", "") + parts.get("33", "")),
            account=cut(parts.get("38") or parts.get("31", "")),
        )

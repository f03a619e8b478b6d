"""OFX 1 (SGML) and 2 (XML) downloads: bank, card and cash statements of investment accounts (OFX Banking 2.3).

Both spellings are read by one small scan: a tag with text is a value, others open a group. Own reader: `ofxparse`
raises IndexError on empty tags, keeps no currency of a line, and needs two HTML parsers (docs/adr). OFX knows only a
closing balance; the opening one is what our own account stood at, so `settlement.statements` proves it by that.
"""

import html
import re
from collections.abc import Iterator
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

_TOKEN: Final = re.compile(r"<(/?)([A-Za-z0-9._]{1,40})\s*(/?)>([^<]*)")
_STATEMENTS: Final = {"STMTRS", "CCSTMTRS", "INVSTMTRS"}
_DEPTH: Final = 32


def looks_like_ofx(content: bytes) -> bool:
    """Say whether a file is OFX: its header, or its outermost tag."""
    head = content[:4_000].upper()
    return b"OFXHEADER" in head or b"<OFX>" in head


@dataclass(slots=True)
class _Group:
    """A group of tags: its values by name (the first counts) and the groups inside it."""

    name: str
    values: dict[str, str] = field(default_factory=dict)
    groups: list["_Group"] = field(default_factory=list)

    def walk(self, *names: str) -> Iterator["_Group"]:
        """Every group of these names below, outermost first, in order."""
        for group in self.groups:
            if group.name in names:
                yield group
            else:
                yield from group.walk(*names)

    def value(self, name: str) -> str:
        return self.values.get(name, "")


def parse_ofx(content: bytes) -> list[ParsedStatement]:
    """Read every statement of a download; raise `StatementUnreadable` naming the account and line.

    A message that brings no statement (a sign-on, a list of accounts, an error of the bank) is refused with what it
    says.
    """
    if len(content) > MAX_BYTES:
        raise StatementUnreadable(f"it is larger than {MAX_BYTES // 1024 // 1024} MiB.")
    text = decode(content)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise StatementUnreadable("document types and entities are not allowed in it.")
    root = _tree(_without_comments(text))
    statements = [_statement(group) for group in root.walk(*_STATEMENTS)]
    if not statements:
        said = [status.value("MESSAGE") for status in root.walk("STATUS") if status.value("SEVERITY") == "ERROR"]
        listed = "; it only lists accounts" if any(root.walk("ACCTINFO")) else ""
        raise StatementUnreadable(f"there is no statement in it{listed}{': ' + cut(said[0]) if said else ''}.")
    return statements


def _without_comments(text: str) -> str:
    """Cut comments out, each looked for once; one without an end is refused, because it might hide lines."""
    parts, at = [], 0
    while (start := text.find("<!--", at)) >= 0:
        end = text.find("-->", start + 4)
        if end < 0:
            raise StatementUnreadable("a comment in it has no end.")
        parts.append(text[at:start])
        at = end + 3
    return "".join([*parts, text[at:]])


def _tree(text: str) -> _Group:
    root = _Group("")
    stack = [root]
    for closing, raw, empty, value in _TOKEN.findall(text):
        name, content = raw.upper(), html.unescape(value).strip()
        if closing:
            depth = next((at for at in range(len(stack) - 1, 0, -1) if stack[at].name == name), 0)
            if depth:
                del stack[depth:]
        elif content or empty:
            stack[-1].values.setdefault(name, content)
        elif len(stack) > _DEPTH:
            raise StatementUnreadable("its tags are nested too deeply.")
        else:
            group = _Group(name)
            stack[-1].groups.append(group)
            stack.append(group)
    return root


def _statement(group: _Group) -> ParsedStatement:
    named = next(group.walk("BANKACCTFROM", "CCACCTFROM", "INVACCTFROM"), _Group(""))
    account, currency = cut(named.value("ACCTID")), group.value("CURDEF").upper()
    place = f"account {account[-4:]}"
    if not currency:
        raise StatementUnreadable(f"{place}: nothing says its currency (CURDEF is empty).")
    entries = list(group.walk("STMTTRN"))
    if len(entries) > MAX_LINES:
        raise StatementUnreadable(f"{place} has more than {MAX_LINES} lines.")
    ledger = next(group.walk("LEDGERBAL"), None)
    period = next(group.walk("BANKTRANLIST", "INVTRANLIST"), _Group(""))
    return ParsedStatement(
        format=StatementFormat.OFX,
        kind="statement",
        account=account,
        currency=currency,
        reference="",
        from_on=_day(period.value("DTSTART"), place) if period.value("DTSTART") else None,
        to_on=_day(period.value("DTEND"), place) if period.value("DTEND") else None,
        opening=None,
        closing=None if ledger is None else _amount(ledger.value("BALAMT"), currency, f"{place}, ledger balance"),
        lines=tuple(_line(entry, currency, f"{place}, line {number}") for number, entry in enumerate(entries, start=1)),
    )


def _line(entry: _Group, currency: str, place: str) -> ParsedLine:
    other = next(entry.walk("CURRENCY"), _Group("")).value("CURSYM").upper()
    booked_on = _day(entry.value("DTPOSTED"), place)
    payee = next(entry.walk("PAYEE"), _Group(""))
    name = cut(entry.value("NAME") or payee.value("NAME"))
    party = next(entry.walk("BANKACCTTO", "CCACCTTO"), _Group(""))
    return ParsedLine(
        amount=_amount(entry.value("TRNAMT"), other or currency, place),
        booked_on=booked_on,
        value_on=_day(entry.value("DTAVAIL"), place) if entry.value("DTAVAIL") else booked_on,
        remittance=cut(entry.value("MEMO")),
        end_to_end_id=cut(entry.value("REFNUM")),
        counterparty_name=name,
        counterparty_account=cut(party.value("ACCTID")),
        bank_reference=cut(entry.value("FITID")),
    )


def _amount(text: str, currency: str, place: str) -> Money:
    if not text:
        raise StatementUnreadable(f"{place}: there is no amount.")
    plain = text.lstrip("+")
    if "," in plain and "." not in plain:
        plain = plain.replace(",", ".")
    return exact_amount(plain, currency, place=place)


def _day(text: str, place: str) -> date:
    """Read `20130831165153.000[-8:PST]`: the day as written, in the bank's own zone."""
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        raise StatementUnreadable(f"{place}: {text[:40]!r} is not a date.") from None

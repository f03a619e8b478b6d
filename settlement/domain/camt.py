"""ISO 20022 bank-to-customer messages: camt.053 statements, and the camt.052 reports and 054 notifications beside them.

Versions 1 to 13 differ in where a party's name stands and how a state is written; both ways are read. External
entities, DTDs and oversized files are refused before anything is built.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from marketplace.money import Money, exponent
from settlement.domain.statements import (
    MAX_BYTES,
    MAX_LINES,
    ParsedLine,
    ParsedStatement,
    StatementFormat,
    StatementUnreadable,
    cut,
    exact_amount,
)

_NAMESPACE: Final = re.compile(r"\{(urn:iso:std:iso:20022:tech:xsd:camt\.05[234]\.001\.(?:0[1-9]|1[0-3]))\}Document")
_RECORDS: Final = {"Stmt": "statement", "Rpt": "report", "Ntfctn": "notification"}
_OPENING: Final = ("OPBD", "PRCD")
_CLOSING: Final = ("CLBD",)
_MAX_DIGITS: Final = 18


def looks_like_camt(content: bytes) -> bool:
    """Say whether a file is XML of some kind: then it is camt or nothing that we read."""
    return content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def parse_camt(content: bytes) -> list[ParsedStatement]:
    """Read every statement (report, notification) of a message; raise `StatementUnreadable` naming the place.

    A batch entry is split into its transactions when their amounts add up to the entry's; otherwise it stays one line
    with the texts of all of them. Entries that are not booked are counted as pending and left out.
    """
    if len(content) > MAX_BYTES:
        raise StatementUnreadable(f"it is larger than {MAX_BYTES // 1024 // 1024} MiB.")
    try:
        root = fromstring(content, forbid_dtd=True)
    except DefusedXmlException:
        raise StatementUnreadable("document types and entities are not allowed in it.") from None
    except (ParseError, ValueError, LookupError) as error:
        raise StatementUnreadable(f"it is not well-formed XML ({str(error)[:80]}).") from None
    match = _NAMESPACE.fullmatch(root.tag)
    if match is None:
        raise StatementUnreadable("it is not a camt.052, camt.053 or camt.054 message of version 1 to 13.")
    reader = _Reader("{" + match[1] + "}")
    records = [
        reader.record(record, kind)
        for message in root
        for tag, kind in _RECORDS.items()
        for record in reader.all(message, tag)
    ]
    if not records:
        raise StatementUnreadable("there is no statement in it.")
    return records


@dataclass(frozen=True, slots=True)
class _Entry:
    """What every line of one entry shares.

    `reversal`: it takes an earlier entry back. `CdtDbtInd` says which way the money goes now, but debtor and creditor
    are those of the entry taken back (ISO 20022, ReversalIndicator).
    """

    amount: Money
    booked_on: date
    value_on: date
    bank_reference: str
    information: str
    place: str
    reversal: bool


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads elements of one namespace by paths of local names."""

    namespace: str

    def all(self, element: Element, path: str) -> list[Element]:
        return element.findall("/".join(self.namespace + name for name in path.split("/")))

    def first(self, element: Element, *paths: str) -> Element | None:
        for path in paths:
            for found in self.all(element, path):
                return found
        return None

    def text(self, element: Element, *paths: str) -> str:
        for path in paths:
            for found in self.all(element, path):
                text = cut(found.text or "")
                if text:
                    return text
        return ""

    def day(self, element: Element, path: str, *, place: str) -> date | None:
        """Read a date; a time beside or instead of it is cut off as written, in the bank's own zone."""
        text = self.text(element, f"{path}/Dt", f"{path}/DtTm", f"{path}/Dt/Dt", f"{path}/Dt/DtTm", path)
        if not text:
            return None
        try:
            return date.fromisoformat(text[:10])
        except ValueError:
            raise StatementUnreadable(f"{place}: {text[:40]!r} is not a date.") from None

    def money(self, element: Element, *, place: str) -> Money:
        """Read `Amt` and the sign beside it."""
        amount = self.first(element, "Amt")
        if amount is None:
            raise StatementUnreadable(f"{place}: there is no amount.")
        money = exact_amount((amount.text or "").strip(), amount.get("Ccy", ""), place=place)
        if money.minor < 0:
            raise StatementUnreadable(f"{place}: an amount has no sign; CdtDbtInd says which way it goes.")
        indicator = self.text(element, "CdtDbtInd")
        if indicator not in {"CRDT", "DBIT"}:
            raise StatementUnreadable(f"{place}: CdtDbtInd is {indicator!r}, not CRDT or DBIT.")
        return money if indicator == "CRDT" else -money

    def record(self, record: Element, kind: str) -> ParsedStatement:
        reference = self.text(record, "Id")
        place = f"{kind} {reference[:40]!r}"
        balances = self.balances(record, place=place)
        opening = next((balances[code] for code in _OPENING if code in balances), None)
        closing = next((balances[code] for code in _CLOSING if code in balances), None)
        lines: list[ParsedLine] = []
        pending = 0
        for number, entry in enumerate(self.all(record, "Ntry"), start=1):
            if self.text(entry, "Sts/Cd", "Sts") != "BOOK":
                pending += 1
                continue
            lines.extend(self.entry(entry, place=f"{place}, entry {number}"))
            if len(lines) > MAX_LINES:
                raise StatementUnreadable(f"{place} has more than {MAX_LINES} lines.")
        return ParsedStatement(
            format=StatementFormat.CAMT,
            kind=kind,
            account=self.text(record, "Acct/Id/IBAN", "Acct/Id/Othr/Id", "Acct/Id/PrtryAcct/Id", "Acct/Id/BBAN"),
            currency=self.currency(record, opening, lines, place=place),
            reference=reference,
            from_on=self.day(record, "FrToDt/FrDtTm", place=place) or self.day(record, "FrToDt/FrDt", place=place),
            to_on=self.day(record, "FrToDt/ToDtTm", place=place) or self.day(record, "FrToDt/ToDt", place=place),
            opening=opening,
            closing=closing,
            lines=tuple(lines),
            pending=pending,
            number=self.number(record),
        )

    def number(self, record: Element) -> int | None:
        """The bank's number of the statement: the electronic sequence, else the legal one."""
        text = self.text(record, "ElctrncSeqNb", "LglSeqNb")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None

    def currency(self, record: Element, opening: Money | None, lines: list[ParsedLine], *, place: str) -> str:
        named = self.text(record, "Acct/Ccy")
        if named:
            exponent(named)
            return named
        if opening is not None:
            return opening.currency
        if lines:
            return lines[0].amount.currency
        amount = self.first(record, "Bal/Amt", "Ntry/Amt")
        if amount is None:
            raise StatementUnreadable(f"{place}: nothing says its currency.")
        exponent(amount.get("Ccy", ""))
        return amount.get("Ccy", "")

    def balances(self, record: Element, *, place: str) -> dict[str, Money]:
        found: dict[str, Money] = {}
        for balance in self.all(record, "Bal"):
            code = self.text(balance, "Tp/CdOrPrtry/Cd", "Tp/Cd", "Tp/CdOrPrtry/Prtry")
            found.setdefault(code, self.money(balance, place=f"{place}, balance {code}"))
        return found

    def entry(self, entry: Element, *, place: str) -> Iterator[ParsedLine]:
        booked = self.day(entry, "BookgDt", place=place)
        value = self.day(entry, "ValDt", place=place)
        either = booked or value
        if either is None:
            raise StatementUnreadable(f"{place}: there is neither a booking nor a value date.")
        shared = _Entry(
            amount=self.money(entry, place=place),
            booked_on=booked or either,
            value_on=value or either,
            bank_reference=self.text(entry, "AcctSvcrRef"),
            information=self.text(entry, "AddtlNtryInf"),
            place=place,
            reversal=self.text(entry, "RvslInd") in {"true", "1"},
        )
        details = self.all(entry, "NtryDtls/TxDtls") or self.all(entry, "TxDtls")
        parts = self.parts(details, shared)
        if parts is not None:
            for detail, amount in zip(details, parts, strict=True):
                yield self.line(shared, amount, [detail])
        else:
            yield self.line(shared, shared.amount, details)

    def parts(self, details: list[Element], shared: _Entry) -> list[Money] | None:
        """Return the signed amounts of a batch's transactions when they add up to the entry, None otherwise."""
        if len(details) < 2:  # noqa: PLR2004 - one transaction is no batch
            return None
        amounts = []
        for detail in details:
            amount = self.first(detail, "Amt", "AmtDtls/TxAmt/Amt")
            if amount is None or amount.get("Ccy") != shared.amount.currency:
                return None
            money = exact_amount((amount.text or "").strip(), shared.amount.currency, place=shared.place)
            debit = (self.text(detail, "CdtDbtInd") or ("DBIT" if shared.amount.minor < 0 else "CRDT")) == "DBIT"
            amounts.append(-money if debit else money)
        return amounts if sum(amount.minor for amount in amounts) == shared.amount.minor else None

    def line(self, shared: _Entry, amount: Money, details: list[Element]) -> ParsedLine:
        texts = [text for detail in details for text in self.remittance(detail)]
        side = "Dbtr" if (amount.minor >= 0) != shared.reversal else "Cdtr"
        one = details[0] if len(details) == 1 else None
        reference = shared.bank_reference
        if not reference and one is not None:
            reference = self.text(one, "Refs/AcctSvcrRef")
        return ParsedLine(
            amount=amount,
            booked_on=shared.booked_on,
            value_on=shared.value_on,
            remittance=cut(" ".join(texts) or shared.information),
            end_to_end_id="" if one is None else self.text(one, "Refs/EndToEndId"),
            counterparty_name="" if one is None else self.party(one, side),
            counterparty_account="" if one is None else self.account(one, side),
            sub_account="" if one is None else self.account(one, "Cdtr" if side == "Dbtr" else "Dbtr"),
            bank_reference=reference,
        )

    def remittance(self, detail: Element) -> Iterator[str]:
        yield from self.texts(detail, "RmtInf/Ustrd")
        yield from self.texts(detail, "RmtInf/Strd/CdtrRefInf/Ref")
        yield from self.texts(detail, "RmtInf/Strd/CdtrRefInf/CdtrRef")
        yield from self.texts(detail, "RmtInf/Strd/AddtlRmtInf")
        yield from self.texts(detail, "AddtlTxInf")

    def texts(self, element: Element, path: str) -> Iterator[str]:
        return (cut(found.text or "") for found in self.all(element, path) if (found.text or "").strip())

    def party(self, detail: Element, side: str) -> str:
        return self.text(
            detail,
            f"RltdPties/{side}/Nm",
            f"RltdPties/{side}/Pty/Nm",
            f"RltdPties/Ultmt{side}/Nm",
            f"RltdPties/Ultmt{side}/Pty/Nm",
        )

    def account(self, detail: Element, side: str) -> str:
        base = f"RltdPties/{side}Acct/Id"
        return self.text(detail, f"{base}/IBAN", f"{base}/Othr/Id", f"{base}/PrtryAcct/Id", f"{base}/BBAN")

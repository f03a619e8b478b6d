"""Strict JSON documents: the files by which anyone recomputes our figures, read the same from a file and over HTTP.

A `Node` is a value with its JSON pointer; its readers refuse what is not exactly right and name the place, what was
found and what is allowed. `run` is the command line of such documents: one JSON answer on standard output, or exit
code 2 and one problem document on standard error.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TextIO

from marketplace.clock import NotADate, NotAnInstant, parse_date
from marketplace.errors import Failure, Invalid
from marketplace.money import EXPONENTS, MAX_MINOR, Money, exponent

MAX_BYTES: Final = 80 * 1024 * 1024
"""A split of a million cases is 45 to 60 MB; computing it takes some twenty times that."""

MAX_CONTAINERS: Final = 4_000_000
"""Objects and lists of one document: four for each of a million cases."""

MAX_COMMAS: Final = 10_000_000
"""Commas of one document, those in texts too: ten values for each of a million cases.

Bytes alone bound little: lists in lists take fifty times their bytes, 4 GB for 80 MB. With both counts a process
stays below 2 GB whatever it is handed (`benchmarks/document_memory.py`)."""

MAX_DEPTH: Final = 32
MAX_TEXT: Final = 1000
_SHOWN: Final = 81
"""What fits a line, and one character that says that there is more."""

_AMOUNT = re.compile(r"[0-9]{1,19}(\.[0-9]{1,12})?", re.ASCII)
_SIGNED_AMOUNT = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,12})?", re.ASCII)
_RATE = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,12})?", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


class BadDocument(Invalid):
    """One place in a document is wrong: `pointer` says where, `found` what stands there, `allowed` what may."""

    code = "bad_document"

    def __init__(self, pointer: str, found: object, allowed: str) -> None:
        shown, pointer = _show(found), encodable(pointer)
        super().__init__(
            f"At {pointer or 'the whole document'}: {shown}; allowed: {allowed}.",
            errors=[{"pointer": pointer, "found": shown, "allowed": allowed}],
        )


def _show(found: object) -> str:
    if isinstance(found, Missing):
        return "nothing"
    try:
        text = found if isinstance(found, str) else _beginning(found)
    except (TypeError, ValueError, RecursionError):
        text = type(found).__name__
    text = encodable(text)
    return text if len(text) < _SHOWN else text[: _SHOWN - 2] + "…"


def _beginning(found: object) -> str:
    """The first characters of a value as JSON, without writing out the rest of it."""
    text = ""
    for piece in json.JSONEncoder(ensure_ascii=False).iterencode(found):
        text += piece[:_SHOWN]
        if len(text) >= _SHOWN:
            break
    return text


def encodable(text: str) -> str:
    """Return a text that UTF-8 can hold: half of a surrogate pair, which only JSON can spell, becomes its escape."""
    return text.encode("utf-8", "backslashreplace").decode()


class Missing:
    """Marks a key that is not there."""


MISSING: Final = Missing()


def parse(content: bytes) -> Any:
    """Read strict JSON: UTF-8, no NaN, no key twice, bounded size and depth; raise `BadDocument` at pointer ""."""
    if len(content) > MAX_BYTES:
        raise BadDocument("", f"{len(content)} bytes", f"at most {MAX_BYTES} bytes")
    commas = content.count(b",")
    if commas > MAX_COMMAS:
        raise BadDocument("", f"{commas} commas", f"at most {MAX_COMMAS} commas")
    _check_structure(content)
    try:
        return json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_Number,
            parse_int=_integer,
        )
    except UnicodeDecodeError:
        raise BadDocument("", "bytes that are not UTF-8", "UTF-8") from None
    except json.JSONDecodeError as error:
        raise BadDocument("", f"{error.msg} at line {error.lineno} column {error.colno}", "one JSON document") from None
    except RecursionError:
        raise BadDocument("", "nesting too deep", f"at most {MAX_DEPTH} levels") from None


class _Number(str):
    """A JSON number with a point or exponent, kept as text: no field of ours takes one."""

    __slots__ = ()


def _integer(text: str) -> Any:
    return int(text) if len(text) <= 25 else _Number(text)  # noqa: PLR2004 - longer than any count


def _constant(name: str) -> Any:
    raise BadDocument("", name, "JSON numbers")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]  # None is false, as meant
        raise BadDocument("", f"the key {twice[:60]!r} twice in one object", "each key once")
    return result


_STRUCTURE = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)
"""A string, closed or cut short by the end, or a bracket. It never gives back what it has read (possessive), so that no
document takes longer than its length, nor memory for a way back."""


def _check_structure(content: bytes) -> None:
    depth = containers = 0
    for token in _STRUCTURE.finditer(content):
        first = content[token.start()]
        if first in b"[{":
            depth += 1
            containers += 1
            if depth > MAX_DEPTH:
                raise BadDocument("", "nesting too deep", f"at most {MAX_DEPTH} levels")
            if containers > MAX_CONTAINERS:
                raise BadDocument("", "more objects and lists", f"at most {MAX_CONTAINERS} objects and lists")
        elif first in b"]}":
            depth -= 1


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a document and where it stands (`pointer`, RFC 6901)."""

    value: Any
    pointer: str = ""

    def refuse(self, allowed: str) -> BadDocument:
        """Return the error that says this value is not allowed here; the caller raises it."""
        return BadDocument(self.pointer, self.value, allowed)

    @property
    def given(self) -> bool:
        """True when the key is there and not null."""
        return self.value is not None and self.value is not MISSING

    def child(self, name: str | int) -> "Node":
        """Return a member of an object (MISSING when absent) or an element of a list."""
        pointer = f"{self.pointer}/{str(name).replace('~', '~0').replace('/', '~1')}"
        value = self.value[name] if isinstance(name, int) else self.value.get(name, MISSING)
        return Node(value, pointer)

    def object(self, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, "Node"]:
        """Return the members by name; refuse anything but an object with exactly these keys."""
        if not isinstance(self.value, dict):
            raise self.refuse("an object")
        required, optional = list(required), list(optional)
        for name in self.value:
            if name not in required and name not in optional:
                raise BadDocument(self.child(name).pointer, name, "one of " + ", ".join(sorted({*required, *optional})))
        for name in required:
            if name not in self.value:
                raise BadDocument(self.child(name).pointer, MISSING, "this key is required")
        return {name: self.child(name) for name in (*required, *optional)}

    def list(self, *, minimum: int = 0, maximum: int = 5_000_000) -> list["Node"]:
        """Return the elements; refuse anything but a list of that length."""
        if not isinstance(self.value, list):
            raise self.refuse("a list")
        if not minimum <= len(self.value) <= maximum:
            raise BadDocument(self.pointer, f"{len(self.value)} elements", f"{minimum} to {maximum} elements")
        return [self.child(index) for index in range(len(self.value))]

    def text(self, *, maximum: int = MAX_TEXT, minimum: int = 1) -> str:
        """Return a string of bounded length without lone surrogates or NUL."""
        if not isinstance(self.value, str) or isinstance(self.value, _Number):
            raise self.refuse("a string")
        if not minimum <= len(self.value) <= maximum or "\x00" in self.value or not _encodable(self.value):
            raise self.refuse(f"a string of {minimum} to {maximum} characters")
        return self.value

    def one_of(self, allowed: Sequence[str]) -> str:
        """Return a string out of a closed list."""
        if not isinstance(self.value, str) or self.value not in allowed:
            raise self.refuse("one of " + ", ".join(allowed))
        return self.value

    def integer(self, minimum: int, maximum: int) -> int:
        """Return a JSON integer within bounds, both inclusive."""
        if type(self.value) is not int or not minimum <= self.value <= maximum:
            raise self.refuse(f"a whole number from {minimum} to {maximum}")
        return self.value

    def boolean(self) -> bool:
        """Return true or false."""
        if not isinstance(self.value, bool):
            raise self.refuse("true or false")
        return self.value

    def currency(self) -> str:
        """Return a currency code that the market trades in."""
        return self.one_of(sorted(EXPONENTS))

    def amount(self, currency: str, *, signed: bool = False) -> Money:
        """Return an exact amount: a string of digits with at most the currency's decimals."""
        pattern, decimals = (_SIGNED_AMOUNT if signed else _AMOUNT), exponent(currency)
        largest = Money(MAX_MINOR, currency).text
        allowed = f"an amount as a string of digits with at most {decimals} decimals, at most {largest}"
        if not isinstance(self.value, str) or isinstance(self.value, _Number) or not pattern.fullmatch(self.value):
            raise self.refuse(allowed)
        try:
            return Money.parse(self.value, currency)
        except Failure:
            raise self.refuse(allowed) from None

    def rate(self, minimum: Decimal | None = None, maximum: Decimal | None = None) -> Decimal:
        """Return an exact decimal given as a string, within bounds when there are any, both inclusive."""
        if not isinstance(self.value, str) or isinstance(self.value, _Number) or not _RATE.fullmatch(self.value):
            raise self.refuse("a decimal number as a string")
        value = Decimal(self.value)
        if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
            raise self.refuse(f"a decimal number from {minimum} to {maximum if maximum is not None else 'any'}")
        return value

    def instant(self) -> datetime:
        """Return an instant: RFC 3339 with milliseconds and Z."""
        if not isinstance(self.value, str) or not _INSTANT.fullmatch(self.value):
            raise self.refuse("an instant such as 2026-03-02T09:00:00.000Z")
        try:
            return datetime.fromisoformat(self.value)
        except (ValueError, NotAnInstant):
            raise self.refuse("an instant such as 2026-03-02T09:00:00.000Z") from None

    def date(self) -> date:
        """Return a calendar date."""
        try:
            return parse_date(self.value)
        except NotADate:
            raise self.refuse("a date such as 2026-03-02") from None


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def problem(failure: Failure) -> dict[str, Any]:
    """Return the RFC 9457 problem document of an anticipated failure."""
    document: dict[str, Any] = {
        "type": f"urn:problem:{failure.code}",
        "title": failure.code.replace("_", " ").capitalize(),
        "status": failure.status,
        "code": failure.code,
        "detail": failure.detail,
    }
    if failure.errors:
        document["errors"] = failure.errors
    document.update({name: value for name, value in failure.values.items() if name not in document})
    return document


Command = Callable[[Node], dict[str, Any]]


def run(program: str, commands: dict[str, Command], arguments: Sequence[str]) -> int:
    """Be the command line `python -m PROGRAM COMMAND FILE`: print the answer, or the problem and return 2."""
    if len(arguments) != 2 or arguments[0] not in commands:  # noqa: PLR2004 - command and file
        sys.stderr.write(f"usage: python -m {program} {{{','.join(commands)}}} FILE   (FILE may be -)\n")
        return 2
    try:
        answer = commands[arguments[0]](Node(parse(_read(arguments[1]))))
    except Failure as failure:
        tell(sys.stderr, problem(failure))
        return 2
    tell(sys.stdout, answer, indent=1)
    return 0


def tell(stream: TextIO, document: dict[str, Any], *, indent: int | None = None) -> None:
    """Write one JSON document and a line's end in UTF-8, whatever the encoding of the stream is (RFC 8259, 8.1)."""
    stream.flush()
    stream.buffer.write(json.dumps(document, ensure_ascii=False, indent=indent).encode("utf-8", "backslashreplace"))
    stream.buffer.write(b"\n")
    stream.buffer.flush()


def _read(name: str) -> bytes:
    try:
        if name == "-":
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with Path(name).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadDocument("", f"unreadable file: {error.strerror}", "a file that can be read") from None

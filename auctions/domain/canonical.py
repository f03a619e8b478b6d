"""Canonical JSON (RFC 8785) and the hash chain over an auction's log: what makes a result verifiable offline."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

import orjson

MAX_INTEGER: Final = 2**53 - 1
"""Largest integer that every JSON reader keeps exactly (RFC 7493)."""

_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def canonical(value: Any) -> bytes:
    """Return the RFC 8785 form of a JSON value in UTF-8.

    Takes null, booleans, integers up to 2**53 - 1, text, lists and objects. There is no rule here for fractions because
    no document of ours holds one: a float is a programming error (TypeError).
    """
    return _encode(_ordered(value)).encode()


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in _sorted(value)}
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    if value is None or isinstance(value, (bool, str)) or (type(value) is int and abs(value) <= MAX_INTEGER):
        return value
    raise TypeError(f"{type(value).__name__} has no place in a canonical document")


def _sorted(names: Iterable[str]) -> list[str]:
    """Return names in order of their UTF-16 code units, which for ASCII is the order of text."""
    if all(map(str.isascii, names)):
        return sorted(names)
    return sorted(names, key=lambda name: name.encode("utf-16-be"))


def fingerprint(value: Any) -> str:
    """Return `sha256:` and the hex SHA-256 of a value's canonical form."""
    return f"sha256:{hashlib.sha256(canonical(value)).hexdigest()}"


def _canonical_entry(value: Any) -> bytes:
    """Return the canonical form of an entry by the fast encoder, which writes texts in objects with ASCII names alike.

    Whatever it does not take (a half of a surrogate pair) goes the way of `canonical`.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:
        return canonical(value)


class Chain:
    """h0 = SHA-256(rules); for each event h = SHA-256(h before ‖ {"answer", "event"}), all in canonical form."""

    def __init__(self, rules: Any) -> None:
        self._digest = hashlib.sha256(canonical(rules)).digest()

    def add(self, *, event: Any, answer: Any) -> None:
        """Append one event with its answer."""
        self._digest = hashlib.sha256(self._digest + _canonical_entry({"answer": answer, "event": event})).digest()

    @property
    def text(self) -> str:
        """The hash up to here, as `sha256:` and hex."""
        return f"sha256:{self._digest.hex()}"

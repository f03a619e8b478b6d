"""The engine beside the auction's row: the standing as text, so that any process decides where the last one stopped.

The row's `play` and its `head` are written in one statement, so the text is no truth of its own: closing computes it
again from the log. A process remembers readings of rules, which are frozen, and of texts, which are what they say.
"""

import contextlib
import functools
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from auctions import veils
from auctions.domain import terms
from auctions.domain.formats import Answer, AttemptKind, Event, Play, RefusalCode, Standing
from auctions.domain.replay import Rulebook
from auctions.log import Head
from auctions.sealed_book import SEALED_FORMATS

LATE: Final = Answer(accepted=False, code=RefusalCode.LATE)
"""The answer to whatever comes after the outcome was written down."""


_ATTEMPTS: Final = frozenset(AttemptKind)


@functools.lru_cache(maxsize=512)
def _is_sealed(text: str) -> bool:
    return json.loads(text)["format"] in SEALED_FORMATS


def is_sealed(row: Any) -> bool:
    """Whether the attempts of an auction lie in sealed books, not in its log."""
    return _is_sealed(row.rules)


def takes(row: Any, kind: str, *, amount: bool, lots: bool) -> bool:
    """Whether the format of an auction takes this kind of attempt with just these values."""
    return _takes(row.rules, row.reserve_minor, kind, amount=amount, lots=lots)


@functools.lru_cache(maxsize=2048)
def _takes(rules: str, reserve_minor: int | None, kind: str, *, amount: bool, lots: bool) -> bool:
    shape = read_rules(rules, reserve_minor).format.attempts.get(kind)
    if shape is None:
        return False
    required, optional = shape
    given = {"bidder"} | ({"amount"} if amount else set()) | ({"lots"} if lots else set())
    return given >= set(required) and given <= {*required, *optional}


def attempts_of(row: Any) -> Mapping[str, tuple[Sequence[str], Sequence[str]]]:
    """Return the kinds of attempt that the format of an auction takes, with the keys that each has and may have."""
    return read_rules(row.rules, row.reserve_minor).format.attempts


def floor_of(row: Any) -> int | None:
    """Return the start price of an auction, None where its format has none."""
    found: int | None = getattr(read_rules(row.rules, row.reserve_minor).rules, "start_price", None)
    return found


@functools.lru_cache(maxsize=512)
def read_rules(text: str, reserve_minor: int | None) -> Rulebook:
    """Return frozen rules with the reserve as the domain takes them; remembered, because frozen."""
    return terms.read(complete(json.loads(text), reserve_minor))


def complete(rules: dict[str, Any], reserve_minor: int | None) -> dict[str, Any]:
    """Return the public rules with the hidden reserve, if there is one: what the engine plays and the log discloses."""
    return rules if reserve_minor is None else terms.with_reserve(rules, reserve_minor)


@dataclass(slots=True)
class Live:
    """An auction as it is being decided: the engine, and when each bidder's last attempt was accepted."""

    play: Play
    accepted_at: dict[str, datetime]
    restored: bool = True

    def step(self, event: Event) -> Answer:
        """Take the next event and answer it."""
        answer = self.play.step(event)
        if answer.accepted and event.kind in _ATTEMPTS:
            self.accepted_at[event.bidder] = event.at
        return answer

    def wait(self, bidder: str, *, seconds: int, at: datetime) -> timedelta:
        """Return how long a bidder has to wait before its next attempt; zero or less: not at all."""
        last = self.accepted_at.get(bidder)
        return timedelta(0) if last is None else last + timedelta(seconds=seconds) - at

    def text(self, at: datetime) -> str:
        """Return all of it as text for the row; accepted attempts of more than a minute ago hold nobody up.

        While bids are sealed the text is veiled: it holds their amounts.
        """
        recent = {who: when.isoformat() for who, when in self.accepted_at.items() if at - when < timedelta(minutes=1)}
        text = orjson.dumps({"play": self.play.dump(), "accepted_at": recent}).decode()
        return veils.lay(text) if self.play.standing(at).sealed else text


_kept: Final[dict[uuid.UUID, tuple[tuple[Any, ...], Live]]] = {}
"""By auction, what this process decided last, and after which entry; `_KEPT_MOST` of them."""

_KEPT_MOST: Final = 512


def keep(row: Any, head: Head, kept: Live) -> None:
    """Remember an auction as it stands after the entry that `head` names, for the next batch of this process.

    It is used only for a row that has that very entry as its last: its hash covers a random number, so an entry that
    was not committed after all is never taken for another one, and whatever any other process wrote shows. The caller
    gives `kept` away. A play that began without a text is left: it may hold its whole log.
    """
    if not kept.restored:
        return
    if len(_kept) >= _KEPT_MOST:
        _kept.clear()
    _kept[row.id] = ((head.number, head.hash, row.rules_hash, row.reserve_minor), kept)


def mark(row: Any) -> tuple[Any, ...]:
    """Return what tells the standing of a row: its last entry, and its rules, which may change before the first."""
    return row.number, row.head, row.rules_hash, row.reserve_minor


@contextlib.contextmanager
def borrowed(auction_id: uuid.UUID) -> Iterator[Live | None]:
    """Lend an auction as it was kept, to be looked at; None when it is not kept or somebody has it."""
    known = _kept.pop(auction_id, None)
    try:
        yield None if known is None else known[1]
    finally:
        if known is not None:
            _kept.setdefault(auction_id, known)


def live(row: Any) -> Live:
    """Return the auction of a row, ready to be decided; without a text it stands before its first event."""
    known = _kept.pop(row.id, None)
    if known is not None and known[0] == mark(row):
        return known[1]
    book = read_rules(row.rules, row.reserve_minor)
    if row.play is None:
        return Live(book.start(), {}, restored=False)
    kept = orjson.loads(veils.lift(row.play))
    accepted_at = {who: datetime.fromisoformat(when) for who, when in kept["accepted_at"].items()}
    return Live(book.load(kept["play"]), accepted_at)


def standing(row: Any, at: datetime) -> Standing:
    """Return where the auction of a row stands at `at`."""
    return live(row).play.standing(at)

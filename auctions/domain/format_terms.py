"""The terms that only some formats have, in the shape of a replay file's rules: which there are, and how each is read.

A listing keeps them in one document, `format_terms`. Which of them a format takes is told by the format itself
(`FORMATS`), so that the announcement and the engine cannot disagree.
"""

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from auctions.domain.reading import MAX_COUNT, MAX_SECONDS
from auctions.domain.replay import FORMATS
from marketplace.documents import BadDocument, Node

MAX_LOTS: Final = 1000


class FormatName(enum.StrEnum):
    """The ways in which a package can be auctioned."""

    ENGLISH = "english"
    PROXY = "proxy"
    TWO_PHASE = "two_phase"
    SEALED_FIRST_PRICE = "sealed_first_price"
    SEALED_SECOND_PRICE = "sealed_second_price"
    DUTCH = "dutch"
    HYBRID_DUTCH = "hybrid_dutch"
    GONG = "gong"
    PACKAGE = "package"


COLUMNS: Final = ("ends_at", "start_price", "reserve_price", "increment", "minimum_bidders", "soft_close", "priority")
"""Keys of rules that a listing has a place of its own for; `priority` is kept by organisation."""

SOFT_CLOSE: Final = ("soft_close_window_seconds", "soft_close_extension_seconds", "soft_close_base", "hard_end_at")
"""Terms of a listing that make up the key `soft_close`."""


def _steps(node: Node, currency: str) -> dict[str, Any]:
    members = node.object(["count", "seconds", "drop"], ["pause_seconds"])
    return {
        "count": members["count"].integer(1, MAX_COUNT),
        "seconds": members["seconds"].integer(1, MAX_SECONDS),
        "drop": members["drop"].amount(currency).text,
        "pause_seconds": members["pause_seconds"].integer(0, MAX_SECONDS) if members["pause_seconds"].given else 0,
    }


def _lots(node: Node, currency: str) -> list[dict[str, Any]]:
    lots: list[dict[str, Any]] = []
    for row in node.list(minimum=1, maximum=MAX_LOTS):
        members = row.object(["lot", "reserve"])
        name = members["lot"].text(maximum=60)
        if any(lot["lot"] == name for lot in lots):
            raise members["lot"].refuse("a name that no other lot has")
        lots.append({"lot": name, "reserve": members["reserve"].amount(currency).text})
    return lots


def _seconds(node: Node, _currency: str) -> int:
    return node.integer(1, MAX_SECONDS)


def _pause(node: Node, _currency: str) -> int:
    return node.integer(0, MAX_SECONDS)


def _flag(node: Node, _currency: str) -> bool:
    return node.boolean()


_READERS: Final[Mapping[str, Callable[[Node, str], Any]]] = {
    "grid": _flag,
    "minimum_raises": lambda node, _: node.integer(0, MAX_COUNT),
    "awards": lambda node, _: node.integer(1, MAX_COUNT),
    "soft_close_base": lambda node, _: node.one_of(["bid", "end"]),
    "cycle_seconds": _seconds,
    "first_bid_clock_seconds": _seconds,
    "steps": _steps,
    "sealed_seconds": _seconds,
    "best_bid_seconds": _seconds,
    "pause_seconds": _pause,
    "round_seconds": _seconds,
    "stop_at": lambda node, _: node.instant() and node.value,
    "lots": _lots,
    "unsold_lots_count": lambda node, _: node.one_of(["nothing", "at_reserve"]),
    "exclusive_bids_per_bidder": _flag,
}
NAMES: Final = tuple(_READERS)
"""The names of the terms that are kept in `format_terms`."""


def keys(name: FormatName) -> frozenset[str]:
    """Return the keys that the rules of a format may have beside `format`, `currency`, `opens_at`."""
    played = _played(name)
    return frozenset({*played.required, *played.optional})


def required(name: FormatName) -> tuple[str, ...]:
    """Return the keys that the rules of a format must have beside `format`, `currency`, `opens_at`."""
    return tuple(_played(name).required)


def _played(name: FormatName) -> Any:
    if name.value not in FORMATS:
        raise BadDocument("/format", name.value, "one of " + ", ".join(FORMATS))
    return FORMATS[name.value]


def takes(name: FormatName, term: str) -> bool:
    """Whether a term of a listing means anything in a format."""
    key = "soft_close" if term in SOFT_CLOSE else term
    if key in {*COLUMNS, *NAMES}:
        return key in keys(name)
    return True


def check_taken(name: FormatName, terms: Iterable[str]) -> None:
    """Refuse terms that mean nothing in a format; raise `BadDocument` at the first one's pointer."""
    allowed = sorted(term for term in (*COLUMNS, *NAMES, *SOFT_CLOSE) if term != "soft_close" and takes(name, term))
    for term in terms:
        if not takes(name, term):
            raise BadDocument(f"/{term}", term, f"terms of the format {name.value}: " + ", ".join(allowed))


def read(term: str, value: Any, currency: str, pointer: str = "") -> Any:
    """Return a term of a format in its canonical shape; raise `BadDocument` at `pointer`, default `/TERM…`."""
    return _READERS[term](Node(value, pointer or f"/{term}"), currency)

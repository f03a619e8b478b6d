"""Readers of the keys that several formats share; each refuses what is not exactly right as `BadDocument`."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from auctions.domain import increments
from auctions.domain.increments import Fixed, Increment
from marketplace.documents import BadDocument, Node

MAX_SECONDS: Final = 366 * 86_400
MAX_COUNT: Final = 1_000_000
MAX_LENGTH: Final = timedelta(days=365 * 7000)
"""Longest time table of prices and phases; with the years of instants, no sum leaves the calendar."""

YEARS: Final = range(1970, 2200)


def instant(node: Node) -> datetime:
    """Read an instant of the years 1970 to 2199, so that no sum of instants and seconds leaves the calendar."""
    value = node.instant()
    if value.year not in YEARS:
        raise node.refuse(f"an instant of the years {YEARS.start} to {YEARS.stop - 1}")
    return value


def end(members: Mapping[str, Node], key: str = "ends_at") -> tuple[datetime, datetime]:
    """Read `opens_at` and the end, which lies after it."""
    opens_at, ends_at = instant(members["opens_at"]), instant(members[key])
    if ends_at <= opens_at:
        raise members[key].refuse("an instant after opens_at")
    return opens_at, ends_at


def positive(node: Node, currency: str) -> int:
    """Read an amount above zero, minor units."""
    minor = node.amount(currency).minor
    if minor <= 0:
        raise node.refuse("more than zero")
    return minor


def amount(node: Node, currency: str) -> int | None:
    """Read an amount that may be absent or null, minor units."""
    return node.amount(currency).minor if node.given else None


def count(node: Node, *, minimum: int, default: int) -> int:
    """Read a count that may be absent or null."""
    return node.integer(minimum, MAX_COUNT) if node.given else default


def seconds(node: Node, *, minimum: int = 1) -> timedelta:
    """Read a number of seconds."""
    return timedelta(seconds=node.integer(minimum, MAX_SECONDS))


def flag(node: Node) -> bool:
    """Read a flag that may be absent or null, meaning false."""
    return node.boolean() if node.given else False


def fixed(node: Node, currency: str) -> int:
    """Read an increment that must be fixed, minor units."""
    step = increments.read(node, currency)
    if not isinstance(step, Fixed):
        raise node.child("kind").refuse("fixed")
    return step.amount


def grid(node: Node, increment: Increment) -> bool:
    """Read `grid`, which needs a fixed increment."""
    on = flag(node)
    if on and not isinstance(increment, Fixed):
        raise node.refuse("false, because the increment is not fixed")
    return on


def ranks(node: Node) -> dict[str, int]:
    """Read the holders of a pre-emption right with their ranks, 1 the best; absent or null means none."""
    found: dict[str, int] = {}
    for row in node.list(maximum=MAX_COUNT) if node.given else []:
        members = row.object(["bidder", "rank"])
        bidder = members["bidder"].text()
        if bidder in found:
            raise BadDocument(members["bidder"].pointer, bidder, "each bidder once")
        found[bidder] = members["rank"].integer(1, MAX_COUNT)
    return found

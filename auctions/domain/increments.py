"""By how much a bid must exceed the price: a fixed step, a percentage, or a table of bands. Minor units throughout."""

import bisect
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from marketplace.documents import BadDocument, Node
from marketplace.money import Money


class Increment(Protocol):
    """The least step up from a price."""

    def above(self, price: int) -> int:
        """Return the least raise over `price`, minor units, always more than zero."""

    def document(self, currency: str) -> dict[str, Any]:
        """Return the increment as it stands in the rules of a replay file."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same step at every price."""

    amount: int

    def above(self, price: int) -> int:
        """Return the step."""
        del price
        return self.amount

    def document(self, currency: str) -> dict[str, Any]:
        """Return the increment as it stands in the rules of a replay file."""
        return {"kind": "fixed", "amount": Money(self.amount, currency).text}


@dataclass(frozen=True, slots=True)
class Percent:
    """A percentage of the price, rounded up to minor units, and never less than `minimum`."""

    percent: Decimal
    minimum: int

    def above(self, price: int) -> int:
        """Return the percentage of `price` rounded up, at least the minimum."""
        numerator, denominator = self.percent.as_integer_ratio()
        return max(-(-price * numerator // (denominator * 100)), self.minimum)

    def document(self, currency: str) -> dict[str, Any]:
        """Return the increment as it stands in the rules of a replay file."""
        return {
            "kind": "percent",
            "percent": format(self.percent, "f"),
            "minimum": Money(self.minimum, currency).text,
        }


@dataclass(frozen=True, slots=True)
class Bands:
    """Steps by price: `amounts[i]` from the price `froms[i]` on (inclusive); `froms` ascends from 0."""

    froms: tuple[int, ...]
    amounts: tuple[int, ...]

    def above(self, price: int) -> int:
        """Return the step of the band that `price` lies in."""
        return self.amounts[bisect.bisect_right(self.froms, price) - 1]

    def document(self, currency: str) -> dict[str, Any]:
        """Return the increment as it stands in the rules of a replay file."""
        rows = zip(self.froms, self.amounts, strict=True)
        return {
            "kind": "bands",
            "bands": [{"from": Money(low, currency).text, "amount": Money(step, currency).text} for low, step in rows],
        }


def read(node: Node, currency: str) -> Increment:
    """Read an increment of the rules; raise `BadDocument`."""
    if not isinstance(node.value, dict) or "kind" not in node.value:
        node.object(["kind"], ["amount", "percent", "minimum", "bands"])
    kind = node.child("kind").one_of(["fixed", "percent", "bands"])
    if kind == "fixed":
        return Fixed(_positive(node.object(["kind", "amount"])["amount"], currency))
    if kind == "percent":
        return _percent(node.object(["kind", "percent", "minimum"]), currency)
    return _bands(node.object(["kind", "bands"])["bands"].list(minimum=1, maximum=1000), currency)


def _percent(members: dict[str, Node], currency: str) -> Percent:
    percent = members["percent"].rate(Decimal(0))
    minimum = members["minimum"].amount(currency).minor
    if not percent and not minimum:
        raise members["minimum"].refuse("more than zero when the percentage is zero")
    return Percent(percent, minimum)


def _bands(rows: list[Node], currency: str) -> Bands:
    froms: list[int] = []
    amounts: list[int] = []
    for row in rows:
        members = row.object(["from", "amount"])
        low = members["from"].amount(currency).minor
        if (froms and low <= froms[-1]) or (not froms and low != 0):
            raise members["from"].refuse("0 in the first band, and more than in the band before in each other")
        froms.append(low)
        amounts.append(_positive(members["amount"], currency))
    return Bands(tuple(froms), tuple(amounts))


def _positive(node: Node, currency: str) -> int:
    minor = node.amount(currency).minor
    if minor <= 0:
        raise BadDocument(node.pointer, node.value, "more than zero")
    return minor

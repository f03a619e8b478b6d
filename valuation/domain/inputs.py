"""How the inputs of a method are read: a frozen dataclass whose field types say what may stand there.

    class Sale(Inputs):
        price: Amount                       an amount, not negative, with the currency's decimals
        costs: tuple[Cost, ...]             a list of objects
        cap: Amount | None = None           may be absent or null

Every refusal names its place by a JSON pointer (`marketplace.documents`).
"""

import dataclasses
import functools
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, NamedTuple, Self, get_args, get_origin, get_type_hints

from marketplace.documents import BadDocument, Node
from marketplace.money import exponent
from valuation.domain.figures import ONE, ZERO, total

MAX_ELEMENTS: Final = 100_000
"""Longest list that a method reads; it bounds the time of an answer."""
_MAX_YEARS: Final = Decimal(100)

Reader = Callable[[Node, str], Any]
"""reader(node, currency): the value at a place of a document, or `BadDocument`."""


class Length(NamedTuple):
    """Bounds of the length of a list, both inclusive."""

    minimum: int = 0
    maximum: int = MAX_ELEMENTS


def _signed_amount(node: Node, currency: str) -> Decimal:
    value, decimals = node.rate(), exponent(currency)
    if -int(value.as_tuple().exponent) > decimals:
        raise node.refuse(f"an amount as a string of digits with at most {decimals} decimals")
    return value


def _amount(node: Node, currency: str) -> Decimal:
    value = _signed_amount(node, currency)
    if node.value.startswith("-"):
        raise node.refuse("an amount that is not negative")
    return value


def _rate(node: Node, _: str) -> Decimal:
    return node.rate(ZERO, ONE)


def _factor(node: Node, _: str) -> Decimal:
    return node.rate(ZERO)


def _years(node: Node, _: str) -> Decimal:
    return node.rate(ZERO, _MAX_YEARS)


Amount = Annotated[Decimal, _amount]
"""Major units of the currency, not negative, with at most its decimals."""
SignedAmount = Annotated[Decimal, _signed_amount]
"""The same of either sign."""
Rate = Annotated[Decimal, _rate]
"""A rate, share, haircut or probability: 0 to 1."""
Factor = Annotated[Decimal, _factor]
"""A factor or ratio: 0 or more."""
Years = Annotated[Decimal, _years]
"""A time in years: 0 to 100."""


def one_of(*allowed: str) -> Reader:
    """Return a reader of one word out of a closed list."""
    return lambda node, _: node.one_of(allowed)


def count(minimum: int, maximum: int) -> Reader:
    """Return a reader of whole numbers within bounds."""
    return lambda node, _: node.integer(minimum, maximum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Base of what a method reads: an object with exactly these keys; fields with a default may be absent or null."""

    distinct_names: ClassVar[Sequence[str]] = ()
    """Lists whose elements have distinct names."""

    @classmethod
    def read(cls, node: Node, currency: str) -> Self:
        """Read inputs in `currency`; raise `BadDocument` at the first place that is wrong."""
        readers, optional = _readers(cls)  # type: ignore[arg-type]  # a class is hashable
        places = node.object([name for name in readers if name not in optional], optional)
        values = {
            name: reader(places[name], currency)
            for name, reader in readers.items()
            if name not in optional or places[name].given
        }
        for name in cls.distinct_names:
            _check_distinct(node.child(name), [element.name for element in values[name]])
        if issubclass(cls, MoneyInputs):
            values["currency"] = currency
        inputs = cls(**values)
        inputs.check(node)
        return inputs

    def check(self, node: Node) -> None:
        """Refuse inputs that contradict each other; `node` is where they stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyInputs(Inputs):
    """Inputs of a method as a whole: they know their currency."""

    currency: str


@functools.cache
def _readers(cls: type[Inputs]) -> tuple[dict[str, Reader], list[str]]:
    """Return the readers of the fields by name, and the names of the optional ones."""
    kinds = get_type_hints(cls, include_extras=True)
    fields = [field for field in dataclasses.fields(cls) if field.name != "currency"]
    return (
        {field.name: _reader(kinds[field.name]) for field in fields},
        [field.name for field in fields if field.default is None],
    )


def _reader(kind: Any) -> Reader:
    if get_origin(kind) is Annotated:
        kind, extra = get_args(kind)
        return _list_reader(kind, extra) if isinstance(extra, Length) else extra
    if get_origin(kind) is tuple:
        return _list_reader(kind, Length())
    if get_origin(kind) is types.UnionType or type(None) in get_args(kind):
        return _reader(next(part for part in get_args(kind) if part is not type(None)))
    if kind is str:
        return lambda node, _: node.text()
    return kind.read  # type: ignore[no-any-return]  # Any by its library


def _list_reader(kind: Any, length: Length) -> Reader:
    element = _reader(get_args(kind)[0])
    return lambda node, currency: tuple(
        element(one, currency) for one in node.list(minimum=length.minimum, maximum=length.maximum)
    )


def _check_distinct(node: Node, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            raise BadDocument(node.child(index).child("name").pointer, name, "a name that is not in the list yet")
        seen.add(name)


def check_whole(node: Node, shares: Sequence[Decimal]) -> None:
    """Refuse shares or probabilities that do not add up to exactly 1."""
    added = total(shares)
    if added != ONE:
        raise BadDocument(node.pointer, f"a sum of {added:f}", "a sum of exactly 1")

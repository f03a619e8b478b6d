"""The funds flow as a document that anyone recomputes: `python -m settlement split FILE` and `POST /previews/split`.

Reads section 3 of `../shared/formats/README.md` strictly and answers in its words; the figures come from `funds_flow`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from marketplace.documents import BadDocument, Node
from marketplace.money import MAX_MINOR, Money, Rounding
from settlement.domain import funds_flow
from settlement.domain.funds_flow import Band, Bands, Deduction, Fixed, Percent, PercentInside, PercentOf, Rule

MAX_DEDUCTIONS: Final = 1000
MAX_BANDS: Final = 100

_WEIGHT = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)
ROUNDINGS: Final = {"half_up": Rounding.HALF_UP, "down": Rounding.DOWN, "up": Rounding.UP}
_KEYS: Final = {"percent": ("percent",), "bands": ("bands",), "percent_of": ("of", "percent"), "amount": ("amount",)}
_KEYS_INSIDE: Final = {**_KEYS, "percent_inside": ("of", "percent")}


@dataclass(frozen=True, slots=True)
class Cases:
    """Case keys in the order of the document, and their weights scaled to integers (only proportions count)."""

    keys: tuple[str, ...]
    weights: tuple[int, ...]


def split(document: Node) -> dict[str, Any]:
    """Answer one funds flow document; raise `BadDocument` with the pointer of what is wrong."""
    members = document.object(
        required=("currency", "price", "cases"), optional=("deposit", "deductions", "collections_after_cut_off")
    )
    currency = members["currency"].currency()
    price = members["price"].amount(currency)
    deposit = members["deposit"].amount(currency) if members["deposit"].given else Money.zero(currency)
    deductions = read_deductions(members["deductions"], currency) if members["deductions"].given else []
    cases = read_cases(members["cases"])
    adjustment = _read_collections(members["collections_after_cut_off"], currency, cases)
    try:
        flow = funds_flow.flow(price=price, deposit=deposit, deductions=deductions)
        parts = funds_flow.allocation(flow.net, cases.weights, cases.keys)
    except funds_flow.DeductionAboveRest as failure:
        node = members["deductions"].child(failure.position)
        raise BadDocument(
            node.pointer, failure.values["deduction"], f"at most the rest, {failure.values['rest']}"
        ) from None
    except funds_flow.NoWeights:
        raise BadDocument(members["cases"].pointer, "only zero weights", "a weight above zero") from None
    return _answer(flow, adjustment, cases.keys, parts.tolist())


def _answer(flow: funds_flow.FundsFlow, adjustment: Money, keys: Sequence[str], parts: Sequence[int]) -> dict[str, Any]:
    currency = flow.gross.currency
    return {
        "gross": flow.gross.text,
        "deposit_applied": flow.deposit_applied.text,
        "balance_due": flow.balance_due.text,
        "deductions": [{"name": one.name, "payee": one.payee, "amount": one.amount.text} for one in flow.deductions],
        "net": flow.net.text,
        "price_adjustment": adjustment.text,
        "allocations": [
            {"case": key, "amount": Money(part, currency).text} for key, part in zip(keys, parts, strict=True)
        ],
        "total": Money(sum(parts), currency).text,
        "engine": funds_flow.ENGINE,
    }


def read_deductions(node: Node, currency: str, *, inside: bool = False) -> list[Deduction]:
    """Read a list of deductions; each name once, `of` names an earlier one.

    With `inside` the kind `percent_inside` is known too, which is part of fee schedules and closings, not of the funds
    flow document.
    """
    deductions: list[Deduction] = []
    names: set[str] = set()
    keys = _KEYS_INSIDE if inside else _KEYS
    for one in node.list(maximum=MAX_DEDUCTIONS):
        deduction = _read_deduction(one, currency, names, keys)
        names.add(deduction.name)
        deductions.append(deduction)
    return deductions


def _read_deduction(node: Node, currency: str, earlier: set[str], keys: Mapping[str, tuple[str, ...]]) -> Deduction:
    if not isinstance(node.value, dict):
        raise node.refuse("an object")
    kind = node.child("kind")
    own = keys[kind.one_of(tuple(keys))]
    options = ("up_to",) if kind.value == "amount" else ("rounding",)
    members = node.object(required=("name", "payee", "kind", *own), optional=options)
    name = members["name"].text()
    if name in earlier:
        raise members["name"].refuse("each name once")
    return Deduction(name, members["payee"].text(), _read_rule(kind.value, members, currency, earlier))


def _read_rule(kind: str, members: dict[str, Node], currency: str, earlier: set[str]) -> Rule:
    if kind == "amount":
        up_to = members["up_to"]
        return Fixed(members["amount"].amount(currency), up_to.given and up_to.one_of(("rest",)) == "rest")
    rounding = ROUNDINGS[members["rounding"].one_of(tuple(ROUNDINGS)) if members["rounding"].given else "half_up"]
    if kind == "bands":
        return Bands(_read_bands(members["bands"], currency), rounding)
    if kind == "percent":
        return Percent(read_percent(members["percent"]), rounding)
    of = members["of"].text()
    if of not in earlier:
        raise members["of"].refuse("the name of an earlier deduction")
    return (PercentInside if kind == "percent_inside" else PercentOf)(of, read_percent(members["percent"]), rounding)


def _read_bands(node: Node, currency: str) -> tuple[Band, ...]:
    bands: list[Band] = []
    rows = node.list(minimum=1, maximum=MAX_BANDS)
    floor = Money.zero(currency)
    for row in rows:
        members = row.object(required=("to", "percent"))
        to = members["to"]
        if row is rows[-1]:
            if to.value is not None:
                raise to.refuse("null in the last band")
            bands.append(Band(None, read_percent(members["percent"])))
            break
        limit = to.amount(currency)
        if limit <= floor:
            raise to.refuse(f"an amount above {floor.text}")
        bands.append(Band(limit, read_percent(members["percent"])))
        floor = limit
    return tuple(bands)


def read_percent(node: Node) -> Decimal:
    """Return a percentage from 0 to 100."""
    return node.rate(Decimal(0), Decimal(100))


def read_cases(node: Node, *, optional: tuple[str, ...] = ()) -> Cases:
    """Read cases and weights; one plain loop, because a document may hold a million of them."""
    keys: dict[str, None] = {}
    texts: list[str] = []
    for index, row in enumerate(node.list(minimum=1)):
        value = row.value
        if type(value) is not dict or len(value) != 2 or "case" not in value or "weight" not in value:  # noqa: PLR2004 - its two keys
            row.object(required=("case", "weight"), optional=optional)
        key = row.child("case").text()
        if key in keys:
            raise node.child(index).child("case").refuse("each case once")
        weight = value["weight"]
        if type(weight) is not str or not _WEIGHT.fullmatch(weight):
            raise row.child("weight").refuse("a decimal number of zero or more as a string")
        keys[key] = None
        texts.append(weight)
    return Cases(tuple(keys), _scaled(texts))


def _scaled(texts: Sequence[str]) -> tuple[int, ...]:
    """Return exact decimals as integers of one common scale."""
    fractions = [text.partition(".") for text in texts]
    scale = max(len(fraction.rstrip("0")) for _, _, fraction in fractions)
    return tuple(int(whole + fraction[:scale].ljust(scale, "0")) for whole, _, fraction in fractions)


def _read_collections(node: Node, currency: str, cases: Cases) -> Money:
    """Return the sum of the collections after cut-off; settled apart; a reversal is negative."""
    known, total = set(cases.keys), 0
    for row in node.list() if node.given else []:
        members = row.object(required=("case", "amount"))
        if members["case"].text() not in known:
            raise members["case"].refuse("the key of one of the cases")
        total += members["amount"].amount(currency, signed=True).minor
        if abs(total) > MAX_MINOR:
            raise members["amount"].refuse("amounts whose sum an amount can hold")
    return Money(total, currency)

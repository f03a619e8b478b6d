"""The funds flow against a second reading of its text: a reference in fractions that shares no code with the product.

The reference is written sentence by sentence from section 3 of the formats; documents are made to hit ties, zero
weights, long numbers, currencies without and with three decimals, chains of percentages, and bad input with its place.
"""

import copy
import json
import subprocess
import sys
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from marketplace.documents import BadDocument, Node, parse
from settlement.domain.split import split

DECIMALS = {"CNY": 2, "EUR": 2, "JPY": 0, "KWD": 3}


def written(minor: int, currency: str) -> str:
    """Exactly the currency's decimals."""
    places = DECIMALS[currency]
    digits = str(abs(minor)).zfill(places + 1)
    whole = digits if not places else f"{digits[:-places]}.{digits[-places:]}"
    return f"-{whole}" if minor < 0 else whole


def rounded(value: Fraction, direction: str) -> int:
    if direction == "down":
        return floor(value)
    return ceil(value) if direction == "up" else floor(value + Fraction(1, 2))


def of_bands(bands: list[dict], gross: Fraction) -> Fraction:
    """Marginal bands, summed exactly."""
    total, below = Fraction(0), Fraction(0)
    for band in bands:
        upper = gross if band["to"] is None else min(Fraction(band["to"]), gross)
        total += max(upper - below, 0) * Fraction(band["percent"]) / 100
        below = max(below, upper)
    return total


def reference(document: dict) -> dict | str:
    """Answer a document by the text alone; the place of what is refused when money is missing or cannot be shared."""
    currency = document["currency"]
    unit = 10 ** DECIMALS[currency]
    gross = int(Fraction(document["price"]) * unit)
    deposit = min(int(Fraction(document.get("deposit", "0")) * unit), gross)
    rest, taken = gross, {}
    for place, rule in enumerate(document.get("deductions", [])):
        direction = rule.get("rounding", "half_up")
        if rule["kind"] == "percent":
            amount = rounded(gross * Fraction(rule["percent"]) / 100, direction)
        elif rule["kind"] == "percent_of":
            amount = rounded(taken[rule["of"]] * Fraction(rule["percent"]) / 100, direction)
        elif rule["kind"] == "bands":
            amount = rounded(of_bands(rule["bands"], Fraction(gross, unit)) * unit, direction)
        else:
            amount = int(Fraction(rule["amount"]) * unit)
            amount = min(amount, rest) if rule.get("up_to") == "rest" else amount
        if amount > rest:
            return f"/deductions/{place}"
        taken[rule["name"]] = amount
        rest -= amount
    weights = {case["case"]: Fraction(case["weight"]) for case in document["cases"]}
    whole = sum(weights.values())
    if rest and not whole:
        return "/cases"
    parts = {key: floor(rest * weight / whole) if whole else 0 for key, weight in weights.items()}
    first = sorted(
        weights, key=lambda key: (parts[key] - rest * weights[key] / whole if whole else 0, -weights[key], key)
    )
    for key in first[: rest - sum(parts.values())]:
        parts[key] += 1
    adjustment = sum(int(Fraction(row["amount"]) * unit) for row in document.get("collections_after_cut_off", []))
    return {
        "gross": written(gross, currency),
        "deposit_applied": written(deposit, currency),
        "balance_due": written(gross - deposit, currency),
        "deductions": [
            {"name": rule["name"], "payee": rule["payee"], "amount": written(taken[rule["name"]], currency)}
            for rule in document.get("deductions", [])
        ],
        "net": written(rest, currency),
        "price_adjustment": written(adjustment, currency),
        "allocations": [{"case": key, "amount": written(part, currency)} for key, part in parts.items()],
        "total": written(rest, currency),
    }


percents = st.one_of(
    st.sampled_from(["0", "100", "50", "6", "1.5", "0.000000000001", "33.333333333333"]),
    st.decimals(0, 40, places=4).map(lambda value: format(value, "f")),
)
roundings = st.sampled_from([None, "half_up", "down", "up"])
keys = st.one_of(
    st.text("c012", min_size=1, max_size=3),
    st.sampled_from(["c1", "c10", "c2", "C1", "ä", "z", "案", "𐐷", "\uffee", "~/", ""]).filter(bool),
)
weights = st.one_of(
    st.sampled_from(["0", "0.00", "1", "1.0", "333333.33", "333333.34", "0.000000000000000001", "9" * 18]),
    st.integers(0, 5).map(str),
    st.builds("{}.{}".format, st.integers(0, 10**18 - 1), st.text("0123456789", min_size=1, max_size=18)),
)


def amounts(currency: str, most: int) -> st.SearchStrategy[str]:
    return st.one_of(st.integers(0, 300), st.integers(0, most)).map(lambda minor: written(minor, currency))


@st.composite
def bands(draw, currency):
    limits = sorted(draw(st.sets(st.integers(1, 10**9), max_size=3)))
    ends = [*(written(limit, currency) for limit in limits), None]
    return [{"to": end, "percent": draw(percents)} for end in ends]


@st.composite
def deductions(draw, currency):
    rows = []
    for number in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["percent", "bands", "amount", *(["percent_of"] if rows else [])]))
        row = {"name": f"d{number}", "payee": draw(st.sampled_from(["operator", "税务"])), "kind": kind}
        if kind == "bands":
            row["bands"] = draw(bands(currency))
        elif kind == "amount":
            row["amount"] = draw(amounts(currency, 10**6))
            row |= draw(st.sampled_from([{}, {"up_to": "rest"}]))
        else:
            row["percent"] = draw(percents)
        if kind == "percent_of":
            row["of"] = draw(st.sampled_from([one["name"] for one in rows]))
        if kind != "amount" and (rounding := draw(roundings)):
            row["rounding"] = rounding
        rows.append(row)
    return rows


@st.composite
def documents(draw):
    currency = draw(st.sampled_from(sorted(DECIMALS)))
    names = draw(st.lists(keys, min_size=1, max_size=9, unique=True))
    equal = draw(st.one_of(st.none(), weights))
    document = {
        "currency": currency,
        "price": draw(st.one_of(amounts(currency, 10**12), amounts(currency, 9 * 10**18))),
        "cases": [{"case": name, "weight": equal or draw(weights)} for name in names],
    }
    if draw(st.booleans()):
        document["deposit"] = draw(amounts(currency, 10**12))
    if draw(st.booleans()):
        document["deductions"] = draw(deductions(currency))
    if draw(st.booleans()):
        signed = amounts(currency, 10**9).flatmap(lambda text: st.sampled_from([text, f"-{text}"]))
        rows = st.lists(st.tuples(st.sampled_from(names), signed), max_size=4)
        document["collections_after_cut_off"] = [{"case": name, "amount": text} for name, text in draw(rows)]
    return document


def answer(document):
    return split(Node(parse(json.dumps(document).encode())))


def place_of(document) -> str:
    with pytest.raises(BadDocument) as caught:
        answer(document)
    assert [error.keys() for error in caught.value.errors] == [{"pointer", "found", "allowed"}]
    return caught.value.errors[0]["pointer"]


@given(documents())
@settings(max_examples=600)
def test_every_good_document_is_answered_as_the_text_says(document):
    expected = reference(document)
    if isinstance(expected, str):
        assert place_of(document) == expected
        return
    found = answer(document)
    assert found.pop("engine")
    assert found == expected


def nodes(value, pointer=""):
    """Every place of a document with what stands there."""
    yield pointer, value
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from nodes(member, f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}")


def at(document, pointer):
    """The object or list that holds a place, and the name of the place in it."""
    *way, last = pointer[1:].split("/")
    for name in way:
        document = document[int(name) if isinstance(document, list) else name]
    return document, int(last) if isinstance(document, list) else last


WRONG = {
    "amount": [1, 1.5, None, "", "-1", "+1", "1e3", "1,000", " 1", "1.", ".5", "１", "NaN", [], {}, True],
    "percent": [1, 1.5, None, "", "-1", "100.01", "101", "1e1", "NaN", "1,5", [], {}, True],
    "weight": [1, 1.5, None, "", "-1", "1e3", "NaN", "Infinity", "1,0", " 1", "١", [], {}, False],
    "text": [1, None, [], {}, True, "\ud800"],
    "choice": [1, "other", [], {}, True],
}
KINDS = {
    "price": "amount", "deposit": "amount", "amount": "amount", "percent": "percent", "weight": "weight",
    "case": "text", "name": "text", "payee": "text", "of": "text", "currency": "choice", "kind": "choice",
    "rounding": "choice", "up_to": "choice",
}  # fmt: skip


@given(documents(), st.data())
@settings(max_examples=400)
def test_every_wrong_value_is_refused_at_its_place(document, data):
    places = [pointer for pointer, _ in nodes(document) if pointer.rpartition("/")[2] in KINDS]
    pointer = data.draw(st.sampled_from(places))
    name = pointer.rpartition("/")[2]
    wrong = data.draw(st.sampled_from(WRONG[KINDS[name]]))
    assume(not (wrong is None and name in {"deposit", "rounding", "up_to"}))
    assume(name not in {"amount", "percent"} or "collections" not in pointer or wrong != "-1")
    broken = copy.deepcopy(document)
    holder, key = at(broken, pointer)
    holder[key] = wrong
    assert place_of(broken) == pointer


@given(documents(), st.data())
@settings(max_examples=200)
def test_an_unknown_key_and_a_missing_one_are_named_by_their_own_places(document, data):
    objects = [(pointer, value) for pointer, value in nodes(document) if isinstance(value, dict)]
    pointer, value = data.draw(st.sampled_from(objects))
    extra = copy.deepcopy(document)
    holder = extra if not pointer else at(extra, pointer)[0][at(extra, pointer)[1]]
    holder["no/te~"] = "x"
    assert place_of(extra) == f"{pointer}/no~1te~0"
    optional = {"deposit", "deductions", "collections_after_cut_off", "rounding", "up_to"}
    name = data.draw(st.sampled_from(sorted(set(value) - optional)))
    short = copy.deepcopy(document)
    holder = short if not pointer else at(short, pointer)[0][at(short, pointer)[1]]
    del holder[name]
    assert place_of(short) == f"{pointer}/{name}"


@pytest.mark.parametrize(
    "content",
    [
        b"\xff", b"", b"{", b"[]", b"7", b'"x"', b"null", b"NaN", b'{"price": Infinity}', b"\xef\xbb\xbf{}",
        b'{"currency": "CNY", "currency": "CNY"}', b"[" * 100_000, b'{"a":' * 100_000, b"9" * 100_000,
        b'{"price": ' + b"9" * 100_000 + b"}", b'"\\ud800"', b'{"\\ud800": 1}',
    ],
)  # fmt: skip
def test_what_is_no_document_exits_with_two_and_says_nothing_on_standard_output(content):
    done = subprocess.run(
        [sys.executable, "-m", "settlement", "split", "-"], input=content, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, b"")
    problem = json.loads(done.stderr)
    assert {"type", "title", "status", "detail", "errors"} <= problem.keys()
    assert problem["status"] == 422

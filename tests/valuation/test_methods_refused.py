"""What the methods of valuation refuse, named by its place: wrong, contradictory and junk inputs, too large results."""

import json

import pytest

from marketplace.documents import BadDocument, Node
from tests.valuation.asking import SECURED, result
from valuation.domain import methods
from valuation.domain.figures import ResultTooLarge


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"haircut": "1.01"}, "/inputs/haircut"),
        ({"haircut": "-0.1"}, "/inputs/haircut"),
        ({"haircut": 0.2}, "/inputs/haircut"),
        ({"haircut": 1}, "/inputs/haircut"),
        ({"haircut": "1e-1"}, "/inputs/haircut"),
        ({"haircut": "0.1234567890123"}, "/inputs/haircut"),
        ({"haircut": " 0.1"}, "/inputs/haircut"),
        ({"haircut": None}, "/inputs/haircut"),
        ({"claim": "-1.00"}, "/inputs/claim"),
        ({"claim": "1.001"}, "/inputs/claim"),
        ({"claim": "01.00"}, "/inputs/claim"),
        ({"claim": "1,000"}, "/inputs/claim"),
        ({"claim": "１"}, "/inputs/claim"),
        ({"claim": "1000000000000000000"}, "/inputs/claim"),
        ({"claim": "NaN"}, "/inputs/claim"),
        ({"sale_in_years": "100.1"}, "/inputs/sale_in_years"),
        ({"costs": {}}, "/inputs/costs"),
        ({"costs": [{"amount": "1"}]}, "/inputs/costs/0/in_years"),
        ({"costs": [{"amount": "1", "in_years": "1", "a/b~": 1}]}, "/inputs/costs/0/a~1b~0"),
        ({"extra": "1"}, "/inputs/extra"),
        ({"currency": "CNY"}, "/inputs/currency"),
    ],
)
def test_wrong_inputs_are_named_by_their_place(change, pointer):
    with pytest.raises(BadDocument) as caught:
        result("secured_liquidation", SECURED | change)
    assert [error["pointer"] for error in caught.value.errors] == [pointer]


@pytest.mark.parametrize(
    ("method", "inputs", "pointer"),
    [
        ("unknown", {}, "/method"),
        (
            "unsecured_curve",
            {
                "face": "1",
                "recovery_rate": "2",
                "timing": ["0.5", "0.499999999999"],
                "servicing_rate": "0",
                "target_irr": "0",
                "convention": "year_end",
            },
            "/inputs/timing",
        ),
        (
            "auction_ladder",
            {"rounds": [{"probability": "0.9", "price": "1", "in_years": "0"}], "discount_rate": "0"},
            "/inputs/rounds",
        ),
        ("chain_ladder", {"triangle": [["1"], ["1", "2"]]}, "/inputs/triangle/1"),
        ("chain_ladder", {"triangle": [["0", "1"], ["1"]]}, "/inputs/triangle"),
        ("chain_ladder", {"triangle": [[]]}, "/inputs/triangle/0"),
        ("comparables", {"claim": "1", "comparables": []}, "/inputs/comparables"),
        (
            "start_price",
            {"opinions": [], "floor_rate": "0.7", "rounds": [], "deposit_rates": ["0.05", "0.2"]},
            "/inputs/opinions",
        ),
        (
            "start_price",
            {"opinions": ["1"], "floor_rate": "0.7", "rounds": [], "deposit_rates": ["0.05"]},
            "/inputs/deposit_rates",
        ),
        ("cash_flows", {"flows": [{"on": "1969-12-31", "amount": "1"}]}, "/inputs/flows/0/on"),
        ("cash_flows", {"flows": [{"on": "2026-02-30", "amount": "1"}]}, "/inputs/flows/0/on"),
        (
            "cash_flows",
            {"flows": [{"on": "2026-02-02", "amount": "1"}, {"on": "2026-02-01", "amount": "1"}]},
            "/inputs/flows/1/on",
        ),
        (
            "lien_waterfall",
            {
                "proceeds": "1",
                "costs": [],
                "liens": [{"name": "a", "rank": 1, "claim": "1"}, {"name": "a", "rank": 2, "claim": "1"}],
            },
            "/inputs/liens/1/name",
        ),
        ("monte_carlo", {"assets": [], "draws": 0, "seed": 1}, "/inputs/draws"),
        ("monte_carlo", {"assets": [], "draws": 1, "seed": True}, "/inputs/seed"),
        (
            "monte_carlo",
            {"assets": [{"value": "1", "probability": "0.5"}] * 1000, "draws": 1_000_000, "seed": 1},
            "/inputs/draws",
        ),
    ],
)
def test_contradictions_are_named_by_their_place(method, inputs, pointer):
    with pytest.raises(BadDocument) as caught:
        result(method, inputs)
    assert [error["pointer"] for error in caught.value.errors] == [pointer]


def test_a_result_beyond_all_measure_is_refused():
    rows = [{"ratio": "999999999999999999", "adjustments": ["999999999999999999"] * 5}]
    with pytest.raises(ResultTooLarge):
        result("comparables", {"claim": "1", "comparables": rows})


# --- against exact fractions ---


JUNK = [
    None, True, 1, -1, 10**30, "", "-1", "1e5", "NaN", "0.0000000000001", "\x00", "\ud800", "x" * 2000, [], {}, [None],
    {"a": 1}, "2026-02-30", "999999999999999999.99", "１",
]  # fmt: skip
LIENS = {
    "proceeds": "100.01", "costs": ["0.01"],
    "liens": [{"name": "b", "rank": 7, "claim": "100.00"}, {"name": "a", "rank": 2, "claim": "80.00", "cap": "60.00"}],
}  # fmt: skip
FLOWS = {"flows": [{"on": "2026-01-01", "amount": "-1.00"}, {"on": "2027-01-01", "amount": "2.00"}], "rate": "0.1"}


def _places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _places(inner, (*path, key))


def _outcome(document):
    """Where it was refused, `/answered` when it was not; anything but a refusal fails the test."""
    try:
        json.dumps(methods.value(Node(document)))
    except BadDocument as refused:
        return refused.errors[0]["pointer"]
    return "/answered"


@pytest.mark.parametrize(
    ("method", "inputs"), [("secured_liquidation", SECURED), ("lien_waterfall", LIENS), ("cash_flows", FLOWS)]
)
def test_junk_anywhere_is_answered_or_refused_by_its_place(method, inputs):
    document = {"method": method, "currency": "CNY", "inputs": inputs}
    for path in list(_places(document))[1:]:
        for junk in JUNK:
            changed = json.loads(json.dumps(document))
            target = changed
            for key in path[:-1]:
                target = target[key]
            target[path[-1]] = junk
            assert _outcome(changed).startswith("/")

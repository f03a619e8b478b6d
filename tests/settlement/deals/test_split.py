"""The funds flow as a document: the worked example, each rule, each refusal, and the two ways to ask."""

import json
import subprocess
import sys
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.documents import BadDocument, Node, parse
from marketplace.money import share_out
from settlement.domain.split import split

COMMISSION = {"name": "commission", "payee": "operator", "kind": "percent", "percent": "1.5"}


def document(**changes):
    base = {
        "currency": "CNY",
        "price": "1000000.00",
        "deposit": "100000.00",
        "deductions": [
            {**COMMISSION, "rounding": "half_up"},
            {
                "name": "auctioneer",
                "payee": "house",
                "kind": "bands",
                "bands": [{"to": "2000000", "percent": "5"}, {"to": None, "percent": "3"}],
                "rounding": "down",
            },
            {"name": "VAT on commission", "payee": "tax", "kind": "percent_of", "of": "commission", "percent": "6"},
            {"name": "senior claim", "payee": "bank B", "kind": "amount", "amount": "50000.00", "up_to": "rest"},
        ],
        "collections_after_cut_off": [{"case": "c1", "amount": "1200.00"}],
        "cases": [
            {"case": "c1", "weight": "333333.33"},
            {"case": "c2", "weight": "333333.33"},
            {"case": "c3", "weight": "333333.34"},
        ],
    }
    return {name: value for name, value in (base | changes).items() if value is not ...}


def answer(**changes):
    return split(Node(parse(json.dumps(document(**changes)).encode())))


def refused(pointer, **changes):
    with pytest.raises(BadDocument) as caught:
        answer(**changes)
    assert [error["pointer"] for error in caught.value.errors] == [pointer]


def test_the_example_of_the_format():
    assert answer() == {
        "gross": "1000000.00",
        "deposit_applied": "100000.00",
        "balance_due": "900000.00",
        "deductions": [
            {"name": "commission", "payee": "operator", "amount": "15000.00"},
            {"name": "auctioneer", "payee": "house", "amount": "50000.00"},
            {"name": "VAT on commission", "payee": "tax", "amount": "900.00"},
            {"name": "senior claim", "payee": "bank B", "amount": "50000.00"},
        ],
        "net": "884100.00",
        "price_adjustment": "1200.00",
        "allocations": [
            {"case": "c1", "amount": "294700.00"},
            {"case": "c2", "amount": "294700.00"},
            {"case": "c3", "amount": "294700.00"},
        ],
        "total": "884100.00",
        "engine": "settlement-1",
    }


def test_the_least_that_is_required():
    least = answer(deposit=..., deductions=..., collections_after_cut_off=...)
    assert (least["deposit_applied"], least["balance_due"], least["net"]) == ("0.00", "1000000.00", "1000000.00")
    assert least["price_adjustment"] == "0.00"
    assert least["deductions"] == []


def test_a_deposit_above_the_price_is_applied_up_to_it():
    flow = answer(deposit="2000000.00")
    assert (flow["deposit_applied"], flow["balance_due"]) == ("1000000.00", "0.00")


def test_bands_are_marginal_and_rounded_once():
    """The commission ceiling of rules.md: 5 % to 2 m, 3 % to 10 m, 2 % to 50 m, 1 % to 100 m, 0.5 % above."""
    bands = [("2000000", "5"), ("10000000", "3"), ("50000000", "2"), ("100000000", "1"), (None, "0.5")]
    rule = {
        "name": "fee",
        "payee": "house",
        "kind": "bands",
        "bands": [{"to": to, "percent": percent} for to, percent in bands],
    }
    flow = answer(price="123456789.01", deductions=[rule])
    expected = 100_000 + 240_000 + 800_000 + 500_000 + Decimal("23456789.01") * Decimal("0.005")
    assert flow["deductions"][0]["amount"] == str(expected.quantize(Decimal("0.01"), ROUND_HALF_UP))
    assert answer(price="2000000.00", deductions=[rule])["deductions"][0]["amount"] == "100000.00"
    # twice 0.005: rounded band by band it would be 0.02, summed exactly and rounded once 0.01
    cents = {**rule, "bands": [{"to": "0.10", "percent": "5"}, {"to": None, "percent": "5"}]}
    assert answer(price="0.20", deductions=[cents])["deductions"][0]["amount"] == "0.01"


@pytest.mark.parametrize(
    ("rounding", "amount"), [("half_up", "0.02"), ("down", "0.01"), ("up", "0.02"), (None, "0.02"), (..., "0.02")]
)
def test_roundings(rounding, amount):
    rule = {**COMMISSION, "rounding": rounding}
    if rounding is ...:
        del rule["rounding"]
    assert answer(price="1.00", deductions=[rule])["deductions"][0]["amount"] == amount


def test_a_fixed_amount_takes_what_is_left_only_when_told_to():
    senior = {"name": "senior", "payee": "bank", "kind": "amount", "amount": "150.00"}
    flow = answer(price="100.00", deductions=[COMMISSION, {**senior, "up_to": "rest"}])
    assert [row["amount"] for row in flow["deductions"]] == ["1.50", "98.50"]
    assert flow["net"] == flow["total"] == "0.00"
    refused("/deductions/1", price="100.00", deductions=[COMMISSION, senior])
    exact = {**senior, "amount": "98.50"}
    assert answer(price="100.00", deductions=[COMMISSION, exact])["net"] == "0.00"
    refused("/deductions/1", price="100.00", deductions=[{**COMMISSION, "percent": "100"}, {**COMMISSION, "name": "x"}])


def test_ties_go_to_the_larger_weight_then_the_smaller_key():
    cases = [{"case": key, "weight": "1"} for key in ("c2", "c10", "c1")]
    flow = answer(price="0.02", deductions=[], cases=cases)
    assert [row["amount"] for row in flow["allocations"]] == ["0.00", "0.01", "0.01"]
    assert [row["case"] for row in flow["allocations"]] == ["c2", "c10", "c1"]


def test_weights_have_many_digits():
    cases = [
        {"case": "a", "weight": "999999999999999999.999999999999"},
        {"case": "b", "weight": "0.000000000001"},
        {"case": "c", "weight": "000.50"},
        {"case": "z", "weight": "0"},
    ]
    flow = answer(cases=cases, collections_after_cut_off=[])
    assert [row["amount"] for row in flow["allocations"]] == ["884100.00", "0.00", "0.00", "0.00"]


def test_currencies_without_and_with_three_decimals():
    cases = [{"case": "a", "weight": "1.5"}, {"case": "b", "weight": "1.5"}]
    yen = answer(currency="JPY", price="101", deposit="1", deductions=[], collections_after_cut_off=[], cases=cases)
    assert (yen["gross"], [row["amount"] for row in yen["allocations"]]) == ("101", ["51", "50"])
    dinar = answer(currency="KWD", price="0.001", deposit="0", deductions=[], collections_after_cut_off=[], cases=cases)
    assert dinar["net"] == "0.001"


def test_collections_change_nothing_else_and_may_be_reversed():
    rows = [{"case": "c1", "amount": "5.00"}, {"case": "c1", "amount": "-7.00"}]
    with_them, without = answer(collections_after_cut_off=rows), answer(collections_after_cut_off=...)
    assert with_them.pop("price_adjustment") == "-2.00"
    without.pop("price_adjustment")
    assert with_them == without


def rule(**changes):
    return [{name: value for name, value in ({**COMMISSION} | changes).items() if value is not ...}]


CASE = {"case": "c1", "weight": "1"}
BANDS = {"kind": "bands", "percent": ...}


@pytest.mark.parametrize(
    ("pointer", "changes"),
    [
        ("/price", {"price": ...}),
        ("/cases", {"cases": ...}),
        ("/currency", {"currency": "XYZ"}),
        ("/extra", {"extra": 1}),
        ("/price", {"price": 1000000}),
        ("/price", {"price": "-1.00"}),
        ("/price", {"price": "1e6"}),
        ("/price", {"price": "1.001"}),
        ("/price", {"price": "1,000.00"}),
        ("/price", {"price": "12345678901234567890"}),
        ("/price", {"price": "１"}),
        ("/deposit", {"deposit": "-0.01"}),
        ("/cases", {"cases": []}),
        ("/cases", {"cases": {}}),
        ("/cases", {"cases": [{**CASE, "weight": "0.00"}]}),
        ("/cases/1/case", {"cases": [CASE, CASE]}),
        ("/cases/0/weight", {"cases": [{**CASE, "weight": "-1"}]}),
        ("/cases/0/weight", {"cases": [{**CASE, "weight": 1}]}),
        ("/cases/0/weight", {"cases": [{**CASE, "weight": 1.5}]}),
        ("/cases/0/weight", {"cases": [{**CASE, "weight": "NaN"}]}),
        ("/cases/0/weight", {"cases": [{"case": "c1"}]}),
        ("/cases/0/note", {"cases": [{**CASE, "note": "x"}]}),
        ("/cases/0/case", {"cases": [{**CASE, "case": 7}]}),
        ("/cases/0", {"cases": ["c1"]}),
        ("/collections_after_cut_off/0/case", {"collections_after_cut_off": [{"case": "no", "amount": "1"}]}),
        ("/deductions/0/name", {"deductions": rule(name=...)}),
        ("/deductions/0/kind", {"deductions": rule(kind=...)}),
        ("/deductions/0/kind", {"deductions": rule(kind="tax")}),
        ("/deductions/0/kind", {"deductions": rule(kind=["percent"])}),
        ("/deductions/0/percent", {"deductions": rule(percent="100.01")}),
        ("/deductions/0/percent", {"deductions": rule(percent="-1")}),
        ("/deductions/0/percent", {"deductions": rule(percent=1.5)}),
        ("/deductions/0/rounding", {"deductions": rule(rounding="even")}),
        ("/deductions/0/amount", {"deductions": rule(amount="1")}),
        ("/deductions/1/name", {"deductions": rule() + rule()}),
        ("/deductions/0/of", {"deductions": rule(kind="percent_of", of="commission")}),
        ("/deductions/1/of", {"deductions": rule() + rule(name="v", kind="percent_of", of="next") + rule(name="next")}),
        ("/deductions/0/rounding", {"deductions": rule(kind="amount", percent=..., amount="1", rounding="up")}),
        ("/deductions/0/up_to", {"deductions": rule(kind="amount", percent=..., amount="1", up_to="half")}),
        ("/deductions/0/up_to", {"deductions": rule(up_to="rest")}),
        ("/deductions/0/bands", {"deductions": rule(**BANDS, bands=[])}),
        ("/deductions/0/bands/0/to", {"deductions": rule(**BANDS, bands=[{"to": "5", "percent": "1"}])}),
        ("/deductions/0/bands/0/to", {"deductions": rule(**BANDS, bands=[{"percent": "1"}])}),
        ("/deductions/0/bands/0/to", {"deductions": rule(**BANDS, bands=[{"to": None, "percent": "1"}] * 2)}),
        (
            "/deductions/0/bands/1/to",
            {"deductions": rule(**BANDS, bands=[{"to": "5", "percent": "1"}] * 2 + [{"to": None, "percent": "1"}])},
        ),
    ],
)  # fmt: skip
def test_bad_documents_are_refused_by_pointer(pointer, changes):
    refused(pointer, **changes)


ROUNDINGS = {"half_up": ROUND_HALF_UP, "down": ROUND_FLOOR, "up": ROUND_CEILING}
cents = st.integers(100, 10**13)
percents = st.decimals(0, 25, places=4)


@given(
    price=cents,
    deposit=cents,
    rules=st.lists(st.tuples(percents, st.sampled_from(sorted(ROUNDINGS))), max_size=3),
    weights=st.lists(st.integers(0, 10**9), min_size=1, max_size=8).filter(any),
)
@settings(max_examples=150)
def test_every_flow_adds_up_and_equals_plain_decimal_arithmetic(price, deposit, rules, weights):
    text = lambda minor: str(Decimal(minor).scaleb(-2))  # noqa: E731 - a word for the two lines below
    flow = answer(
        price=text(price),
        deposit=text(deposit),
        deductions=[
            {"name": f"d{i}", "payee": "p", "kind": "percent", "percent": format(percent, "f"), "rounding": rounding}
            for i, (percent, rounding) in enumerate(rules)
        ],
        cases=[{"case": f"c{i}", "weight": str(weight)} for i, weight in enumerate(weights)],
        collections_after_cut_off=[],
    )
    taken = [Decimal(row["amount"]) for row in flow["deductions"]]
    for amount, (percent, rounding) in zip(taken, rules, strict=True):
        exact = Decimal(price) / 100 * percent / 100
        assert amount == exact.quantize(Decimal("0.01"), ROUNDINGS[rounding])
    net = Decimal(price) / 100 - sum(taken)
    assert Decimal(flow["net"]) == net == sum(Decimal(row["amount"]) for row in flow["allocations"])
    assert Decimal(flow["deposit_applied"]) + Decimal(flow["balance_due"]) == Decimal(flow["gross"])
    parts = share_out(int(net * 100), weights, [f"c{i}" for i in range(len(weights))])
    assert [int(Decimal(row["amount"]) * 100) for row in flow["allocations"]] == parts


def run(*arguments, text=None):
    return subprocess.run(
        [sys.executable, "-m", "settlement", *arguments], input=text, capture_output=True, text=True, check=False
    )


def test_the_command_line(tmp_path):
    file = tmp_path / "flow.json"
    file.write_text(json.dumps(document()))
    by_name, by_pipe = run("split", str(file)), run("split", "-", text=json.dumps(document()))
    assert (by_name.returncode, by_name.stderr) == (0, "")
    assert by_name.stdout == by_pipe.stdout
    assert json.loads(by_name.stdout) == answer()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1, "a": 2}', '{"price": NaN}', "[" * 100])
def test_the_command_line_refuses_without_a_traceback(text):
    done = run("split", "-", text=text)
    assert (done.returncode, done.stdout) == (2, "")
    problem = json.loads(done.stderr)
    assert problem["status"] == 422
    assert problem["errors"][0].keys() == {"pointer", "found", "allowed"}

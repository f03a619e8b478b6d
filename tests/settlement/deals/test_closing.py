"""The closing of a sale as a rule: claims by rank, liens on their case, ceilings, the holdback, and the proof."""

import copy
import json
import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collection.domain.balances import CIVIL_CODE, by_sets
from marketplace.documents import BadDocument, Node, parse
from settlement.domain.closing_document import close_document, prove, verify
from settlement.domain.instalments import next_part

CASES = [
    {"case": "c1", "weight": "600.00", "owed": {"costs": "10.00", "interest": "100.00", "principal": "500.00"}},
    {"case": "c2", "weight": "300.00", "owed": {"costs": "0.00", "interest": "50.00", "principal": "250.00"}},
    {"case": "c3", "weight": "100.00", "owed": {"costs": "5.00", "interest": "0.00", "principal": "100.00"}},
]
COMMISSION = {"name": "commission", "payee": "operator", "kind": "percent", "percent": "1.06"}
INSIDE = {"name": "VAT inside", "payee": "tax", "kind": "percent_inside", "of": "commission", "percent": "6"}


def document(terms=None, **changes):
    base = {
        "currency": "CNY", "price": "500.00", "deposit": "50.00", "deductions": [COMMISSION, INSIDE],
        "terms": terms or {}, "cases": CASES,
    }  # fmt: skip
    return base | changes


def answer(terms=None, **changes):
    return close_document(Node(parse(json.dumps(document(terms, **changes)).encode())))


def minor(text: str) -> int:
    return int(Decimal(text) * 100)


def claim(name, rank, amount, **more):
    return {"name": name, "payee": f"payee of {name}", "rank": rank, "amount": amount, **more}


def test_tax_inside_a_commission_takes_nothing_more_from_the_price():
    found = answer()
    assert [(row["name"], row["amount"]) for row in found["deductions"]] == [
        ("commission", "5.00"),
        ("VAT inside", "0.30"),
    ]
    assert found["net"] == "494.70"
    assert minor(found["gross"]) == sum(minor(row["amount"]) for row in found["deductions"]) + minor(found["net"])


def test_senior_claims_are_paid_by_rank_and_equal_ranks_pro_rata_to_their_limits():
    claims = [claim("second", 2, "400.00"), claim("a", 1, "200.00", cap="100.00"), claim("b", 1, "200.01")]
    found = answer({"senior_claims": claims}, deductions=[], price="350.00")
    paid = {row["name"]: (row["amount"], row["open"]) for row in found["senior_claims"]}
    assert paid == {"second": ("49.99", "350.01"), "a": ("100.00", "100.00"), "b": ("200.01", "0.00")}
    assert found["net"] == "0.00"
    short = answer({"senior_claims": claims}, deductions=[], price="100.00")
    assert [row["amount"] for row in short["senior_claims"]] == ["0.00", "33.33", "66.67"]


def test_a_lien_takes_from_its_own_case_alone():
    liens = [claim("mortgage", 1, "1000.00", cap="40.00", case="c3"), claim("second mortgage", 2, "100.00", case="c3")]
    found = answer({"liens": liens}, deductions=[])
    assert [row["net"] for row in found["cases"]] == ["300.00", "150.00", "50.00"]
    assert [row["proceeds"] for row in found["cases"]] == ["300.00", "150.00", "0.00"]
    assert [(row["amount"], row["open"]) for row in found["liens"]] == [("40.00", "960.00"), ("10.00", "90.00")]
    assert found["proceeds"] == "450.00"


def test_no_case_receives_more_than_its_claim_where_the_terms_say_so():
    found = answer({"capped": True}, deductions=[], price="1010.00")
    assert {row["case"]: row["net"] for row in found["cases"]} == {"c1": "608.57", "c2": "300.00", "c3": "101.43"}
    assert {row["case"]: row["price"] for row in found["cases"]} == {"c1": "606.00", "c2": "303.00", "c3": "101.00"}
    with pytest.raises(BadDocument, match="above every ceiling"):
        answer({"capped": True}, deductions=[], price="1015.01")


def test_a_holdback_is_kept_from_every_case_and_completes_it_later():
    found = answer({"holdback": {"percent": "5"}}, deductions=[], price="100.01")
    assert (found["holdback"], found["first"], found["proceeds"]) == ("5.00", "95.01", "100.01")
    keys = [row["case"] for row in found["cases"]]
    first = [minor(row["first"]) for row in found["cases"]]
    proceeds = [minor(row["proceeds"]) for row in found["cases"]]
    rest = next_part(500, first, proceeds, keys)
    assert [one + more for one, more in zip(first, rest, strict=True)] == proceeds


def test_inside_a_case_costs_come_before_interest_before_principal_unless_the_terms_say_otherwise():
    by_law, agreed = answer(deductions=[]), answer({"order": [["principal", "costs"], ["interest"]]}, deductions=[])
    assert by_law["cases"][0]["paid"] == {
        "costs": "10.00",
        "interest": "100.00",
        "principal": "190.00",
        "excess": "0.00",
    }
    assert agreed["cases"][0]["paid"] == {"costs": "5.88", "interest": "0.00", "principal": "294.12", "excess": "0.00"}


@pytest.mark.parametrize(
    ("pointer", "terms"),
    [
        ("/terms/extra", {"extra": 1}),
        ("/terms/liens/0/case", {"liens": [claim("x", 1, "1", case="no")]}),
        ("/terms/liens/0/case", {"liens": [claim("x", 1, "1")]}),
        ("/terms/senior_claims/0/rank", {"senior_claims": [claim("x", 0, "1")]}),
        ("/terms/senior_claims/0/case", {"senior_claims": [claim("x", 1, "1", case="c1")]}),
        ("/terms/senior_claims/1/name", {"senior_claims": [claim("x", 1, "1"), claim("x", 2, "1")]}),
        ("/terms/liens/0/name", {"senior_claims": [claim("x", 1, "1")], "liens": [claim("x", 1, "1", case="c1")]}),
        ("/terms/deductions/0/name", {"deductions": [COMMISSION]}),
        ("/terms/deductions/0", {"deductions": [{"name": "x", "payee": "court", "kind": "amount", "amount": "495"}]}),
        ("/terms/holdback/percent", {"holdback": {}}),
        ("/terms/holdback/percent", {"holdback": {"percent": 5}}),
        ("/terms/holdback", {"holdback": {"amount": "494.71"}}),
        ("/terms/order", {"order": [["costs"], ["interest"]]}),
        ("/terms/order/0/0", {"order": [["fees"]]}),
        ("/terms/capped", {"capped": "yes"}),
        ("/terms/warranty_days", {"warranty_days": -1}),
    ],
)  # fmt: skip
def test_bad_terms_are_refused_by_their_place(pointer, terms):
    with pytest.raises(BadDocument) as caught:
        answer(terms)
    assert [error["pointer"] for error in caught.value.errors] == [pointer]


def test_a_closing_with_ceilings_needs_the_claim_of_each_case():
    with pytest.raises(BadDocument) as caught:
        answer({"capped": True}, cases=[*CASES, {"case": "c4", "weight": "1"}])
    assert caught.value.errors[0]["pointer"] == "/cases/3/owed"


@st.composite
def sales(draw):
    cents = st.integers(0, 10**6).map(lambda value: f"{value // 100}.{value % 100:02}")
    count = draw(st.integers(1, 6))
    cases = [
        {
            "case": f"c{n}",
            "weight": draw(cents),
            "owed": {name: draw(cents) for name in ("costs", "interest", "principal")},
        }
        for n in range(count)
    ]
    cases[0]["weight"] = "7.00"
    named = [claim(f"n{n}", draw(st.integers(1, 3)), draw(cents)) for n in range(draw(st.integers(0, 4)))]
    split = draw(st.integers(0, len(named)))
    liens = [one | {"case": f"c{draw(st.integers(0, count - 1))}"} for one in named[split:]]
    terms = {"senior_claims": named[:split], "liens": liens}
    terms |= draw(st.sampled_from([{}, {"holdback": {"percent": "5"}}, {"holdback": {"percent": "100"}}]))
    return document(terms, price=draw(cents), cases=cases)


@given(sales())
@settings(max_examples=200)
def test_every_closing_adds_up_and_proves_itself(sale):
    proof = prove(sale)
    found = proof["result"]
    amounts = lambda rows, name="amount": sum(minor(row[name]) for row in rows)  # noqa: E731 - a word for the lines below
    gross, net = minor(found["gross"]), minor(found["net"])
    assert gross == amounts(found["deductions"]) + amounts(found["senior_claims"]) + net
    assert gross == amounts(found["cases"], "price")
    assert net == amounts(found["cases"], "net") == minor(found["proceeds"]) + amounts(found["liens"])
    assert (
        minor(found["proceeds"])
        == amounts(found["cases"], "proceeds")
        == minor(found["first"]) + minor(found["holdback"])
    )
    for row in found["cases"]:
        assert 0 <= minor(row["first"]) <= minor(row["proceeds"]) <= minor(row["net"])
        assert sum(minor(text) for text in row["paid"].values()) == minor(row["proceeds"])
    assert verify(Node(parse(json.dumps(proof).encode()))) == proof


@given(st.integers(0, 1000), st.tuples(*[st.integers(0, 400)] * 3))
def test_what_a_case_receives_is_paid_out_whole(amount, owed):
    claims = dict(zip(("costs", "interest", "principal"), owed, strict=True))
    parts = by_sets(amount, claims, CIVIL_CODE)
    assert sum(parts.values()) == amount
    assert all(0 <= parts[name] <= claims[name] for name in claims)
    assert not parts["excess"] or all(parts[name] == claims[name] for name in claims)


def run(command, text):
    return subprocess.run(
        [sys.executable, "-m", "settlement", command, "-"], input=text, capture_output=True, text=True, check=False
    )


def test_a_proof_is_computed_anew_to_the_same_bytes_and_a_changed_one_is_refused_at_its_place():
    text = json.dumps(prove(document({"holdback": {"percent": "5"}})), ensure_ascii=False, indent=1) + "\n"
    done = run("verify", text)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", text)
    changed = copy.deepcopy(json.loads(text))
    changed["result"]["cases"][1]["net"] = "148.42"
    done = run("verify", json.dumps(changed))
    assert (done.returncode, done.stdout) == (2, "")
    assert json.loads(done.stderr)["errors"][0]["pointer"] == "/result/cases/1/net"
    done = run("verify", text.replace("sha256:", "sha256:0"))
    assert json.loads(done.stderr)["errors"][0]["pointer"] == "/hash"
    assert json.loads(run("close", json.dumps(document())).stdout) == answer()

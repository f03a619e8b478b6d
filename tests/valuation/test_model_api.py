"""The model over a frozen package, opinions side by side, and the preview of a document."""

import time
from decimal import Decimal
from typing import NamedTuple

import pytest

from marketplace.documents import Node
from marketplace.money import Money
from valuation.domain import methods, model
from valuation.modelling import implied_reserve


class Case(NamedTuple):
    """A frozen case as the model needs it."""

    principal: int
    interest: int
    days_past_due: int
    secured: bool
    collateral_value_minor: int | None
    prior_liens_minor: int | None
    registered_cap_minor: int | None


def _value(method, inputs):
    return methods.value(Node({"method": method, "currency": "CNY", "inputs": inputs}))["result"]


def _curve(face, band):
    unsecured = model.HOUSE["unsecured"]
    shared = {name: unsecured[name] for name in ("servicing_rate", "target_irr", "convention")}
    rates = {name: unsecured["bands"][band][name] for name in ("recovery_rate", "timing")}
    return Decimal(_value("unsecured_curve", {"face": face, **rates, **shared})["price"])


def test_each_case_is_worth_what_the_published_methods_say(api, people, frozen):
    client = api.as_(people.seller)
    found = client.ok("POST", f"/packages/{frozen['id']}/valuations", 201, json={})
    secured = _value(
        "secured_liquidation",
        {
            "market_value": "1000000.00", "claim": "750000.00", "registered_cap": "500000.00",
            "prior_liens": "100000.00", "costs": [], **model.HOUSE["secured"],
        },
    )  # fmt: skip
    strata = {row["name"]: row for row in found["strata"]}
    assert strata["secured"]["value_minor"] == int(Decimal(secured["value"]) * 100)
    # C5 is mortgaged, but nobody knows what its collateral is worth: it counts as unsecured
    expected = {
        "unsecured 0-90": _curve("10000.00", 0),
        "unsecured 91-360": _curve("10000.00", 1) + _curve("10000.01", 1),
        "unsecured 1081-": _curve("20000.00", 3),
    }
    assert {name: row["value_minor"] for name, row in strata.items() if name != "secured"} == {
        name: int(value * 100) for name, value in expected.items()
    }
    total = Decimal(secured["value"]) + sum(expected.values())
    assert found["value"] == {"amount": f"{total:.2f}", "currency": "CNY"}
    assert found["exposure"]["amount"] == frozen["header"]["principal_and_interest"]
    assert sum(row["cases"] for row in found["strata"]) == 5


def test_a_rerun_gives_the_same_cents_and_its_inputs_are_kept(api, people, frozen):
    client = api.as_(people.seller)
    path = f"/packages/{frozen['id']}/valuations"
    first, second = (client.ok("POST", path, 201, json={}) for _ in range(2))
    differ = {"id", "computed_at"}
    assert {k: v for k, v in first.items() if k not in differ} == {k: v for k, v in second.items() if k not in differ}
    assert first["method_version"] == model.METHOD_VERSION
    versions = client.ok("GET", f"/packages/{frozen['id']}/tape-versions")["items"]
    assert first["tape_sha256"] == versions[-1]["sha256"]
    assert model.read_assumptions(first["assumptions"]) == model.read_assumptions(model.HOUSE)


def test_assumptions_are_data(api, people, frozen):
    harsh = {**model.HOUSE, "unsecured": {**model.HOUSE["unsecured"], "servicing_rate": "1"}}
    harsh["secured"] = {**model.HOUSE["secured"], "haircut": "1"}
    client = api.as_(people.seller)
    kept = client.ok("POST", "/assumption-sets", 201, json={"version": "harsh-1", "assumptions": harsh})
    path = f"/packages/{frozen['id']}/valuations"
    found = client.ok("POST", path, 201, json={"assumption_set_id": kept["id"]})
    assert (found["value"]["amount"], found["assumptions_version"]) == ("0.00", "harsh-1")
    assert client.ok("POST", "/assumption-sets", 409, json={"version": "harsh-1", "assumptions": harsh})
    other = api.as_(people.other_seller)
    assert other.ok("GET", "/assumption-sets")["items"] == []
    shared = api.as_(people.admin).ok("POST", "/assumption-sets", 201, json={"version": "2026", "assumptions": harsh})
    assert [row["id"] for row in other.ok("GET", "/assumption-sets")["items"]] == [shared["id"]]


def _changed(section, **values):
    return {**model.HOUSE, section: {**model.HOUSE[section], **values}}


BAND = {"from_days": 0, "recovery_rate": "0.1", "timing": ["1"]}


@pytest.mark.parametrize(
    ("assumptions", "pointer"),
    [
        ({}, "/secured"),
        (_changed("secured", haircut="2"), "/secured/haircut"),
        (_changed("unsecured", convention="monthly"), "/unsecured/convention"),
        (_changed("unsecured", bands=[]), "/unsecured/bands"),
        (_changed("unsecured", bands=[BAND | {"from_days": 1}]), "/unsecured/bands/0/from_days"),
        (_changed("unsecured", bands=[BAND, BAND]), "/unsecured/bands/1/from_days"),
        (_changed("unsecured", bands=[BAND | {"timing": ["0.9"]}]), "/unsecured/bands/0/timing"),
    ],
)
def test_bad_assumptions_are_named_by_their_place(api, people, assumptions, pointer):
    body = {"version": "x", "assumptions": assumptions}
    problem = api.as_(people.seller).ok("POST", "/assumption-sets", 422, json=body)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_opinions_stand_side_by_side_strongest_evidence_first(api, people, frozen, desk):
    client = api.as_(people.seller)
    computed = client.ok("POST", f"/packages/{frozen['id']}/valuations", 201, json={})
    advisory = desk.seller(desk.submitted(kind="advisory"), "accept")
    full = desk.seller(desk.submitted(), "accept")
    desk.submitted(value={"amount": "9999999.00", "currency": "CNY"})  # not accepted: no opinion yet
    opinions = client.ok("GET", f"/packages/{frozen['id']}/value-opinions")["items"]
    assert [(one["rank"], one["id"]) for one in opinions] == [
        ("full_appraisal", full["id"]),
        ("advisory", advisory["id"]),
        ("automated_model", computed["id"]),
    ]
    implied = opinions[0]["implied"]
    # 400,000.01 × 0.7 = 280,000.007 up; × 0.8 = 224,000.008 up; deposits of the first: 14,000.0005 up, 56,000.002 down
    assert implied["start_price"]["amount"] == "280000.01"
    assert implied["second_start_price"]["amount"] == "224000.01"
    assert (implied["deposit_low"]["amount"], implied["deposit_high"]["amount"]) == ("14000.01", "56000.00")
    assert "Art. 10" in implied["source"]
    assert opinions[2]["implied"]["start_price"] != implied["start_price"]


def test_the_implied_reserve_is_never_below_its_floor():
    for minor in (0, 1, 99, 10**15 + 1):
        implied = implied_reserve(Money(minor, "CNY"))
        assert implied.start_price.minor * 10 >= minor * 7
        assert implied.start_price.minor * 10 < minor * 7 + 10


def test_a_hundred_thousand_cases_take_seconds():
    cases = [
        Case(100_000 + n, n % 977, n % 2000, n % 3 == 0, 90_000 + n, n % 5 * 1000 or None, None) for n in range(100_000)
    ]
    begun = time.perf_counter()
    result = model.value_package(cases, model.read_assumptions(model.HOUSE), currency="CNY")
    assert time.perf_counter() - begun < 20
    assert sum(one.cases for one in result.strata) == 100_000
    assert 0 < result.value.minor < result.exposure.minor


def test_the_model_is_the_sum_of_its_cases_in_any_order():
    cases = [Case(n * 7919 % 100_000, n, n * 37 % 1500, n % 2 == 0, n * 31, None, n * 29) for n in range(300)]
    assumptions = model.read_assumptions(model.HOUSE)
    whole = model.value_package(cases, assumptions, currency="CNY")
    assert whole == model.value_package(cases[::-1], assumptions, currency="CNY")
    parts = [model.value_package([case], assumptions, currency="CNY").value.minor for case in cases]
    assert sum(parts) == whole.value.minor


DOCUMENT = {
    "method": "comparables",
    "currency": "CNY",
    "inputs": {"claim": "100.00", "comparables": [{"ratio": "0.3", "adjustments": []}]},
}


def test_the_preview_answers_as_the_command_line_does(api, people):
    client = api.as_(people.buyer)
    assert client.ok("POST", "/previews/value", 200, json=DOCUMENT) == methods.value(Node(DOCUMENT))
    problem = client.ok("POST", "/previews/value", 422, json=DOCUMENT | {"currency": "XXX"})
    assert [error["pointer"] for error in problem["errors"]] == ["/currency"]
    assert client.post("/previews/value", data=b"{", content_type="application/json").status_code == 422
    assert client.post("/previews/value", data=b"{}", content_type="text/plain").status_code == 415
    assert api.post("/previews/value", json=DOCUMENT).status_code == 401

"""The computations of collection against figures and dates worked out by hand, and properties that always hold."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collection.domain import computations
from collection.domain.calendar import add_months, add_years
from collection.domain.receipts import Split, apply_repayment
from marketplace.documents import BadDocument, Node
from marketplace.money import Money


def compute(name, inputs):
    return computations.compute(Node({"compute": name, "inputs": inputs}))["result"]


def test_payment_order():
    inputs = {
        "payment": "100.00",
        "order": ["costs", "interest", "principal"],
        "balances": {"principal": "1000.00", "costs": "10.00", "interest": "50.50"},
    }
    assert compute("payment_order", inputs) == {
        "applied": {"principal": "39.50", "costs": "10.00", "interest": "50.50"},
        "excess": "0.00",
    }
    assert compute("payment_order", inputs | {"payment": "1060.51"})["excess"] == "0.01"


def test_delay_interest_in_parts_as_it_is_paid():
    found = compute(
        "delay_interest",
        {
            "judged_sum": "100000.00",
            "from_on": "2026-01-01",
            "to_on": "2026-03-01",
            "payments": [{"on": "2026-02-01", "amount": "40000.00"}],
        },
    )
    # 31 days × 17.50 and 28 days × 10.50
    assert found == {
        "periods": [
            {"days": 31, "on_sum": "100000.00", "interest": "542.50"},
            {"days": 28, "on_sum": "60000.00", "interest": "294.00"},
        ],
        "interest": "836.50",
    }


def test_delay_interest_rounds_each_period():
    payments = [{"on": "2026-01-02", "amount": "0.00"}, {"on": "2026-01-02", "amount": "500.00"}]
    inputs = {"judged_sum": "30.00", "from_on": "2026-01-01", "to_on": "2026-01-03", "payments": payments}
    # 30 × 0.000175 = 0.00525 → 0.01; then nothing is owed
    assert compute("delay_interest", inputs) == {
        "periods": [
            {"days": 1, "on_sum": "30.00", "interest": "0.01"},
            {"days": 1, "on_sum": "0.00", "interest": "0.00"},
        ],
        "interest": "0.01",
    }


def test_repayment_plan():
    found = compute("repayment_plan", {"principal": "1000.00", "annual_rate": "0.12", "months": 3})
    # 1000 × 0.01 × 1.01³ / (1.01³ - 1) = 340.0221…
    assert found == {
        "instalment": "340.02",
        "last_instalment": "340.03",
        "interest": "20.07",
        "rows": [
            {"number": 1, "instalment": "340.02", "interest": "10.00", "principal": "330.02", "balance": "669.98"},
            {"number": 2, "instalment": "340.02", "interest": "6.70", "principal": "333.32", "balance": "336.66"},
            {"number": 3, "instalment": "340.03", "interest": "3.37", "principal": "336.66", "balance": "0.00"},
        ],
    }


def test_repayment_plan_without_interest():
    found = compute("repayment_plan", {"principal": "100.00", "annual_rate": "0", "months": 3})
    assert [row["instalment"] for row in found["rows"]] == ["33.33", "33.33", "33.34"]


@given(st.integers(0, 10**10), st.integers(0, 1000), st.integers(1, 400))
def test_a_plan_repays_exactly_the_principal(minor, mille, months):
    principal = f"{minor // 100}.{minor % 100:02d}"
    rate = f"{mille // 1000}.{mille % 1000:03d}"
    found = compute("repayment_plan", {"principal": principal, "annual_rate": rate, "months": months})
    rows = found["rows"]
    assert len(rows) == months
    assert sum(Decimal(row["principal"]) for row in rows) == Decimal(principal)
    assert sum(Decimal(row["interest"]) for row in rows) == Decimal(found["interest"])
    assert all(Decimal(row["principal"]) >= 0 and Decimal(row["balance"]) >= 0 for row in rows)
    assert rows[-1]["balance"] == "0.00"


def test_limitation_restarts_only_on_what_counts():
    events = [
        {"on": "2022-01-31", "kind": "demand_unproven"},
        {"on": "2023-02-28", "kind": "demand_proven"},
        {"on": "2026-02-28", "kind": "suit"},
        {"on": "2029-03-01", "kind": "demand_proven"},
        {"on": "2030-06-01", "kind": "acknowledged"},
    ]
    found = compute("limitation", {"due_on": "2020-02-29", "events": events})
    assert [(row["restarts"], row["expires_on"]) for row in found["history"]] == [
        (False, "2023-02-28"),
        (True, "2026-02-28"),
        (True, "2029-02-28"),
        (False, "2029-02-28"),
        (True, "2033-06-01"),
    ]
    assert found["expires_on"] == "2033-06-01"
    late = {"due_on": "2020-02-29", "events": [{"on": "2039-01-01", "kind": "acknowledged"}]}
    assert compute("limitation", late)["expires_on"] == "2040-02-29"


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({"at_on": "2026-02-28"}, "300.00"),
        ({"at_on": "2026-03-01"}, "0.00"),
        ({"at_on": "2026-03-01", "demanded_on": "2026-02-28"}, "300.00"),
        ({"at_on": "2026-03-01", "demanded_on": "2026-03-01"}, "0.00"),
        ({"at_on": "2026-09-01", "months": 12}, "0.00"),
        ({"at_on": "2026-08-31", "months": 12}, "300.00"),
        ({"at_on": "2026-01-01", "residual": "100.00"}, "50.00"),
    ],
)
def test_guarantee(changes, value):
    inputs = {
        "main_debt_due_on": "2025-08-31",
        "cap": "600.00",
        "residual": "700.00",
        "collectable_rate": "0.5",
        **changes,
    }
    assert compute("guarantee", inputs)["value"] == value


@pytest.mark.parametrize(
    ("reference_on", "security", "year", "required"),
    [
        ("2024-02-29", "immovable", 1, "0.00"),
        ("2026-02-27", "immovable", 2, "0.00"),
        ("2026-02-28", "immovable", 3, "140.00"),  # unsecured 400 × 0.35
        ("2027-02-28", "immovable", 4, "550.00"),  # 400 + 600 × 0.25
        ("2030-02-28", "immovable", 7, "820.00"),
        ("2030-02-28", "other", 7, "880.00"),
        ("2031-02-28", "other", 8, "1000.00"),
        ("2032-02-29", "immovable", 9, "910.00"),
        ("2033-02-28", "immovable", 10, "1000.00"),
        ("2044-02-28", "immovable", 20, "1000.00"),
        ("2044-02-29", "immovable", 21, "1000.00"),
    ],
)
def test_coverage(reference_on, security, year, required):
    inputs = {
        "non_performing_since_on": "2024-02-29",
        "reference_on": reference_on,
        "exposure": "1000.00",
        "secured": "600.00",
        "security": security,
        "provisions": "100.00",
    }
    found = compute("coverage", inputs)
    assert (found["year"], found["required"]) == (year, required)
    assert Decimal(found["shortfall"]) == max(Decimal(0), Decimal(required) - 100)


RULES = {
    "version": "2026-1",
    "criteria": [
        {"fact": "days_past_due", "bands": [{"from": "0", "score": 0}, {"from": "91", "score": 30}]},
        {"fact": "security", "values": {"mortgage": 0, "none": 20}},
    ],
    "levels": [{"from": "0", "level": "一级"}, {"from": "30", "level": "二级"}, {"from": "50", "level": "三级"}],
}


@pytest.mark.parametrize(
    ("days", "security", "level"),
    [(90, "none", "一级"), (91, "mortgage", "二级"), ("91", "none", "三级"), (90, "mortgage", "一级")],
)
def test_level(days, security, level):
    found = compute("level", {"rules": RULES, "facts": {"days_past_due": days, "security": security}})
    assert (found["level"], found["rule_version"]) == (level, "2026-1")
    assert sum(found["scores"].values()) in {0, 20, 30, 50}


@pytest.mark.parametrize(
    ("facts", "pointer"),
    [
        ({"days_past_due": 1}, "/inputs/facts/security"),
        ({"days_past_due": -1, "security": "none"}, "/inputs/facts/days_past_due"),
        ({"days_past_due": 1, "security": "pledge"}, "/inputs/facts/security"),
        ({"days_past_due": "many", "security": "none"}, "/inputs/facts/days_past_due"),
        ({"days_past_due": 1, "security": "none", "more": "1"}, "/inputs/facts/more"),
    ],
)
def test_facts_that_do_not_fit_are_named(facts, pointer):
    with pytest.raises(BadDocument) as caught:
        compute("level", {"rules": RULES, "facts": facts})
    assert [error["pointer"] for error in caught.value.errors] == [pointer]


POLICY = {
    "quiet": {"from": "22:00", "to": "08:00"},
    "unanswered_per_number_per_day": 2,
    "calls_in_seven_days": 4,
    "days_after_conversation": 3,
    "third_persons": "when_lost",
}
QUESTION = {
    "policy": POLICY,
    "obligor": {"zone": "Asia/Shanghai", "reachable": True, "consent": False},
    "relation": "obligor",
    "channel": "call",
    "number": "1",
    "at": "2026-03-10T02:00:00.000Z",  # 10:00 in Shanghai
    "log": [],
}


def call(at, *, answered=False, number="1", channel="call"):
    return {"at": at, "channel": channel, "number": number, "answered": answered}


def gate(**changes):
    return compute("contact_gate", QUESTION | changes)


@pytest.mark.parametrize(
    ("at", "allowed"),
    [
        ("2026-03-10T13:59:59.999Z", True),
        ("2026-03-10T14:00:00.000Z", False),
        ("2026-03-10T23:59:59.999Z", False),
        ("2026-03-11T00:00:00.000Z", True),
    ],
)
def test_quiet_hours_are_those_of_the_obligor(at, allowed):
    assert gate(at=at, channel="letter") == {
        "allowed": allowed,
        "rule": None if allowed else "quiet_hours",
        "reason": gate(at=at, channel="letter")["reason"],
    }
    consenting = {"zone": "Asia/Shanghai", "reachable": True, "consent": True}
    assert gate(at=at, obligor=consenting)["allowed"]
    assert gate(at=at, policy=POLICY | {"quiet": None})["allowed"]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"relation": "stranger"}, "stranger"),
        ({"relation": "third_person"}, "third_person"),
        ({"relation": "third_person", "obligor": QUESTION["obligor"] | {"reachable": False}}, None),
        (
            {
                "relation": "third_person",
                "obligor": QUESTION["obligor"] | {"reachable": False},
                "policy": POLICY | {"third_persons": "never"},
            },
            "third_person",
        ),
        ({"log": [call("2026-03-10T00:30:00.000Z"), call("2026-03-10T01:00:00.000Z")]}, "attempts_per_number"),
        ({"log": [call("2026-03-10T00:30:00.000Z"), call("2026-03-10T01:00:00.000Z", number="2")]}, None),
        ({"log": [call("2026-03-09T15:59:00.000Z"), call("2026-03-10T01:00:00.000Z")]}, None),  # the day before
        ({"log": [call("2026-03-04T02:00:00.000Z", number="2")] * 4}, "calls_in_seven_days"),
        ({"log": [call("2026-03-03T02:00:00.000Z", number="2")] * 4}, None),
        ({"log": [call("2026-03-04T02:00:00.000Z", channel="sms")] * 9}, None),
        ({"log": [call("2026-03-08T02:00:00.000Z", answered=True)]}, "after_conversation"),
        ({"log": [call("2026-03-07T02:00:00.000Z", answered=True)]}, None),
        ({"log": [call("2026-03-08T02:00:00.000Z", answered=True)], "channel": "sms"}, None),
    ],
)
def test_rules_of_contact(changes, rule):
    found = gate(**changes)
    assert (found["rule"], found["allowed"]) == (rule, rule is None)


@pytest.mark.parametrize(
    ("name", "inputs", "pointer"),
    [
        ("payment_order", {"payment": "1", "order": ["a"], "balances": {"a": "1", "b": "1"}}, "/inputs/order"),
        ("payment_order", {"payment": "1", "order": ["a", "a"], "balances": {"a": "1"}}, "/inputs/order/1"),
        ("payment_order", {"payment": "-1", "order": [], "balances": {}}, "/inputs/payment"),
        (
            "delay_interest",
            {"judged_sum": "1", "from_on": "2026-01-02", "to_on": "2026-01-01", "payments": []},
            "/inputs/to_on",
        ),
        (
            "delay_interest",
            {
                "judged_sum": "1",
                "from_on": "2026-01-01",
                "to_on": "2026-02-01",
                "payments": [{"on": "2026-01-03", "amount": "1"}, {"on": "2026-01-02", "amount": "1"}],
            },
            "/inputs/payments/1/on",
        ),
        ("repayment_plan", {"principal": "1", "annual_rate": "0.1", "months": 0}, "/inputs/months"),
        ("limitation", {"due_on": "2026-02-30", "events": []}, "/inputs/due_on"),
        (
            "coverage",
            {
                "non_performing_since_on": "2024-02-29",
                "reference_on": "2025-01-01",
                "exposure": "1",
                "secured": "2",
                "security": "other",
                "provisions": "0",
            },
            "/inputs/secured",
        ),
        ("contact_gate", QUESTION | {"obligor": QUESTION["obligor"] | {"zone": "../etc"}}, "/inputs/obligor/zone"),
        ("contact_gate", QUESTION | {"obligor": QUESTION["obligor"] | {"zone": "Mars/X"}}, "/inputs/obligor/zone"),
        ("contact_gate", QUESTION | {"policy": POLICY | {"quiet": {"from": "24:00", "to": "08:00"}}},
         "/inputs/policy/quiet/from"),
        ("nothing", {}, "/compute"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_place(name, inputs, pointer):
    with pytest.raises(BadDocument) as caught:
        compute(name, inputs)
    assert [error["pointer"] for error in caught.value.errors] == [pointer]


@given(st.dates(date(1970, 1, 1), date(2199, 1, 1)), st.integers(0, 1200))
def test_months_keep_the_day_or_end_the_month(day, months):
    later = add_months(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day == day.day or (later + timedelta(days=1)).day == 1
    assert add_years(day, months // 12) == add_months(day, months // 12 * 12)


@given(st.integers(0, 10**9), st.tuples(*[st.integers(-5, 10**9)] * 3))
def test_a_repayment_is_applied_to_the_last_cent(minor, owed):
    split = apply_repayment(Money(minor, "CNY"), owed=Split(*owed))
    assert split.other + split.interest + split.principal + split.excess == minor
    if split.interest:
        assert split.other == max(0, owed[0])
    if split.principal:
        assert split.interest == max(0, owed[1])
    if split.excess:
        assert split.principal == max(0, owed[2])


@given(st.integers(0, 10**9))
def test_the_gate_never_allows_a_stranger(seconds):
    shown = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert gate(relation="stranger", at=shown)["rule"] == "stranger"


def test_command_line(tmp_path):
    file = tmp_path / "document.json"
    document = {"compute": "contact_gate", "inputs": QUESTION}
    file.write_text(json.dumps(document))
    answer = subprocess.run(
        [sys.executable, "-m", "collection", "compute", str(file)], capture_output=True, check=True, text=True
    )
    assert json.loads(answer.stdout) == computations.compute(Node(document))

"""The methods of valuation against figures worked out by hand, and the command that asks them."""

import json
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import pytest

from tests.valuation.asking import SECURED, half_up, result, value


def test_secured_liquidation():
    # 1,000,000 × 0.8 × 0.95 = 760,000; less 100,000 = 660,000; cap 650,000; / 1.21 = 537,190.0826…
    assert result("secured_liquidation", SECURED) == {
        "net_sale": "760000.00",
        "recovery": "650000.00",
        "deficiency": "50000.00",
        "present_value": "537190.08",
        "costs_present_value": "15000.00",
        "value": "522190.08",
        "value_to_claim": "0.745986",
    }


def test_secured_liquidation_can_cost_more_than_it_brings():
    poor = SECURED | {"market_value": "0", "registered_cap": None, "claim": "0"}
    found = result("secured_liquidation", poor)
    assert (found["value"], found["recovery"], found["value_to_claim"]) == ("-15000.00", "0.00", None)


def test_lien_waterfall_pays_by_rank_and_pro_rata_within_one():
    found = result(
        "lien_waterfall",
        {
            "proceeds": "100.01",
            "costs": ["0.01", "10.00"],
            "liens": [
                {"name": "b", "rank": 7, "claim": "100.00"},
                {"name": "a", "rank": 2, "claim": "80.00", "cap": "60.00"},
                {"name": "c", "rank": 7, "claim": "100.00"},
                {"name": "d", "rank": 7, "claim": "100.00", "cap": None},
            ],
        },
    )
    assert found["distributable"] == "90.00"
    assert [(row["name"], row["amount"]) for row in found["paid"]] == [
        ("b", "10.00"),
        ("a", "60.00"),
        ("c", "10.00"),
        ("d", "10.00"),
    ]
    assert [row["amount"] for row in found["unsecured"]] == ["90.00", "20.00", "90.00", "90.00"]
    assert found["surplus"] == "0.00"


def test_lien_waterfall_gives_the_odd_cent_to_the_larger_then_by_name():
    liens = [{"name": name, "rank": 1, "claim": "1.00"} for name in ("z", "y", "x")]
    found = result("lien_waterfall", {"proceeds": "1.00", "costs": [], "liens": liens})
    assert [row["amount"] for row in found["paid"]] == ["0.33", "0.33", "0.34"]


def test_hypothetical_liquidation_of_a_secured_and_an_ordinary_creditor():
    inputs = {
        "assets": "1000.00",
        "priority_expenses": "50.00",
        "wages": "30.00",
        "taxes": "20.00",
        "secured": [
            {"name": "bank", "claim": "700.00", "asset_value": "400.00"},
            {"name": "lender", "claim": "100.00", "asset_value": "300.00"},
        ],
        "ordinary_claims": "500.00",
        "subject": "bank",
    }
    # pool 1000 - 400 - 100 - 100 = 400; claims 300 + 500 = 800; a half
    assert result("hypothetical_liquidation", inputs) == {
        "general_pool": "400.00",
        "general_claims": "800.00",
        "general_ratio": "0.500000",
        "priority_part": "400.00",
        "general_part": "150.00",
        "recovery": "550.00",
        "recovery_ratio": "0.785714",
    }
    ordinary = result("hypothetical_liquidation", inputs | {"subject": {"ordinary": "99.99"}})
    assert (ordinary["priority_part"], ordinary["general_part"], ordinary["recovery"]) == ("0.00", "50.00", "50.00")


def test_gone_concern():
    flows = [
        {"in_years": "1", "proceeds": "110.00", "costs": "0"},
        {"in_years": "2", "proceeds": "0", "costs": "12.10"},
    ]
    found = result("gone_concern", {"share": "0.25", "flows": flows, "discount_rate": "0.1"})
    assert found == {"total": "90.00", "value": "22.50"}


def test_going_concern():
    inputs = {
        "cash_flow": "100.00",
        "multiple": "6.5",
        "share": "0.4",
        "claim": "300.00",
        "collateral": {"value": "50.00", "haircut": "0.12", "in_years": "1"},
        "discount_rate": "0.1",
    }
    assert result("going_concern", inputs) == {
        "sustainable_debt": "650.00",
        "collateral_value": "40.00",
        "value": "300.00",
    }
    losing = inputs | {"cash_flow": "-100.00"}
    assert result("going_concern", losing)["value"] == "40.00"
    assert result("going_concern", {**losing, "collateral": None})["value"] == "0.00"


def test_unsecured_curve():
    inputs = {
        "face": "1000000.00",
        "recovery_rate": "0.12",
        "timing": ["0.5", "0.3", "0.2"],
        "servicing_rate": "0.25",
        "target_irr": "0.2",
        "convention": "year_end",
    }
    # net 90,000: 45,000 / 1.2 + 27,000 / 1.44 + 18,000 / 1.728 = 37,500 + 18,750 + 10,416.666…
    assert result("unsecured_curve", inputs) == {
        "erc": "120000.00",
        "net_cash": "90000.00",
        "price": "66666.67",
        "price_to_face": "0.066667",
        "gross_multiple": "1.8000",
    }
    # mid-year: the same × 1.2 ** 0.5 (1.0954451150103322…)
    assert result("unsecured_curve", inputs | {"convention": "mid_year"})["price"] == "73029.67"
    nothing = result("unsecured_curve", inputs | {"face": "0"})
    assert (nothing["price_to_face"], nothing["gross_multiple"]) == (None, None)


def test_auction_ladder():
    rounds = [
        {"probability": "0.5", "price": "1000.00", "in_years": "0.5"},
        {"probability": "0.3", "price": "800.00", "in_years": "1"},
        {"probability": "0.2", "price": "0", "in_years": "1"},
    ]
    # (1 + 0.21) ** 0.5 = 1.1 exactly: 500 / 1.1 + 240 / 1.21
    found = result("auction_ladder", {"rounds": rounds, "discount_rate": "0.21"})
    assert found == {"expected_price": "740.00", "present_value": "652.89"}


def test_cash_flows():
    flows = [{"on": "2026-01-01", "amount": "-1000.00"}, {"on": "2027-01-01", "amount": "1100.00"}]
    assert result("cash_flows", {"flows": flows, "rate": "0.1"}) == {
        "xirr": "0.100000",
        "xnpv": "0.00",
        "multiple": "1.1000",
        "days": [0, 365],
    }
    assert result("cash_flows", {"flows": flows})["xnpv"] is None


# The example of a spreadsheet's help page: XIRR 37.3362535 %.
EXCEL = [
    ("2008-01-01", "-10000"),
    ("2008-03-01", "2750"),
    ("2008-10-30", "4250"),
    ("2009-02-15", "3250"),
    ("2009-04-01", "2750"),
]


def test_xirr_agrees_with_the_published_example():
    flows = [{"on": on, "amount": amount} for on, amount in EXCEL]
    found = result("cash_flows", {"flows": flows, "rate": "0.09"})
    assert found["xirr"] == "0.373363"
    assert found["xnpv"] == "2086.65"
    assert found["multiple"] == "1.3000"


@pytest.mark.parametrize(
    ("amounts", "xirr"),
    [
        (["100.00", "100.00"], None),
        (["-100.00", "230.00", "-132.00"], None),
        (["0", "0"], None),
        (["100.00", "-90.00"], "-0.100000"),
        (["-100.00", "0.00", "121.00"], "0.100000"),
    ],
)
def test_xirr_needs_exactly_one_change_of_sign(amounts, xirr):
    days = ["2026-01-01", "2027-01-01", "2028-01-01"]
    flows = [{"on": on, "amount": amount} for on, amount in zip(days, amounts, strict=False)]
    assert result("cash_flows", {"flows": flows})["xirr"] == xirr


def test_xirr_of_a_doubling_overnight_is_a_long_figure():
    flows = [{"on": "2026-01-01", "amount": "-1.00"}, {"on": "2026-01-02", "amount": "2.00"}]
    assert result("cash_flows", {"flows": flows})["xirr"] == f"{2**365 - 1}.000000"


def test_strata_add_up_their_rounded_cells():
    cells = [{"name": str(n), "exposure": "0.10", "recovery_rate": "0.25", "in_years": "0"} for n in range(4)]
    found = result("strata", {"strata": cells, "cost_rate": "0.4", "discount_rate": "0.1"})
    # each cell 0.015 → 0.02
    assert [cell["value"] for cell in found["values"]] == ["0.02"] * 4
    assert (found["value"], found["value_to_exposure"]) == ("0.08", "0.200000")
    assert result("strata", {"strata": [], "cost_rate": "0", "discount_rate": "0"})["value_to_exposure"] is None


def test_chain_ladder():
    triangle = [["100.00", "150.00", "165.00"], ["110.00", "160.00"], ["90.00"]]
    found = result("chain_ladder", {"triangle": triangle})
    # 310 / 210 = 1.476190; 165 / 150 = 1.1; 90 × 310 / 210 × 1.1 = 146.142857
    assert found == {
        "factors": ["1.476190", "1.100000"],
        "ultimates": ["165.00", "176.00", "146.14"],
        "remaining": "72.14",
    }


def test_comparables_take_the_median():
    rows = [
        {"ratio": "0.30", "adjustments": []},
        {"ratio": "0.20", "adjustments": ["1.1", "0.5"]},
        {"ratio": "0.25", "adjustments": ["0.8"]},
        {"ratio": "0.9", "adjustments": ["1"]},
    ]
    # 0.30, 0.11, 0.20, 0.9 → mean of 0.20 and 0.30
    assert result("comparables", {"claim": "1000.01", "comparables": rows}) == {"ratio": "0.250000", "value": "250.00"}


def test_workout():
    inputs = {
        "exposure": "1000.00",
        "collateral": {"value": "800.00", "haircut": "0.25"},
        "guarantee": {"cover": "100.00", "rate": "0.5"},
        "other": "16.00",
        "costs": "40.00",
        "months": 12,
        "annual_rate": "0.12",
        "cure": {"probability": "0.1", "rate": "0.95"},
    }
    factor = Fraction(101, 100) ** 12
    non_cure = Fraction(666) / factor - 40
    recovery = non_cure * Fraction(9, 10) + 95
    assert result("workout", inputs) == {
        "discount_factor": "1.126825",
        "net_non_cure": half_up(non_cure),
        "recovery": half_up(recovery),
        "loss_given_default": half_up(1000 - recovery),
    }


def test_start_price_rounds_floors_up_and_caps_down():
    found = result(
        "start_price",
        {
            "opinions": ["100.00", "100.00", "100.01"],
            "floor_rate": "0.7",
            "rounds": ["0.2", "0.2"],
            "deposit_rates": ["0.05", "0.2"],
        },
    )
    # basis 100.00333…; × 0.7 = 70.00233… up; 70.01 × 0.8 = 56.008 up; 56.01 × 0.8 = 44.808 up
    assert found == {
        "basis": "100.00",
        "starts": ["70.01", "56.01", "44.81"],
        "deposits": [
            {"low": "3.51", "high": "14.00"},
            {"low": "2.81", "high": "11.20"},
            {"low": "2.25", "high": "8.96"},
        ],
    }


def test_start_price_that_lies_on_a_cent_stays_there():
    inputs = {"opinions": ["30.10", "0", "0"], "floor_rate": "0.3", "rounds": [], "deposit_rates": ["0", "1"]}
    assert result("start_price", inputs)["starts"] == ["3.01"]


def test_monte_carlo_of_certain_things_does_not_scatter():
    assets = [{"value": "100.00", "probability": "1"}, {"value": "50.00", "probability": "0"}]
    found = result("monte_carlo", {"assets": assets, "draws": 1000, "seed": 7})
    assert found == {
        "mean": "100.00",
        "sd": "0.00",
        "p10": "100.00",
        "p50": "100.00",
        "p90": "100.00",
        "standard_error": "0.00",
    }


def test_monte_carlo_scatters_as_the_binomial_does():
    assets = [{"value": "1.00", "probability": "0.3"}] * 50
    found = result("monte_carlo", {"assets": assets, "draws": 200_000, "seed": 20260302})
    # mean 15, sd sqrt(10.5) = 3.2404; P10 = 11, P50 = 15, P90 = 19 of the binomial distribution
    assert abs(Decimal(found["mean"]) - 15) <= Decimal("0.03")
    assert abs(Decimal(found["sd"]) - Decimal("3.24")) <= Decimal("0.03")
    assert (found["p10"], found["p50"], found["p90"]) == ("11.00", "15.00", "19.00")
    assert found == result("monte_carlo", {"assets": assets, "draws": 200_000, "seed": 20260302})
    few = [result("monte_carlo", {"assets": assets, "draws": 100, "seed": seed}) for seed in (1, 2, 1)]
    assert few[0] == few[2] != few[1]


def test_monte_carlo_holds_the_largest_amounts_exactly():
    assets = [{"value": "999999999999999999.99", "probability": "1"}] * 3
    found = result("monte_carlo", {"assets": assets, "draws": 70_000, "seed": 0})
    assert found["mean"] == found["p90"] == "2999999999999999999.97"


def test_package_header():
    loan = {"other": "1.00", "age": 30, "credit_limit": "1000.00", "borrower": "b1"}
    loans = [
        loan | {"principal": "100.00", "interest": "50.00", "days_past_due": 100},
        loan | {"principal": "40.00", "interest": "10.00", "days_past_due": 400, "age": 50},
        loan | {"principal": "0", "interest": "0", "days_past_due": 9, "borrower": "b2"},
    ]
    assert result("package_header", {"loans": loans}) == {
        "principal": "140.00",
        "interest": "60.00",
        "principal_and_interest": "200.00",
        "other": "3.00",
        "loans": 3,
        "borrowers": 2,
        "weighted_days_past_due": "175.00",
        "weighted_age": "35.00",
        "weighted_credit_limit": "1000.00",
        "max_per_borrower": "200.00",
        "mean_per_borrower": "100.00",
    }


@pytest.mark.parametrize(("currency", "price"), [("JPY", "91"), ("KWD", "90.909"), ("CNY", "90.91")])
def test_amounts_have_exactly_the_decimals_of_the_currency(currency, price):
    rounds = [{"probability": "1", "price": "100", "in_years": "1"}]
    assert result("auction_ladder", {"rounds": rounds, "discount_rate": "0.1"}, currency)["present_value"] == price


def test_command_line(tmp_path):
    file = tmp_path / "document.json"
    file.write_text(json.dumps({"method": "secured_liquidation", "currency": "CNY", "inputs": SECURED}))
    answer = subprocess.run(
        [sys.executable, "-m", "valuation", "value", str(file)], capture_output=True, check=True, text=True
    )
    assert json.loads(answer.stdout) == value("secured_liquidation", SECURED)
    file.write_text('{"method": "secured_liquidation"}')
    refused = subprocess.run(
        [sys.executable, "-m", "valuation", "value", str(file)], capture_output=True, text=True, check=False
    )
    assert (refused.returncode, refused.stdout) == (2, "")
    assert json.loads(refused.stderr)["errors"][0]["pointer"] == "/currency"

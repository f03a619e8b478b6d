"""How the tests ask a method of valuation, and one set of inputs that several of them use."""

from fractions import Fraction
from math import floor

from marketplace.documents import Node
from valuation.domain import methods


def value(method, inputs, currency="CNY"):
    return methods.value(Node({"method": method, "currency": currency, "inputs": inputs}))


def result(method, inputs, currency="CNY"):
    return value(method, inputs, currency)["result"]


SECURED = {
    "market_value": "1000000.00",
    "haircut": "0.2",
    "sale_cost_rate": "0.05",
    "claim": "700000.00",
    "registered_cap": "650000.00",
    "prior_liens": "100000.00",
    "sale_in_years": "2",
    "costs": [{"amount": "12100.00", "in_years": "2"}, {"amount": "5000.00", "in_years": "0"}],
    "discount_rate": "0.1",
}


def half_up(figure: Fraction, places: int = 2) -> str:
    scaled = abs(figure) * 10**places + Fraction(1, 2)
    digits = str(floor(scaled)).rjust(places + 1, "0")
    sign = "-" if figure < 0 and floor(scaled) else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}"

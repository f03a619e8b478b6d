"""Every method by its name: what it reads, what it computes, and the document by which anyone recomputes a figure.

`value` serves the command line, the preview over HTTP and the tests; the models use the same functions.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from marketplace.documents import Node
from valuation.domain import cash, concern, curves, header, liquidation, market, simulation, triangle, workout
from valuation.domain.figures import Answer, plain
from valuation.domain.inputs import MoneyInputs

ENGINE: Final = "valuation 1"
"""Version of the rules; a change that moves a cent of any answer takes the next number."""


class Method(NamedTuple):
    """How a method reads its inputs and what it computes from them."""

    inputs: type[MoneyInputs]
    compute: Callable[[Any], Answer]


METHODS: Final = {
    "secured_liquidation": Method(liquidation.SecuredLiquidation, liquidation.secured_liquidation),
    "lien_waterfall": Method(liquidation.LienWaterfall, liquidation.lien_waterfall),
    "hypothetical_liquidation": Method(liquidation.HypotheticalLiquidation, liquidation.hypothetical_liquidation),
    "gone_concern": Method(concern.GoneConcern, concern.gone_concern),
    "going_concern": Method(concern.GoingConcern, concern.going_concern),
    "unsecured_curve": Method(curves.UnsecuredCurve, curves.unsecured_curve),
    "auction_ladder": Method(curves.AuctionLadder, curves.auction_ladder),
    "cash_flows": Method(cash.CashFlows, cash.cash_flows),
    "strata": Method(curves.Strata, curves.strata),
    "chain_ladder": Method(triangle.ChainLadder, triangle.chain_ladder),
    "comparables": Method(market.Comparables, market.comparables),
    "monte_carlo": Method(simulation.MonteCarlo, simulation.monte_carlo),
    "workout": Method(workout.Workout, workout.workout),
    "start_price": Method(market.StartPrice, market.start_price),
    "package_header": Method(header.PackageHeader, header.package_header),
}


def value(document: Node) -> dict[str, Any]:
    """Answer a document `{"method", "currency", "inputs"}`; raise `BadDocument` at the first place that is wrong."""
    places = document.object(["method", "currency", "inputs"])
    name = places["method"].one_of(sorted(METHODS))
    method = METHODS[name]
    answer = method.compute(method.inputs.read(places["inputs"], places["currency"].currency()))
    return {
        "method": name,
        "result": plain(answer.result),
        "steps": [plain(step) for step in answer.steps],
        "engine": ENGINE,
    }

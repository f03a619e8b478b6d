"""Values out of rates and times: recovery curves of unsecured debts, strata of a package, rounds of an auction."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from marketplace.documents import Node
from valuation.domain import figures
from valuation.domain.figures import ONE, ZERO, Answer, Step, exact, to_currency, total
from valuation.domain.inputs import Amount, Factor, Inputs, Length, MoneyInputs, Rate, Years, check_whole, one_of

_MAX_TERM = 1200
"""Longest curve, in years or rounds: more than any debt lives."""
_HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsecuredCurve(MoneyInputs):
    """Debts without security. `timing` is the share of all collections that comes in year 1, 2, …; it adds up to 1."""

    face: Amount
    recovery_rate: Factor
    timing: Annotated[tuple[Rate, ...], Length(1, _MAX_TERM)]
    servicing_rate: Rate
    target_irr: Rate
    convention: Annotated[str, one_of("year_end", "mid_year")]

    def check(self, node: Node) -> None:
        """Refuse a timing that does not add up to exactly 1."""
        check_whole(node.child("timing"), self.timing)


@dataclass(frozen=True, slots=True)
class UnsecuredCurveResult:
    """`erc` estimated remaining collections, `net_cash` after servicing, undiscounted; `gross_multiple` erc / price."""

    erc: Decimal
    net_cash: Decimal
    price: Decimal
    price_to_face: Decimal | None
    gross_multiple: Decimal | None


def _present_of_years(inputs: UnsecuredCurve) -> list[tuple[int, Decimal]]:
    """Return (year, what its net collections are worth now), unrounded, of the years in which something comes."""
    net = inputs.face * inputs.recovery_rate * (ONE - inputs.servicing_rate)
    early = _HALF if inputs.convention == "mid_year" else ZERO
    return [
        (year, net * share / figures.growth(inputs.target_irr, year - early))
        for year, share in enumerate(inputs.timing, start=1)
        if share
    ]


def price_of(inputs: UnsecuredCurve) -> Decimal:
    """Return the unrounded price; it is linear in the face. Call it within `exact`."""
    return total(value for _, value in _present_of_years(inputs))


@exact
def unsecured_curve(inputs: UnsecuredCurve) -> Answer:
    """Return the price at which the net collections of the curve earn the target rate.

    Year t counts as t years from now, by the mid-year convention as t - 0.5.
    """
    collections = inputs.face * inputs.recovery_rate
    net = collections * (ONE - inputs.servicing_rate)
    present = _present_of_years(inputs)
    price = total(value for _, value in present)
    result = UnsecuredCurveResult(
        erc=to_currency(collections, inputs.currency),
        net_cash=to_currency(net, inputs.currency),
        price=to_currency(price, inputs.currency),
        price_to_face=figures.ratio(price, inputs.face),
        gross_multiple=figures.ratio(collections, price, 4),
    )
    steps = [
        Step("face", to_currency(inputs.face, inputs.currency)),
        Step(f"collections at {inputs.recovery_rate}", result.erc),
        Step(f"after servicing of {inputs.servicing_rate}", result.net_cash),
        *(
            Step(f"net collections of year {year}, worth now", to_currency(value, inputs.currency))
            for year, value in present
        ),
        Step(f"price at a rate of return of {inputs.target_irr}", result.price),
    ]
    return Answer(result, steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuctionRound(Inputs):
    """A round in which the asset may be sold; no sale at all is a row with price 0."""

    probability: Rate
    price: Amount
    in_years: Years


@dataclass(frozen=True, slots=True, kw_only=True)
class AuctionLadder(MoneyInputs):
    """The rounds of a sale; their probabilities add up to 1."""

    rounds: Annotated[tuple[AuctionRound, ...], Length(1)]
    discount_rate: Rate

    def check(self, node: Node) -> None:
        """Refuse probabilities that do not add up to exactly 1."""
        check_whole(node.child("rounds"), [one.probability for one in self.rounds])


@dataclass(frozen=True, slots=True)
class AuctionLadderResult:
    """The mean price and what it is worth now."""

    expected_price: Decimal
    present_value: Decimal


@exact
def auction_ladder(inputs: AuctionLadder) -> Answer:
    """Weigh the price of each round by its probability and the time until then."""
    weighed = [one.probability * one.price for one in inputs.rounds]
    present = [
        value / figures.growth(inputs.discount_rate, one.in_years)
        for value, one in zip(weighed, inputs.rounds, strict=True)
    ]
    result = AuctionLadderResult(
        to_currency(total(weighed), inputs.currency), to_currency(total(present), inputs.currency)
    )
    steps = [
        Step(f"round {number}, weighed and worth now", to_currency(value, inputs.currency))
        for number, value in enumerate(present, start=1)
    ]
    return Answer(result, [*steps, Step("present value", result.present_value)])


@dataclass(frozen=True, slots=True, kw_only=True)
class StratumInputs(Inputs):
    """A cell of a package and what is expected of it."""

    name: str
    exposure: Amount
    recovery_rate: Rate
    in_years: Years


@dataclass(frozen=True, slots=True, kw_only=True)
class Strata(MoneyInputs):
    """The cells of a package, with the cost and discount rates of all of them."""

    distinct_names = ("strata",)
    strata: tuple[StratumInputs, ...]
    cost_rate: Rate
    discount_rate: Rate


@dataclass(frozen=True, slots=True)
class StratumValue:
    """What one cell is worth."""

    name: str
    value: Decimal


@dataclass(frozen=True, slots=True)
class StrataResult:
    """`value` is the sum of the rounded cells."""

    values: tuple[StratumValue, ...]
    value: Decimal
    value_to_exposure: Decimal | None


@exact
def strata(inputs: Strata) -> Answer:
    """Value a package cell by cell: exposure × recovery rate × (1 - cost), discounted."""
    values = tuple(
        StratumValue(
            cell.name,
            to_currency(
                cell.exposure
                * cell.recovery_rate
                * (ONE - inputs.cost_rate)
                / figures.growth(inputs.discount_rate, cell.in_years),
                inputs.currency,
            ),
        )
        for cell in inputs.strata
    )
    value = to_currency(total(cell.value for cell in values), inputs.currency)
    exposure = total(cell.exposure for cell in inputs.strata)
    result = StrataResult(values, value, figures.ratio(value, exposure))
    steps = [
        Step("exposure", to_currency(exposure, inputs.currency)),
        *(Step(cell.name, cell.value) for cell in values),
    ]
    return Answer(result, [*steps, Step("sum of the cells", value)])

"""A workout of one exposure: what comes back if the borrower is cured, and if what there is must be sold."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from valuation.domain import figures
from valuation.domain.figures import ONE, Answer, Step, exact, to_currency
from valuation.domain.inputs import Amount, Factor, Inputs, MoneyInputs, Rate, count


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCollateral(Inputs):
    """Collateral and the cut taken from its value."""

    value: Amount
    haircut: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantee(Inputs):
    """The amount that a guarantee covers and the part of it that can be expected."""

    cover: Amount
    rate: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Cure(Inputs):
    """The chance that the borrower pays again, and what then comes back of the exposure."""

    probability: Rate
    rate: Factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Workout(MoneyInputs):
    """An exposure in the hands of a workout desk."""

    exposure: Amount
    collateral: HeldCollateral
    guarantee: Guarantee
    other: Amount
    costs: Amount
    months: Annotated[int, count(0, 1200)]
    annual_rate: Rate
    cure: Cure


@dataclass(frozen=True, slots=True)
class WorkoutResult:
    """`loss_given_default` is an amount: exposure - recovery. `discount_factor` is at least 1 and divides."""

    discount_factor: Decimal
    net_non_cure: Decimal
    recovery: Decimal
    loss_given_default: Decimal


@exact
def workout(inputs: Workout) -> Answer:
    """Weigh a cure against a sale of what there is after so many months, compounded monthly; costs undiscounted."""
    growth = (ONE + inputs.annual_rate / 12) ** inputs.months
    collateral = inputs.collateral.value * (ONE - inputs.collateral.haircut)
    guarantee = inputs.guarantee.cover * inputs.guarantee.rate
    gross = collateral + guarantee + inputs.other
    non_cure = gross / growth - inputs.costs
    cured = inputs.exposure * inputs.cure.rate
    recovery = (ONE - inputs.cure.probability) * non_cure + inputs.cure.probability * cured

    def money(figure: Decimal) -> Decimal:
        return to_currency(figure, inputs.currency)

    result = WorkoutResult(
        discount_factor=figures.round_once(growth, 6),
        net_non_cure=money(non_cure),
        recovery=money(recovery),
        loss_given_default=money(inputs.exposure - recovery),
    )
    steps = [
        Step("collateral after its haircut", money(collateral)),
        Step("guarantee that can be expected", money(guarantee)),
        Step("other", money(inputs.other)),
        Step(f"all of it, worth now after {inputs.months} months", money(gross / growth)),
        Step("less costs, if not cured", result.net_non_cure),
        Step("if cured", money(cured)),
        Step(f"weighed with a cure at {inputs.cure.probability}", result.recovery),
    ]
    return Answer(result, steps)

"""What a debtor is worth to its creditors: wound up (gone concern) or carrying on (going concern)."""

from dataclasses import dataclass
from decimal import Decimal

from valuation.domain import figures
from valuation.domain.figures import ONE, ZERO, Answer, Step, exact, to_currency, total
from valuation.domain.inputs import Amount, Factor, Inputs, MoneyInputs, Rate, SignedAmount, Years


@dataclass(frozen=True, slots=True, kw_only=True)
class WindingUpFlow(Inputs):
    """What one sale brings and costs."""

    in_years: Years
    proceeds: Amount
    costs: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneConcern(MoneyInputs):
    """Assets sold one after the other; the creditor has a share of what they bring."""

    share: Rate
    flows: tuple[WindingUpFlow, ...]
    discount_rate: Rate


@dataclass(frozen=True, slots=True)
class GoneConcernResult:
    """`total` is the present value of all net proceeds, `value` the creditor's share of it."""

    total: Decimal
    value: Decimal


@exact
def gone_concern(inputs: GoneConcern) -> Answer:
    """Value a share of the net proceeds of a winding-up; both figures may be negative when costs exceed proceeds."""
    present = [
        (flow.proceeds - flow.costs) / figures.growth(inputs.discount_rate, flow.in_years) for flow in inputs.flows
    ]
    whole = total(present)
    result = GoneConcernResult(to_currency(whole, inputs.currency), to_currency(whole * inputs.share, inputs.currency))
    steps = [
        Step(f"net proceeds in {flow.in_years} years, worth now", to_currency(value, inputs.currency))
        for flow, value in zip(inputs.flows, present, strict=True)
    ]
    return Answer(result, [*steps, Step("total", result.total), Step(f"share of {inputs.share}", result.value)])


@dataclass(frozen=True, slots=True, kw_only=True)
class LateCollateral(Inputs):
    """Collateral that is sold some years from now."""

    value: Amount
    haircut: Rate
    in_years: Years


@dataclass(frozen=True, slots=True, kw_only=True)
class GoingConcern(MoneyInputs):
    """A business that carries on. `cash_flow` is a year's sustainable one and may be negative."""

    cash_flow: SignedAmount
    multiple: Factor
    share: Rate
    claim: Amount
    collateral: LateCollateral | None = None
    discount_rate: Rate


@dataclass(frozen=True, slots=True)
class GoingConcernResult:
    """`sustainable_debt` is that of the whole business, before the creditor's share."""

    sustainable_debt: Decimal
    collateral_value: Decimal
    value: Decimal


@exact
def going_concern(inputs: GoingConcern) -> Answer:
    """Value a claim by its share of the debt that cash flow × multiple can carry, plus collateral, within the claim."""
    debt = max(ZERO, inputs.cash_flow * inputs.multiple)
    collateral = ZERO
    if inputs.collateral is not None:
        sold = inputs.collateral.value * (ONE - inputs.collateral.haircut)
        collateral = sold / figures.growth(inputs.discount_rate, inputs.collateral.in_years)
    value = min(inputs.claim, debt * inputs.share + collateral)
    result = GoingConcernResult(
        sustainable_debt=to_currency(debt, inputs.currency),
        collateral_value=to_currency(collateral, inputs.currency),
        value=to_currency(value, inputs.currency),
    )
    steps = [
        Step(f"sustainable debt at {inputs.multiple} times cash flow", result.sustainable_debt),
        Step(f"share of {inputs.share}", to_currency(debt * inputs.share, inputs.currency)),
        Step("collateral, worth now", result.collateral_value),
        Step("value within the claim", result.value),
    ]
    return Answer(result, steps)

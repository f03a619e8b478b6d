"""What collateral brings when it is sold: sale, ranks of liens, and what a liquidation leaves for each creditor."""

from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Annotated

from marketplace.documents import BadDocument, Node
from marketplace.money import exponent, share_out
from valuation.domain import figures
from valuation.domain.figures import ONE, ZERO, Answer, Step, exact, to_currency, total
from valuation.domain.inputs import Amount, Inputs, MoneyInputs, Rate, Years, count


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedCost(Inputs):
    """A cost that falls due some years from now."""

    amount: Amount
    in_years: Years


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuredLiquidation(MoneyInputs):
    """Collateral that will be sold, and the claim it secures."""

    market_value: Amount
    haircut: Rate
    sale_cost_rate: Rate
    claim: Amount
    registered_cap: Amount | None = None
    prior_liens: Amount | None = None
    sale_in_years: Years
    costs: tuple[DatedCost, ...]
    discount_rate: Rate


@dataclass(frozen=True, slots=True)
class SecuredLiquidationResult:
    """Amounts in the currency of the inputs; `value_to_claim` a ratio, None for a claim of nothing."""

    net_sale: Decimal
    recovery: Decimal
    deficiency: Decimal
    present_value: Decimal
    costs_present_value: Decimal
    value: Decimal
    value_to_claim: Decimal | None


def recovery_of(inputs: SecuredLiquidation) -> tuple[Decimal, Decimal]:
    """Return (net sale before prior liens, recovery), unrounded. Call it within `exact`.

    The recovery is what is left of market value × (1 - haircut) × (1 - sale cost) after prior liens, never more than
    the claim or the registered cap.
    """
    net_sale = inputs.market_value * (ONE - inputs.haircut) * (ONE - inputs.sale_cost_rate)
    bounds = [inputs.claim, max(ZERO, net_sale - (inputs.prior_liens or ZERO))]
    if inputs.registered_cap is not None:
        bounds.append(inputs.registered_cap)
    return net_sale, min(bounds)


def present_value_of(inputs: SecuredLiquidation) -> Decimal:
    """Return the recovery discounted from the day of sale, unrounded, before costs. Call it within `exact`."""
    return recovery_of(inputs)[1] / figures.growth(inputs.discount_rate, inputs.sale_in_years)


@exact
def secured_liquidation(inputs: SecuredLiquidation) -> Answer:
    """Value a claim by the sale of its collateral at the expected date, less dated costs; may be negative."""
    net_sale, recovery = recovery_of(inputs)
    present = present_value_of(inputs)
    costs = total(cost.amount / figures.growth(inputs.discount_rate, cost.in_years) for cost in inputs.costs)
    value = present - costs

    def money(figure: Decimal) -> Decimal:
        return to_currency(figure, inputs.currency)

    result = SecuredLiquidationResult(
        net_sale=money(net_sale),
        recovery=money(recovery),
        deficiency=money(inputs.claim - recovery),
        present_value=money(present),
        costs_present_value=money(costs),
        value=money(value),
        value_to_claim=figures.ratio(value, inputs.claim),
    )
    steps = [
        Step("market value", money(inputs.market_value)),
        Step(f"after a haircut of {inputs.haircut}", money(inputs.market_value * (ONE - inputs.haircut))),
        Step(f"net sale after costs of {inputs.sale_cost_rate}", result.net_sale),
        Step("after prior liens", money(max(ZERO, net_sale - (inputs.prior_liens or ZERO)))),
        Step("recovery within claim and registered cap", result.recovery),
        Step(f"worth now, sold in {inputs.sale_in_years} years at {inputs.discount_rate}", result.present_value),
        Step("costs, worth now", result.costs_present_value),
        Step("value", result.value),
    ]
    return Answer(result, steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lien(Inputs):
    """A secured creditor: the lower rank is paid first, equal ranks share."""

    name: str
    rank: Annotated[int, count(0, 10**9)]
    claim: Amount
    cap: Amount | None = None

    @property
    def secured(self) -> Decimal:
        """The part of the claim that the lien covers."""
        return self.claim if self.cap is None else min(self.claim, self.cap)


@dataclass(frozen=True, slots=True, kw_only=True)
class LienWaterfall(MoneyInputs):
    """Proceeds of collateral and who stands in line for them."""

    distinct_names = ("liens",)
    proceeds: Amount
    costs: tuple[Amount, ...]
    liens: tuple[Lien, ...]


@dataclass(frozen=True, slots=True)
class NamedAmount:
    """An amount of somebody."""

    name: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class LienWaterfallResult:
    """Lists in the order of the inputs; distributable = Σ paid + surplus, which is the owner's."""

    distributable: Decimal
    paid: tuple[NamedAmount, ...]
    unsecured: tuple[NamedAmount, ...]
    surplus: Decimal


@exact
def lien_waterfall(inputs: LienWaterfall) -> Answer:
    """Distribute proceeds by rank; within a rank pro rata to min(claim, cap), cents by largest remainder."""
    places = exponent(inputs.currency)
    distributable = to_currency(max(ZERO, inputs.proceeds - total(inputs.costs)), inputs.currency)
    rest = int(distributable.scaleb(places))
    paid: dict[str, int] = {}
    steps = [Step("proceeds less costs", distributable)]
    for rank, group in groupby(sorted(inputs.liens, key=lambda lien: lien.rank), key=lambda lien: lien.rank):
        liens = list(group)
        weights = [int(lien.secured.scaleb(places)) for lien in liens]
        parts = share_out(min(rest, sum(weights)), weights, [lien.name for lien in liens])
        paid.update(zip((lien.name for lien in liens), parts, strict=True))
        rest -= sum(parts)
        steps.append(Step(f"paid to rank {rank}", Decimal(sum(parts)).scaleb(-places)))
    amounts = {name: Decimal(part).scaleb(-places) for name, part in paid.items()}
    surplus = Decimal(rest).scaleb(-places)
    result = LienWaterfallResult(
        distributable=distributable,
        paid=tuple(NamedAmount(lien.name, amounts[lien.name]) for lien in inputs.liens),
        unsecured=tuple(
            NamedAmount(lien.name, to_currency(lien.claim - amounts[lien.name], inputs.currency))
            for lien in inputs.liens
        ),
        surplus=surplus,
    )
    return Answer(result, [*steps, Step("surplus of the owner", surplus)])


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuredClaim(Inputs):
    """A creditor with an asset of its own to turn to."""

    name: str
    claim: Amount
    asset_value: Amount

    @property
    def priority(self) -> Decimal:
        """What the asset pays."""
        return min(self.claim, self.asset_value)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdinaryClaim(Inputs):
    """An unsecured creditor."""

    ordinary: Amount


def _subject(node: Node, currency: str) -> str | Decimal:
    if isinstance(node.value, str):
        return node.text()
    return OrdinaryClaim.read(node, currency).ordinary


@dataclass(frozen=True, slots=True, kw_only=True)
class HypotheticalLiquidation(MoneyInputs):
    """A debtor as if it were liquidated now (假设清算法). `assets` include the secured ones."""

    distinct_names = ("secured",)
    assets: Amount
    priority_expenses: Amount
    wages: Amount
    taxes: Amount
    secured: tuple[SecuredClaim, ...]
    ordinary_claims: Amount
    subject: Annotated[str | Decimal, _subject]

    @exact
    def check(self, node: Node) -> None:
        """Refuse a subject that is not among the creditors, and assets below those that secure claims."""
        if isinstance(self.subject, str):
            if all(claim.name != self.subject for claim in self.secured):
                raise node.child("subject").refuse("the name of a secured claim, or an ordinary claim")
        elif self.subject > self.ordinary_claims:
            raise BadDocument(
                node.child("subject").child("ordinary").pointer, f"{self.subject}", "at most the ordinary claims"
            )
        if total(claim.asset_value for claim in self.secured) > self.assets:
            raise node.child("assets").refuse("at least the sum of the secured assets, which it includes")


@dataclass(frozen=True, slots=True)
class HypotheticalLiquidationResult:
    """What the subject receives: first from its own asset, then its part of the general pool."""

    general_pool: Decimal
    general_claims: Decimal
    general_ratio: Decimal | None
    priority_part: Decimal
    general_part: Decimal
    recovery: Decimal
    recovery_ratio: Decimal | None


@exact
def hypothetical_liquidation(inputs: HypotheticalLiquidation) -> Answer:
    """Value a claim by what a liquidation today would pay on it; a secured shortfall joins the general claims."""
    secured = total(claim.priority for claim in inputs.secured)
    preferred = inputs.priority_expenses + inputs.wages + inputs.taxes
    pool = max(ZERO, inputs.assets - secured - preferred)
    claims = total(claim.claim - claim.priority for claim in inputs.secured) + inputs.ordinary_claims
    quota = min(ONE, pool / claims) if claims else ZERO
    whole, priority = _claim_of_subject(inputs)
    general = (whole - priority) * quota

    def money(figure: Decimal) -> Decimal:
        return to_currency(figure, inputs.currency)

    result = HypotheticalLiquidationResult(
        general_pool=money(pool),
        general_claims=money(claims),
        general_ratio=figures.ratio(min(pool, claims), claims),
        priority_part=money(priority),
        general_part=money(general),
        recovery=money(priority + general),
        recovery_ratio=figures.ratio(priority + general, whole),
    )
    steps = [
        Step("assets", money(inputs.assets)),
        Step("paid to secured creditors out of their assets", money(secured)),
        Step("expenses, wages and taxes before ordinary creditors", money(preferred)),
        Step("general pool", result.general_pool),
        Step("general claims, secured shortfalls included", result.general_claims),
        Step("out of the own asset", result.priority_part),
        Step("out of the general pool", result.general_part),
        Step("recovery", result.recovery),
    ]
    return Answer(result, steps)


def _claim_of_subject(inputs: HypotheticalLiquidation) -> tuple[Decimal, Decimal]:
    if isinstance(inputs.subject, Decimal):
        return inputs.subject, ZERO
    claim = next(claim for claim in inputs.secured if claim.name == inputs.subject)
    return claim.claim, claim.priority

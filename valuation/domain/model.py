"""The house model: each frozen case by the sale of its collateral or by a recovery curve, out of stored assumptions.

A secured case with a value of its collateral is worth `secured_liquidation`, every other one the price of its
`unsecured_curve`. Each case is rounded once; strata and total add up the rounded cases: a rerun gives the same cents.
"""

import itertools
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final, Protocol

from marketplace.documents import BadDocument, Node
from marketplace.money import Money, Rounding, exponent
from valuation.domain import figures
from valuation.domain.curves import UnsecuredCurve, price_of
from valuation.domain.figures import exact
from valuation.domain.inputs import Factor, Inputs, Length, Rate, Years, check_whole, count, one_of
from valuation.domain.liquidation import SecuredLiquidation, present_value_of

METHOD_VERSION: Final = "house-model-1"
_MAX_BANDS: Final = 50
_MAX_DAYS: Final = 100_000


class ModelCase(Protocol):
    """What the model needs of a frozen case; amounts in minor units, None where not known."""

    @property
    def principal(self) -> int: ...  # noqa: D102 - a shape, not a door
    @property
    def interest(self) -> int: ...  # noqa: D102 - a shape, not a door
    @property
    def days_past_due(self) -> int: ...  # noqa: D102 - a shape, not a door
    @property
    def secured(self) -> bool: ...  # noqa: D102 - a shape, not a door
    @property
    def collateral_value_minor(self) -> int | None: ...  # noqa: D102 - a shape, not a door
    @property
    def prior_liens_minor(self) -> int | None: ...  # noqa: D102 - a shape, not a door
    @property
    def registered_cap_minor(self) -> int | None: ...  # noqa: D102 - a shape, not a door


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuredAssumptions(Inputs):
    """How collateral is sold."""

    haircut: Rate
    sale_cost_rate: Rate
    sale_in_years: Years
    discount_rate: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Band(Inputs):
    """Cases from so many days past due on (inclusive): how much of them comes back, and when."""

    from_days: Annotated[int, count(0, _MAX_DAYS)]
    recovery_rate: Factor
    timing: Annotated[tuple[Rate, ...], Length(1, 30)]

    def check(self, node: Node) -> None:
        """Refuse a timing that does not add up to exactly 1."""
        check_whole(node.child("timing"), self.timing)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsecuredAssumptions(Inputs):
    """How debts without security are collected; bands rise from 0 days."""

    bands: Annotated[tuple[Band, ...], Length(1, _MAX_BANDS)]
    servicing_rate: Rate
    target_irr: Rate
    convention: Annotated[str, one_of("year_end", "mid_year")]

    def check(self, node: Node) -> None:
        """Refuse bands that do not rise from 0."""
        place = node.child("bands")
        if self.bands[0].from_days != 0:
            where = place.child(0).child("from_days").pointer
            raise BadDocument(where, self.bands[0].from_days, "0 in the first band")
        for index, (lower, band) in enumerate(itertools.pairwise(self.bands), start=1):
            if band.from_days <= lower.from_days:
                where = place.child(index).child("from_days").pointer
                raise BadDocument(where, band.from_days, f"more than {lower.from_days}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions(Inputs):
    """Everything the model assumes."""

    secured: SecuredAssumptions
    unsecured: UnsecuredAssumptions


HOUSE_VERSION: Final = "house-1"
HOUSE: Final = {
    "secured": {"haircut": "0.30", "sale_cost_rate": "0.08", "sale_in_years": "1.5", "discount_rate": "0.10"},
    "unsecured": {
        "bands": [
            {"from_days": 0, "recovery_rate": "0.35", "timing": ["0.50", "0.30", "0.20"]},
            {"from_days": 91, "recovery_rate": "0.18", "timing": ["0.45", "0.30", "0.15", "0.10"]},
            {"from_days": 361, "recovery_rate": "0.09", "timing": ["0.40", "0.30", "0.20", "0.10"]},
            {"from_days": 1081, "recovery_rate": "0.04", "timing": ["0.40", "0.30", "0.20", "0.10"]},
        ],
        "servicing_rate": "0.30",
        "target_irr": "0.15",
        "convention": "mid_year",
    },
}
"""Assumptions to start from: plausible, fitted to no data; sellers and the operator put their own beside them."""


@dataclass(frozen=True, slots=True)
class StratumFigure:
    """One stratum of the result. Amounts in minor units; `method` names how its cases were valued."""

    name: str
    method: str
    cases: int
    exposure_minor: int
    value_minor: int


@dataclass(frozen=True, slots=True)
class ModelResult:
    """value = Σ strata; exposure is principal + interest."""

    value: Money
    exposure: Money
    strata: Sequence[StratumFigure]


def read_assumptions(document: object) -> Assumptions:
    """Read stored or sent assumptions; raise `BadDocument`."""
    return Assumptions.read(Node(document), "")


@exact
def value_package(cases: Iterable[ModelCase], assumptions: Assumptions, *, currency: str) -> ModelResult:
    """Value every case and add up by stratum: the secured ones, then the bands of days past due."""
    desk = _Desk(assumptions, currency)
    cells: dict[int, list[int]] = {}
    for case in cases:
        place, value = desk.value(case)
        cell = cells.setdefault(place, [0, 0, 0])
        cell[0] += 1
        cell[1] += case.principal + case.interest
        cell[2] += value
    strata = [_stratum(assumptions, place, *cells[place]) for place in sorted(cells)]
    return ModelResult(
        value=Money(sum(one.value_minor for one in strata), currency),
        exposure=Money(sum(one.exposure_minor for one in strata), currency),
        strata=strata,
    )


_SECURED: Final = -1
"""Place of the secured cases before the bands."""


class _Desk:
    """Values one case after the other; equal inputs once."""

    def __init__(self, assumptions: Assumptions, currency: str) -> None:
        self.assumptions = assumptions
        self.currency = currency
        self.limits = [band.from_days for band in assumptions.unsecured.bands]
        self.per_unit = [self._price_of_one(band) for band in assumptions.unsecured.bands]
        self.known: dict[tuple[int, int, int | None, int | None], int] = {}

    def value(self, case: ModelCase) -> tuple[int, int]:
        """Return (place of its stratum, value in minor units)."""
        claim = case.principal + case.interest
        if case.secured and case.collateral_value_minor is not None:
            key = (claim, case.collateral_value_minor, case.prior_liens_minor, case.registered_cap_minor)
            if key not in self.known:
                self.known[key] = self._secured(*key)
            return _SECURED, self.known[key]
        place = bisect_right(self.limits, case.days_past_due) - 1
        return place, _to_minor(claim * self.per_unit[place])

    def _price_of_one(self, band: Band) -> Decimal:
        """Return the unrounded price of a face of one: the price of a curve is linear in the face."""
        unsecured = self.assumptions.unsecured
        curve = UnsecuredCurve(
            currency=self.currency,
            face=figures.ONE,
            recovery_rate=band.recovery_rate,
            timing=band.timing,
            servicing_rate=unsecured.servicing_rate,
            target_irr=unsecured.target_irr,
            convention=unsecured.convention,
        )
        return price_of(curve)

    def _secured(self, claim: int, market_value: int, prior_liens: int | None, registered_cap: int | None) -> int:
        def major(minor: int | None) -> Decimal | None:
            return None if minor is None else Decimal(minor).scaleb(-exponent(self.currency))

        secured = self.assumptions.secured
        inputs = SecuredLiquidation(
            currency=self.currency,
            market_value=major(market_value) or figures.ZERO,
            haircut=secured.haircut,
            sale_cost_rate=secured.sale_cost_rate,
            claim=major(claim) or figures.ZERO,
            registered_cap=major(registered_cap),
            prior_liens=major(prior_liens),
            sale_in_years=secured.sale_in_years,
            costs=(),
            discount_rate=secured.discount_rate,
        )
        return _to_minor(present_value_of(inputs).scaleb(exponent(self.currency)))


def _to_minor(value: Decimal) -> int:
    return int(figures.round_once(value, 0, Rounding.HALF_UP.value))


def _stratum(assumptions: Assumptions, place: int, cases: int, exposure_minor: int, value_minor: int) -> StratumFigure:
    if place == _SECURED:
        return StratumFigure("secured", "secured_liquidation", cases, exposure_minor, value_minor)
    bands = assumptions.unsecured.bands
    end = str(bands[place + 1].from_days - 1) if place + 1 < len(bands) else ""
    name = f"unsecured {bands[place].from_days}-{end}"
    return StratumFigure(name, "unsecured_curve", cases, exposure_minor, value_minor)

"""Clocks of a claim: limitation, the guarantee period, and prudential coverage by time."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from collection.domain.calendar import add_months, add_years
from marketplace.money import EXACT, Money, Rounding

LIMITATION_YEARS: Final = 3
LONGEST_YEARS: Final = 20
GUARANTEE_MONTHS: Final = 6


class LimitationKind(enum.StrEnum):
    """What may restart the limitation of a claim."""

    DEMAND_PROVEN = "demand_proven"
    DEMAND_UNPROVEN = "demand_unproven"
    ACKNOWLEDGED = "acknowledged"
    SUIT = "suit"


@dataclass(frozen=True, slots=True)
class LimitationEvent:
    """Something that happened to the claim on a day."""

    on: date
    kind: LimitationKind


@dataclass(frozen=True, slots=True)
class LimitationStep:
    """An event, whether it restarts the clock, and the last day of the claim after it."""

    on: date
    kind: LimitationKind
    restarts: bool
    expires_on: date


def limitation(due_on: date, events: Sequence[LimitationEvent]) -> tuple[date, list[LimitationStep]]:
    """Return (last day of the claim, history). Events are in order of date, none before `due_on`.

    Three years from the due day; a provable demand and a suit restart it while it runs (Civil Code 188, 195), an
    acknowledgement also afterwards (192), an unproven demand never; never later than twenty years after `due_on`.
    """
    longest = add_years(due_on, LONGEST_YEARS)
    expires, history = add_years(due_on, LIMITATION_YEARS), []
    for event in events:
        in_time = event.kind in {LimitationKind.DEMAND_PROVEN, LimitationKind.SUIT} and event.on <= expires
        restarts = in_time or event.kind is LimitationKind.ACKNOWLEDGED
        if restarts:
            expires = min(add_years(event.on, LIMITATION_YEARS), longest)
        history.append(LimitationStep(event.on, event.kind, restarts, expires))
    return expires, history


@dataclass(frozen=True, slots=True)
class Guarantee:
    """A guarantee of at most `cap` on what is left of a debt (`residual`), of which a part can be collected."""

    main_debt_due_on: date
    months: int
    cap: Money
    residual: Money
    collectable_rate: Decimal
    demanded_on: date | None

    @property
    def expires_on(self) -> date:
        """Last day on which the guarantor can be called; never interrupted (Civil Code 692, 693)."""
        return add_months(self.main_debt_due_on, self.months)

    def value(self, at_on: date) -> Money:
        """Return min(cap, residual) × collectable rate; nothing once expired without a demand in time."""
        demanded = self.demanded_on is not None and self.demanded_on <= min(self.expires_on, at_on)
        if at_on > self.expires_on and not demanded:
            return Money.zero(self.cap.currency)
        return min(self.cap, self.residual).portion(self.collectable_rate, Rounding.HALF_UP)


class SecurityKind(enum.StrEnum):
    """What secures an exposure, by the classes of the regulation."""

    IMMOVABLE = "immovable"
    OTHER = "other"


_UNSECURED: Final = ("0", "0", "0.35", "1")
_SECURED: Final = {
    SecurityKind.IMMOVABLE: ("0", "0", "0", "0.25", "0.35", "0.55", "0.70", "0.80", "0.85", "1"),
    SecurityKind.OTHER: ("0", "0", "0", "0.25", "0.35", "0.55", "0.80", "1", "1", "1"),
}
"""Factors of year 1, 2, … of non-performance; the last holds for ever (Reg. (EU) 2019/630, CRR Art. 47c)."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What must be covered in that year, and what of it is missing."""

    year: int
    required: Money
    shortfall: Money


def coverage(
    *,
    non_performing_since_on: date,
    reference_on: date,
    exposure: Money,
    secured: Money,
    security: SecurityKind,
    provisions: Money,
) -> Coverage:
    """Return the minimum loss coverage of an exposure. secured ≤ exposure, since ≤ reference: the caller's checks."""
    year = 1
    while add_years(non_performing_since_on, year) <= reference_on:
        year += 1
    secured_factors = _SECURED[security]
    unsecured_factor = Decimal(_UNSECURED[min(year, len(_UNSECURED)) - 1])
    secured_factor = Decimal(secured_factors[min(year, len(secured_factors)) - 1])
    unsecured = EXACT.multiply((exposure - secured).to_decimal(), unsecured_factor)
    needed = EXACT.add(unsecured, EXACT.multiply(secured.to_decimal(), secured_factor))
    required = Money.round(needed, exposure.currency, Rounding.HALF_UP)
    shortfall = max(Money.zero(exposure.currency), required - provisions)
    return Coverage(year, required, shortfall)

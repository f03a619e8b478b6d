"""How much too little or too much is let go, by purpose, as versioned data. Pure.

Too little up to `under` counts as all of it: the operator pays the difference (a fee that a bank on the way took).
Too much up to `over` needs nobody's decision: it stays unapplied, a liability with its age, until it is sent back.
A deposit has no tolerance at all: nobody bids on 0.01 less.
"""

from dataclasses import dataclass
from datetime import date

from marketplace.errors import Invalid
from marketplace.money import Money
from settlement.domain.notices import NoticePurpose


class DepositTolerated(Invalid):
    """A deposit is whole or it is none."""

    code = "deposit_tolerated"

    def __init__(self) -> None:
        super().__init__("A deposit has no tolerance: one cent less covers nothing, one cent more is looked at.")


class ToleranceStartsInThePast(Invalid):
    """What was let go yesterday is not decided anew."""

    code = "tolerance_starts_in_the_past"

    def __init__(self, day: date) -> None:
        super().__init__(f"A tolerance begins tomorrow at the earliest, not on {day.isoformat()}.")


@dataclass(frozen=True, slots=True)
class Tolerance:
    """So much may be missing, so much may be too much, zero or more, in one currency."""

    under: Money
    over: Money


def check_tolerance(purpose: NoticePurpose, tolerance: Tolerance) -> None:
    """Refuse any tolerance for deposits (`DepositTolerated`); amounts are zero or more in one currency."""
    total = tolerance.under + tolerance.over
    if purpose is NoticePurpose.DEPOSIT and total:
        raise DepositTolerated

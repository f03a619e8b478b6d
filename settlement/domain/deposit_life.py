"""The life of a deposit, told from what moved: requested, received, held, then applied, released, forfeited. Pure.

And by when it has to be back with whoever paid it, by the market of its sale.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

RELEASE_HOURS: Final = {"judicial_cn": 24}
"""Hours in which a loser's deposit is back. Judicial: 2016 rules Art. 23 (P). The others: `USUAL_HOURS`."""

USUAL_HOURS: Final = 72
"""Hours of the markets without a text of their own (K: configurable practice)."""


class DepositStage(enum.StrEnum):
    """Where a deposit stands. Derived, never stored."""

    REQUESTED = "requested"
    RECEIVED = "received"
    HELD = "held"
    APPLIED = "applied"
    REFUNDING = "refunding"
    RELEASED = "released"
    FORFEITED = "forfeited"
    DISPUTED = "disputed"


@dataclass(frozen=True, slots=True)
class DepositFigures:
    """What became of a deposit, minor units: received = held + applied + forfeited + refunding + released + disputed.

    `received` is what came in less what was taken back; `refunding` is set aside and on its way; `disputed` is what a
    cardholder contests, or has got back that way for good.
    """

    received: int = 0
    held: int = 0
    applied: int = 0
    forfeited: int = 0
    refunding: int = 0
    released: int = 0
    disputed: int = 0

    @property
    def adds_up(self) -> bool:
        """Whether nothing of what came in is missing and nothing came from nowhere."""
        gone = self.applied + self.forfeited + self.refunding + self.released + self.disputed
        return self.received == self.held + gone


def stage(figures: DepositFigures, *, required_minor: int) -> DepositStage:
    """Say where a deposit stands: money on its way back before money that is gone, before money that is here."""
    found = (
        (figures.refunding, DepositStage.REFUNDING),
        (figures.forfeited, DepositStage.FORFEITED),
        (figures.applied, DepositStage.APPLIED),
        (figures.held and figures.held >= required_minor, DepositStage.HELD),
        (figures.disputed, DepositStage.DISPUTED),
        (figures.held, DepositStage.RECEIVED),
        (figures.released, DepositStage.RELEASED),
    )
    return next((one for amount, one in found if amount), DepositStage.REQUESTED)


def release_due(*, regime: str, from_: Sequence[datetime]) -> datetime | None:
    """Return by when a deposit is back: so many hours after the last thing that it was kept for; None without any."""
    if not from_:
        return None
    return max(from_) + timedelta(hours=RELEASE_HOURS.get(regime, USUAL_HOURS))

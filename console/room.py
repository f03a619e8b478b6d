"""The live auction as one value: what everybody in the room may see at an instant. Pure.

Others are codes, the reserve is not here at all, and the end is the one that the last accepted bid left. Not here: who
may look, which the services decide, and the words.
"""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from auctions.service import AuctionView, LiveState
from console import charts
from console.language import mark
from marketplace.money import Money

SHOWN_BIDS: Final = 20
"""How many bids the live page lists; the result page lists all."""


FINAL: Final = frozenset({LiveState.SOLD, LiveState.UNSOLD, LiveState.WITHDRAWN})
"""States in which nothing changes any more."""

_CLOCK_TITLES: Final = {
    LiveState.SCHEDULED: mark("Opens in"),
    LiveState.OPEN: mark("Ends in"),
    LiveState.SUSPENDED: mark("Bidding is suspended"),
}
_OVER: Final = mark("Bidding is over")


@dataclass(frozen=True, slots=True)
class BidLine:
    """One accepted bid."""

    sequence: int
    code: str
    own: bool
    price: Money
    at: datetime
    moved_end: bool


@dataclass(frozen=True, slots=True)
class Room:
    """An auction at the instant `now`; `bids` newest first, at most `SHOWN_BIDS` of `bid_count`."""

    auction_id: uuid.UUID
    listing_id: uuid.UUID
    title: str
    state: LiveState
    now: datetime
    opens_at: datetime
    ends_at: datetime
    first_ends_at: datetime
    start: Money
    price: Money | None
    minimum_next: Money | None
    leader: str | None
    own: str | None
    bids: tuple[BidLine, ...]
    bid_count: int
    extensions: int
    window_seconds: int
    clock_seconds: int | None
    extension_seconds: int
    line: charts.PriceLine | None
    version: str
    is_sealed: bool
    """Whether nobody may count bids now, let alone read them."""

    @property
    def leading(self) -> bool:
        """Whether the reader's own organisation leads."""
        return self.leader is not None and self.leader == self.own

    @property
    def final(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in FINAL

    @property
    def until(self) -> datetime | None:
        """What the clock counts down to: the opening, then the end; nothing when it stands or all is said."""
        if self.final or self.state is LiveState.SUSPENDED:
            return None
        return self.opens_at if self.state is LiveState.SCHEDULED else self.ends_at

    @property
    def clock_title(self) -> str:
        """What stands over the clock, to be translated."""
        return _CLOCK_TITLES.get(self.state, _OVER)


def version_of(view: AuctionView) -> str:
    """Return a mark of everything drawn but the passing of time: the page is drawn anew when it differs."""
    drawn = (view.state, view.ends_at, view.price, view.leader, view.you, view.sequence, view.extensions)
    return hashlib.sha256(repr(drawn).encode()).hexdigest()[:16]

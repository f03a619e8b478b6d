"""What the watchers of an auction are told: accepted attempts by their number, and where the auction stands after them.

Everybody is told the same, read as a stranger to the auction reads it (`SPECTATOR`): through `viewing`, which hides
what is sealed, and without terms that anybody may not see. Messages are server-sent events. The number of the last
shown entry of the log is their `id`, so that a watcher who comes back is told what it missed. For display only.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy.orm import Session

from auctions import bid_schemas as schemas
from auctions import catalogue, plays, viewing
from auctions.models import Auction
from auctions.viewing import AuctionView, BidView
from marketplace import direct
from marketplace.actor import Actor, OrganisationKind
from marketplace.clock import format_instant

MEDIA_TYPE: Final = "text/event-stream"
CATCH_UP: Final = 200
"""So many missed attempts are told again; who missed more is told from which number on, and reads the list of bids."""

SPECTATOR: Final = Actor(
    organisation_id=uuid.UUID(int=0), organisation_kind=OrganisationKind.BUYER, roles=frozenset(), name="spectator"
)
"""Somebody who has no part in any auction; no credential maps to it."""

_PERSONAL: Final = ("you", "your_maximum", "rules", "rules_hash", "reserve_commitment", "listing_id", "package_id")
_STANDING: Final = schemas.AuctionOut(exclude=_PERSONAL)
_BID: Final = schemas.BidOut()

Mark = tuple[int, datetime, datetime | None, str | None]
"""What of an auction's row changes when there is something to tell: number, end, suspension, outcome."""


@dataclass(frozen=True, slots=True)
class News:
    """What is new in an auction: attempts in order, and where it stands; `number` is the last one shown.

    `skipped`: attempts before the first of `bids` were missed and are not told again.
    """

    view: AuctionView
    bids: Sequence[BidView]
    number: int
    skipped: bool
    hidden: frozenset[str]


def read_news(
    session: Session, *, auction_id: uuid.UUID, after: int | None, hidden: frozenset[str] | None = None
) -> News:
    """Return what came after an entry of the log; None: only where the auction stands. Raises `NotFound`.

    `hidden`: the terms not shown to everybody, for whoever asked `hidden_terms` a moment ago.
    """
    seen = viewing.see(session, auction_id, actor=SPECTATOR)
    if hidden is None:
        hidden = hidden_terms(session, seen.auction.listing_id)
    view = viewing.view_of(session, seen, hidden=hidden)
    limit = 1 if after is None else _bound(seen.auction, after)
    found = viewing.bids_of(session, seen, cursor=None, limit=limit, actor=SPECTATOR).items
    fresh = [bid for bid in reversed(found) if after is not None and bid.number > after]
    number = max(found[0].number if found else 0, 0)
    skipped = len(fresh) == CATCH_UP and after is not None and fresh[0].number > after + 1
    return News(view, fresh, number, skipped, hidden)


def hidden_terms(session: Session, listing_id: uuid.UUID) -> frozenset[str]:
    """Return the terms that are not shown to everybody."""
    return catalogue.hidden_terms(session, listing_id, actor=SPECTATOR)


def _bound(row: Auction, after: int) -> int:
    """Return how many entries there can be after a number; opened books have numbers of their own."""
    return CATCH_UP if plays.is_sealed(row) else max(1, min(CATCH_UP, row.number - after))


def marks(session: Session, *, auction_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Mark]:
    """Return the marks of auctions in one look, without those that are not there."""
    found = direct.rows(session, _MARKS, {"ids": list(auction_ids)})
    return {row.id: (row.number, row.ends_at, row.suspended_at, row.outcome) for row in found}


_MARKS: Final = "SELECT id, number, ends_at, suspended_at, outcome FROM auctions WHERE id = ANY(%(ids)s)"


def standing_of(view: AuctionView) -> dict[str, Any]:
    """Return where an auction stands as it is told, without the time of telling."""
    shown: dict[str, Any] = _STANDING.dump(view)
    del shown["server_time"]
    return shown


def standing_message(standing: Mapping[str, Any], *, number: int, server_time: datetime) -> bytes:
    """Return the message that says where an auction stands."""
    return _message("standing", {**standing, "server_time": format_instant(server_time)}, number)


def bid_message(bid: BidView, *, server_time: datetime) -> bytes:
    """Return the message of one accepted attempt."""
    return _message("bid", {**_BID.dump(bid), "server_time": format_instant(server_time)}, bid.number)


def skipped_message(*, before: int, server_time: datetime) -> bytes:
    """Return the message that attempts before a number were missed and are found in the list of bids."""
    return _message("skipped", {"before": before, "server_time": format_instant(server_time)}, None)


def time_message(server_time: datetime) -> bytes:
    """Return the message that nothing happened, and what time it is."""
    return _message("time", {"server_time": format_instant(server_time)}, None)


def _message(event: str, data: Mapping[str, Any], number: int | None) -> bytes:
    head = b"" if number is None else b"id: %d\n" % number
    return b"%sevent: %s\ndata: %s\n\n" % (head, event.encode(), orjson.dumps(data))


def body_of(news: News) -> bytes:
    """Return everything new as one body that an `EventSource` reads, which then asks again after a second."""
    at = news.view.server_time
    parts = [b"retry: %d\n\n" % (RETRY / timedelta(milliseconds=1))]
    if news.skipped:
        parts.append(skipped_message(before=news.bids[0].number, server_time=at))
    parts += [bid_message(bid, server_time=at) for bid in news.bids]
    parts.append(standing_message(standing_of(news.view), number=news.number, server_time=at))
    return b"".join(parts)


RETRY: Final = timedelta(seconds=1)


def last_event(text: str | None) -> int | None:
    """Return the number in a `Last-Event-ID`, None when there is none that we gave out."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 18 else None  # noqa: PLR2004 - what a BIGINT holds

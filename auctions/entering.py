"""What a batch asks first, in one exchange: the auction's row, the seats of its bidders, and keys used before.

A process remembers the auctions that it decided last. Where that memory says that an attempt of the batch may be
accepted, the row is locked at once, and nothing has to be asked twice; otherwise the row is looked at without its lock,
so that attempts which the rules refuse make nobody wait. The memory is a hint and decides nothing: it is wrong at most
about which of the two ways is quicker.
"""

import dataclasses
import uuid
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from auctions import eligibility, judging, plays
from auctions.judging import Case, Room
from auctions.receipts import Attempt
from marketplace import direct
from marketplace.parties import service as parties


@dataclass(frozen=True, slots=True)
class Entered:
    """What was asked of an auction: its row, `locked` or not; seats and earlier entries of `pairs`, None: of nobody.

    A pair is the number of an organisation's id and the digest of a key. Seats were asked as of the market day of `at`.
    """

    row: direct.Asked
    locked: bool
    at: datetime
    pairs: AbstractSet[tuple[int, bytes]] = frozenset()
    seats: direct.Asked | None = None
    earlier: direct.Asked | None = None

    def covers(self, pairs: AbstractSet[tuple[int, bytes]], at: datetime) -> bool:
        """Whether seats and earlier entries of all `pairs` were asked for, as of the day of `at`."""
        return pairs <= self.pairs and parties.market_day(at) == parties.market_day(self.at)


def enter(session: Session, *, auction_id: uuid.UUID, expected: Sequence[Attempt], at: datetime) -> Entered:
    """Ask for what deciding `expected` needs, as far as the auction is remembered; `at` is about now."""
    known = _remembered.get(auction_id)
    if known is None:
        return Entered(direct.Asked(session, LOOK, {"auction": auction_id}), locked=False, at=at)
    cases = [Case(place, one) for place, one in enumerate(expected)]
    locked = not known.sealed and _is_hopeful(known, cases, at)
    listing_id = known.row.listing_id
    organisations = {case.attempt.actor.organisation_id for case in cases}
    return Entered(
        direct.Asked(session, LOCK if locked else LOOK, {"auction": auction_id}),
        locked,
        at,
        {(case.attempt.actor.organisation_id.int, case.attempt.digest) for case in cases},
        eligibility.ask_seats(session, listing_id=listing_id, organisations=organisations, at=at),
        ask_earlier(session, auction_id=auction_id, listing_id=listing_id, cases=cases),
    )


def _is_hopeful(known: Room, cases: Iterable[Case], at: datetime) -> bool:
    """Whether an attempt may be accepted, by what is remembered."""
    now = max(at, known.at)
    with plays.borrowed(known.row.id) as live:
        if live is None:
            return False
        standing = live.play.standing(now)
        room = dataclasses.replace(known, at=now, live=live, standing=standing, locked=False, earlier={}, accepted={})
        highest_first = sorted(cases, key=_amount, reverse=True)
        return any(judging.judge(room, case) is None for case in highest_first)


def _amount(case: Case) -> int:
    return 0 if case.attempt.amount is None else case.attempt.amount.minor


def remember(room: Room) -> None:
    """Remember an auction as a batch leaves it, and whom it met there; of the entries, which may be many, nothing."""
    plays.keep(room.row, room.head, room.live)
    known = _remembered.get(room.row.id)
    seats = room.seats
    if known is not None and len(known.seats) < _SEATS_MOST:
        seats = {**known.seats, **seats}
    if known is None and len(_remembered) >= _AUCTIONS_MOST:
        _remembered.clear()
    _remembered[room.row.id] = dataclasses.replace(room, seats=seats, earlier={}, accepted={})


_remembered: Final[dict[uuid.UUID, Room]] = {}
_AUCTIONS_MOST: Final = 512
_SEATS_MOST: Final = 1024


def ask_earlier(
    session: Session, *, auction_id: uuid.UUID, listing_id: uuid.UUID, cases: Sequence[Case], since: int = -1
) -> direct.Asked:
    """Ask for the entries made with the keys of `cases`; for nothing when the log still has its `since` entries."""
    values = {
        "auction": auction_id,
        "listing": listing_id,
        "since": since,
        "organisations": direct.array(case.attempt.actor.organisation_id for case in cases),
        "digests": direct.array(case.attempt.digest for case in cases),
    }
    return direct.Asked(session, _EARLIER, values)


LOOK: Final = "SELECT *, auction_time() AS now FROM auctions WHERE id = %(auction)s"
LOCK: Final = (
    "WITH locked AS (SELECT * FROM auctions WHERE id = %(auction)s FOR UPDATE)"
    " SELECT *, auction_time() AS now FROM locked"
)
"""The row is locked inside the CTE, which PostgreSQL never folds into its query: the clock is read after the lock."""

_EARLIER: Final = """
    SELECT e.*, r.bidder_code
    FROM unnest(%(organisations)s::uuid[], %(digests)s::bytea[]) AS asked (organisation, digest)
    JOIN registrations r ON r.listing_id = %(listing)s AND r.organisation_id = asked.organisation
        AND r.state <> 'withdrawn'
    JOIN LATERAL (
        SELECT auction_id, number, sequence, kind, registration_id, amount_minor, lots, price_minor, leader, ends_at,
            at, idempotency_digest, receipt, signature, inclusion
        FROM auction_events
        WHERE registration_id = r.id AND idempotency_digest = asked.digest
        OFFSET 0
    ) e ON true
    WHERE (SELECT number FROM auctions WHERE id = %(auction)s) > %(since)s
"""
"""`OFFSET 0` keeps the subquery a look into the index for each attempt, however long the log is."""

"""The states of a listing, a registration and an award, and the verbs between them.

Whether an auction is open is not a state: it follows from its rules, its log and the time (`LiveState`, derived).
"""

import enum
from datetime import datetime
from typing import Final

from marketplace.lifecycle import Lifecycle


class ListingState(enum.StrEnum):
    """Where the announcement of a package stands."""

    DRAFT = "draft"
    PUBLISHED = "published"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"


LISTING: Final = Lifecycle(
    "listing",
    ListingState.DRAFT,
    [
        (ListingState.DRAFT, "publish", ListingState.PUBLISHED),
        (ListingState.PUBLISHED, "close", ListingState.CLOSED),
        (ListingState.DRAFT, "withdraw", ListingState.WITHDRAWN),
        (ListingState.PUBLISHED, "withdraw", ListingState.WITHDRAWN),
    ],
)


class RegistrationState(enum.StrEnum):
    """Where a buyer's application to a listing stands. Whether its deposit is held is told by `covered_at`."""

    APPLIED = "applied"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


REGISTRATION: Final = Lifecycle(
    "registration",
    RegistrationState.APPLIED,
    [
        (RegistrationState.APPLIED, "approve", RegistrationState.APPROVED),
        (RegistrationState.APPLIED, "refuse", RegistrationState.REFUSED),
        (RegistrationState.APPROVED, "refuse", RegistrationState.REFUSED),
        (RegistrationState.APPLIED, "withdraw", RegistrationState.WITHDRAWN),
        (RegistrationState.APPROVED, "withdraw", RegistrationState.WITHDRAWN),
    ],
)


class AwardState(enum.StrEnum):
    """Where an award stands. Pending, protocol confirmed and contracted are in force: at most one for each slot."""

    WAITING = "waiting"
    PENDING = "pending"
    PROTOCOL_CONFIRMED = "protocol_confirmed"
    CONTRACTED = "contracted"
    FAILED = "failed"
    RELEASED = "released"


AWARD: Final = Lifecycle(
    "award",
    AwardState.WAITING,
    [
        (AwardState.WAITING, "promote", AwardState.PENDING),
        (AwardState.WAITING, "release", AwardState.RELEASED),
        (AwardState.PENDING, "confirm_protocol", AwardState.PROTOCOL_CONFIRMED),
        (AwardState.PENDING, "confirm_contract", AwardState.CONTRACTED),
        (AwardState.PENDING, "fail", AwardState.FAILED),
        (AwardState.PROTOCOL_CONFIRMED, "confirm_contract", AwardState.CONTRACTED),
        (AwardState.PROTOCOL_CONFIRMED, "fail", AwardState.FAILED),
    ],
)


class AuctionOutcome(enum.StrEnum):
    """What closing wrote down."""

    SOLD = "sold"
    UNSOLD = "unsold"
    WITHDRAWN = "withdrawn"


class EntryKind(enum.StrEnum):
    """What an entry of an auction's log says: an accepted attempt, or an act of the operator."""

    BID = "bid"
    MAXIMUM = "maximum"
    ACCEPT = "accept"
    WITHDRAW = "withdraw"
    SUSPEND = "suspend"
    RESUME = "resume"
    VOID = "void"


class LiveState(enum.StrEnum):
    """How an auction looks at an instant; `ended` until its outcome is written down."""

    SCHEDULED = "scheduled"
    OPEN = "open"
    SUSPENDED = "suspended"
    ENDED = "ended"
    SOLD = "sold"
    UNSOLD = "unsold"
    WITHDRAWN = "withdrawn"


def live_state(
    *,
    opens_at: datetime,
    ends_at: datetime,
    outcome: AuctionOutcome | None,
    at: datetime,
    suspended_at: datetime | None = None,
) -> LiveState:
    """Return the state at an instant: open means `opens_at <= at < ends_at`, whoever has noticed."""
    if outcome is not None:
        return LiveState(outcome.value)
    if suspended_at is not None:
        return LiveState.SUSPENDED
    if at < opens_at:
        return LiveState.SCHEDULED
    return LiveState.OPEN if at < ends_at else LiveState.ENDED

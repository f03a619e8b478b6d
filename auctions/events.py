"""What auctions announces: facts in the past tense, ids only."""

import uuid
from dataclasses import dataclass
from typing import ClassVar

from marketplace.outbox import Event


@dataclass(frozen=True, slots=True)
class ListingPublished(Event):
    """A package was announced for sale."""

    name: ClassVar[str] = "listing.published"
    listing_id: uuid.UUID
    package_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class ListingRectified(Event):
    """The terms of a published listing were corrected; `version` is the listing's. Whoever registered is to know."""

    name: ClassVar[str] = "listing.rectified"
    listing_id: uuid.UUID
    package_id: uuid.UUID
    version: int


@dataclass(frozen=True, slots=True)
class ListingPlanned(Event):
    """After a failed attempt the next was made by the re-listing plan; `published` is 1, or 0 for a draft."""

    name: ClassVar[str] = "listing.planned"
    listing_id: uuid.UUID
    previous_listing_id: uuid.UUID
    package_id: uuid.UUID
    published: int


@dataclass(frozen=True, slots=True)
class ListingWithdrawn(Event):
    """A published listing was taken back; that its auction came to nothing is announced beside it."""

    name: ClassVar[str] = "listing.withdrawn"
    listing_id: uuid.UUID
    package_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class RegistrationApplied(Event):
    """A buyer applied to bid: compliance decides next."""

    name: ClassVar[str] = "registration.applied"
    registration_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class RegistrationApproved(Event):
    """A buyer may bid once its deposit is held."""

    name: ClassVar[str] = "registration.approved"
    registration_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class RegistrationRefused(Event):
    """A buyer may not bid, or not any longer."""

    name: ClassVar[str] = "registration.refused"
    registration_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class RegistrationWithdrawn(Event):
    """A buyer left a listing."""

    name: ClassVar[str] = "registration.withdrawn"
    registration_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class RegistrationCovered(Event):
    """The full deposit of a registration is held since `since`, an instant in RFC 3339."""

    name: ClassVar[str] = "registration.covered"
    registration_id: uuid.UUID
    since: str


@dataclass(frozen=True, slots=True)
class RegistrationUncovered(Event):
    """The deposit is not held in full any more since `since`: released, forfeited, or contested."""

    name: ClassVar[str] = "registration.uncovered"
    registration_id: uuid.UUID
    since: str


@dataclass(frozen=True, slots=True)
class AuctionAwarded(Event):
    """An award came into force: of the winner, or later of a runner-up who was promoted."""

    name: ClassVar[str] = "auction.awarded"
    award_id: uuid.UUID
    auction_id: uuid.UUID
    listing_id: uuid.UUID
    package_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class AuctionFailed(Event):
    """An auction ended without a sale, or was withdrawn."""

    name: ClassVar[str] = "auction.failed"
    auction_id: uuid.UUID
    listing_id: uuid.UUID
    package_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class LotsUnsold(Event):
    """Lots found no buyer, or lost it: their cases left `package_id` for the new package `part_id`, free to be sold."""

    name: ClassVar[str] = "auction.lots_unsold"
    listing_id: uuid.UUID
    package_id: uuid.UUID
    part_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class AwardWaits(Event):
    """A bidder is in line behind a winner, and its deposit stays until its turn or its release."""

    name: ClassVar[str] = "award.waiting"
    award_id: uuid.UUID
    auction_id: uuid.UUID
    listing_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class AwardProtocolConfirmed(Event):
    """The seller confirmed the protocol of an award."""

    name: ClassVar[str] = "award.protocol_confirmed"
    award_id: uuid.UUID
    auction_id: uuid.UUID
    listing_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class AwardProlonged(Event):
    """The contract of an award got more time; `number` is the prolongation's, from 1."""

    name: ClassVar[str] = "award.prolonged"
    award_id: uuid.UUID
    auction_id: uuid.UUID
    listing_id: uuid.UUID
    number: int


@dataclass(frozen=True, slots=True)
class AwardContracted(Event):
    """The contract of an award is signed."""

    name: ClassVar[str] = "award.contracted"
    award_id: uuid.UUID
    auction_id: uuid.UUID
    listing_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class AwardFailed(Event):
    """An award in force failed. `cause` is a `FailureCause`: `buyer_defaulted` costs the bidder its deposit.

    Who takes its place is announced by `auction.awarded`, that nobody does by `auction.failed`.
    """

    name: ClassVar[str] = "award.failed"
    award_id: uuid.UUID
    auction_id: uuid.UUID
    listing_id: uuid.UUID
    package_id: uuid.UUID
    registration_id: uuid.UUID
    cause: str
    regime: str


@dataclass(frozen=True, slots=True)
class AwardReleased(Event):
    """A bidder need not wait for its turn any longer, and its deposit not either."""

    name: ClassVar[str] = "award.released"
    award_id: uuid.UUID
    auction_id: uuid.UUID
    listing_id: uuid.UUID
    registration_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class AuctionSuspended(Event):
    """The operator stopped the bidding and the clock; `number` is the deed's in the log."""

    name: ClassVar[str] = "auction.suspended"
    auction_id: uuid.UUID
    listing_id: uuid.UUID
    package_id: uuid.UUID
    number: int


@dataclass(frozen=True, slots=True)
class AuctionResumed(Event):
    """The bidding goes on; the auction's end was moved. `number` is the deed's in the log."""

    name: ClassVar[str] = "auction.resumed"
    auction_id: uuid.UUID
    listing_id: uuid.UUID
    package_id: uuid.UUID
    number: int


@dataclass(frozen=True, slots=True)
class BidderVoided(Event):
    """A bidder was removed; price and leader are those of the remaining attempts."""

    name: ClassVar[str] = "auction.bidder_voided"
    auction_id: uuid.UUID
    listing_id: uuid.UUID
    registration_id: uuid.UUID

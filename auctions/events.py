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
class RegistrationApproved(Event):
    """A buyer may bid once its deposit is held."""

    name: ClassVar[str] = "registration.approved"
    registration_id: uuid.UUID


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

"""What is for sale, as one value a listing: the announcement with its figures, where its auction stands, the seller.

Only what `auctions` shows to this reader goes in; the hidden reserve is no part of it.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from auctions import service as auctions
from console import language
from marketplace.actor import Actor
from marketplace.money import Money
from marketplace.packages import service as packages
from marketplace.parties import service as parties


@dataclass(frozen=True, slots=True)
class Offer:
    """A listing for a list: `header` None before the freeze, `auction` None before the publication."""

    id: uuid.UUID
    package_id: uuid.UUID
    title: str
    seller: str
    state: auctions.ListingState
    start: Money | None
    opens_at: datetime | None
    ends_at: datetime | None
    header: packages.PackageHeader | None
    auction: auctions.AuctionView | None

    @property
    def subject(self) -> tuple[str, str]:
        """The state to show: that of the auction when there is one, else that of the listing."""
        return ("live", self.auction.state) if self.auction else ("listing", self.state)


def title_of(listing: auctions.Listing) -> str:
    """Return the title in the reader's language, else the other one; a draft may have none."""
    titles = [listing.title_zh, listing.title_en]
    if language.chosen() != "zh":
        titles.reverse()
    return next((title for title in titles if title), language.gettext("Without a title"))


def offers_of(session: Session, views: Iterable[auctions.ListingView], *, actor: Actor) -> list[Offer]:
    """Return the offers of listings that the actor was given by `auctions`, in the order given."""
    found = list(views)
    names = parties.organisation_names(session, {view.row.seller_organisation_id for view in found})
    return [
        offer_of(session, view, seller=names.get(view.row.seller_organisation_id, ""), actor=actor) for view in found
    ]


def offer_of(session: Session, view: auctions.ListingView, *, seller: str, actor: Actor) -> Offer:
    """Return the offer of one listing."""
    row = view.row
    package = packages.require_package(session, row.package_id)
    auction = auctions.view_auction(session, view.auction.id, actor=actor) if view.auction else None
    return Offer(
        id=row.id,
        package_id=row.package_id,
        title=title_of(row),
        seller=seller,
        state=row.state,
        start=None if "start_price" in view.hidden else row.start_price,
        opens_at=row.opens_at,
        ends_at=auction.ends_at if auction else row.ends_at,
        header=packages.header(package) if package.header else None,
        auction=auction,
    )

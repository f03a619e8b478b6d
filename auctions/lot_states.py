"""What has become of each lot: its state, who was awarded it at what price, and where it is offered again."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Text, func, select
from sqlalchemy.orm import Session

from auctions.award_models import Award
from auctions.domain.awards import FailureCause
from auctions.domain.lifecycles import AwardState, ListingState
from auctions.domain.lots import LotState, state_of
from auctions.lot_models import LotCase
from auctions.models import Auction, Listing, Registration
from marketplace.money import Money
from marketplace.packages import service as packages


@dataclass(frozen=True, slots=True)
class LotResult:
    """The latest award that names a lot, as everybody sees it. `price` is for all lots of the award together."""

    bidder: str
    price: Money
    lots: Sequence[str]
    award_state: AwardState
    failure_cause: FailureCause | None


@dataclass(frozen=True, slots=True)
class LotFate:
    """What has become of a lot. `next_listing_id`: the newest announcement of its cases after this auction."""

    state: LotState
    result: LotResult | None
    next_listing_id: uuid.UUID | None


def fates(session: Session, listing: Listing, *, names: Sequence[str]) -> Mapping[str, LotFate]:
    """Return what has become of the lots of a listing, by name. No visibility check: all of it is public."""
    awards = _awards(session, listing)
    again = _announced_again(session, listing) if listing.state is ListingState.CLOSED else {}
    return {name: _fate(listing, awards.get(name, ()), again.get(name)) for name in names}


def _fate(listing: Listing, awards: Sequence[tuple[Award, str]], again: uuid.UUID | None) -> LotFate:
    state = state_of(listing.state, [award.state for award, _ in awards], relisted=again is not None)
    result = None
    if awards:
        award, bidder = awards[-1]
        result = LotResult(bidder, award.price, award.lots, award.state, award.failure_cause)
    return LotFate(state, result, again)


def _awards(session: Session, listing: Listing) -> dict[str, list[tuple[Award, str]]]:
    """Return the awards of each lot with their bidders' codes, in the order in which they had their turn."""
    query = (
        select(Award, Registration.bidder_code)
        .join(Registration, Registration.id == Award.registration_id)
        .where(Award.listing_id == listing.id)
        .order_by(Award.in_force_at.nulls_first(), Award.slot, Award.place)
    )
    found: dict[str, list[tuple[Award, str]]] = {}
    for award, bidder in session.execute(query):
        for name in award.lots:
            found.setdefault(name, []).append((award, bidder))
    return found


def _announced_again(session: Session, listing: Listing) -> dict[str, uuid.UUID]:
    """Return by lot the newest listing of its cases that was announced after this auction was closed.

    The cases of a lot stay together, so that one of them tells where the lot is.
    """
    some_case = select(LotCase.lot, func.min(LotCase.case_id.cast(Text))).where(LotCase.listing_id == listing.id)
    lots = {uuid.UUID(case_id): lot for lot, case_id in session.execute(some_case.group_by(LotCase.lot))}
    holders = packages.packages_holding(session, list(lots))
    closed_at = select(Auction.closed_at).where(Auction.listing_id == listing.id).scalar_subquery()
    later = select(Listing.package_id, Listing.id).where(
        Listing.package_id.in_(set(holders.values())),
        Listing.state.in_((ListingState.PUBLISHED, ListingState.CLOSED)),
        Listing.published_at >= closed_at,
        Listing.id != listing.id,
    )
    newest = {row.package_id: row.id for row in session.execute(later.order_by(Listing.published_at, Listing.id))}
    found = {lots[case_id]: newest.get(package_id) for case_id, package_id in holders.items()}
    return {lot: listing_id for lot, listing_id in found.items() if listing_id is not None}

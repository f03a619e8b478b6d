"""What auctions hand to the doors: routes and the clockwork that writes down what the clock has decided."""

from auctions import (
    api,
    award_api,
    award_tasks,
    bid_api,
    events,
    listing_api,
    lot_api,
    proof_api,
    proof_tasks,
    relisting,
    service,
)
from marketplace.module import Module, Periodic
from marketplace.outbox import Subscription

module = Module(
    name="auctions",
    blueprints=(
        api.blueprint,
        bid_api.blueprint,
        listing_api.blueprint,
        lot_api.blueprint,
        award_api.blueprint,
        proof_api.blueprint,
    ),
    subscriptions=(
        Subscription(events.AuctionFailed.name, relisting.on_auction_failed),
        Subscription(events.LotsUnsold.name, relisting.on_lots_unsold),
        *award_tasks.SUBSCRIPTIONS,
    ),
    periodic=(
        Periodic("auctions.close_due", service.close_due, seconds=1),
        *award_tasks.PERIODIC,
        *proof_tasks.PERIODIC,
    ),
)

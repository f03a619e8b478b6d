"""Every page of the console, registered on one blueprint by the files that draw them."""

from console import auction_room, ceremony, finance, market, markets, notices, queues, receipts, sign_in, work
from console.site import pages

__all__ = [
    "auction_room",
    "ceremony",
    "finance",
    "market",
    "markets",
    "notices",
    "pages",
    "queues",
    "receipts",
    "sign_in",
    "work",
]

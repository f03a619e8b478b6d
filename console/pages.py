"""Every page of the console, registered on one blueprint by the files that draw them."""

from console import auction_room, finance, market, receipts, sign_in
from console.site import pages

__all__ = ["auction_room", "finance", "market", "pages", "receipts", "sign_in"]

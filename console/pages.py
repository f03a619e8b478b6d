"""Every page of the console, registered on one blueprint by the files that draw them."""

from console import auction_room, finance, market, sign_in, work
from console.site import pages

__all__ = ["auction_room", "finance", "market", "pages", "sign_in", "work"]

"""Why a bid is refused: one class for each code of the rules, and for what keeps a bidder out altogether."""

from datetime import datetime
from typing import Any, Final

from auctions.domain.formats import RefusalCode
from auctions.domain.lifecycles import RegistrationState
from marketplace.clock import format_instant
from marketplace.errors import Conflict, Refused
from marketplace.money import Money


class BidRefused(Conflict):
    """A bid that the rules of the auction refuse; `minimum_next` says what would do, where that helps."""

    code = "bid_refused"
    because = "The rules of the auction refuse this bid."

    def __init__(self, *, minimum_next: Money | None, at: datetime) -> None:
        more = "" if minimum_next is None else f" The least next bid is {minimum_next}."
        values: dict[str, Any] = {"server_time": format_instant(at)}
        if minimum_next is not None:
            values["minimum_next"] = {"amount": minimum_next.text, "currency": minimum_next.currency}
        super().__init__(self.because + more, **values)


class Suspended(BidRefused):
    """The auction is suspended."""

    code = RefusalCode.SUSPENDED.value
    because = "The auction is suspended."


class NotOpen(BidRefused):
    """Bidding has not opened yet."""

    code = RefusalCode.NOT_OPEN.value
    because = "Bidding has not opened yet."


class Late(BidRefused):
    """The bid came at the end or after it."""

    code = RefusalCode.LATE.value
    because = "The bid came at the end of the auction or after it."


class Voided(BidRefused):
    """The bidder was removed from the auction."""

    code = RefusalCode.VOIDED.value
    because = "The bidder was removed from the auction."


class AlreadyLeading(BidRefused):
    """The leader does not overbid itself."""

    code = RefusalCode.ALREADY_LEADING.value
    because = "You lead the auction; nobody overbids itself."


class BelowStart(BidRefused):
    """The first bid is below the start price."""

    code = RefusalCode.BELOW_START.value
    because = "The bid is below the start price."


class BelowMinimum(BidRefused):
    """The bid is below price and increment."""

    code = RefusalCode.BELOW_MINIMUM.value
    because = "The bid is below the price and the increment."


class OffGrid(BidRefused):
    """The bid is no whole number of steps above the start price."""

    code = RefusalCode.OFF_GRID.value
    because = "The bid is no whole number of steps above the start price."


REFUSALS: Final = {
    RefusalCode(kind.code): kind
    for kind in (Suspended, NotOpen, Late, Voided, AlreadyLeading, BelowStart, BelowMinimum, OffGrid)
}


class NotRegistered(Refused):
    """The organisation has not applied to the listing."""

    code = "not_registered"

    def __init__(self) -> None:
        super().__init__("Your organisation is not registered for this auction.")


class NotApproved(Refused):
    """The registration waits for the operator, or was refused."""

    code = "not_approved"

    def __init__(self, state: RegistrationState) -> None:
        super().__init__(f"Your registration is {state.value}, not approved.", state=state.value)


class DepositNotHeld(Refused):
    """The ledger does not hold the full deposit."""

    code = "deposit_not_held"

    def __init__(self) -> None:
        super().__init__("Your deposit is not held yet; pay it in with the reference of your registration.")


class LostRace(Conflict):
    """Another bid took the sequence number; the row lock makes this impossible, the constraint proves it."""

    code = "bid_lost_race"

    def __init__(self) -> None:
        super().__init__("Another bid was decided at the same instant; look at the price and bid again.")

"""Why a bid is refused: one class for each code of the rules, and for what keeps a bidder out altogether."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from auctions.domain.formats import RefusalCode
from auctions.domain.lifecycles import RegistrationState
from marketplace.clock import format_instant
from marketplace.errors import Conflict, Failure, Invalid, Refused, TooMany
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


def with_receipt(refusal: Failure, receipt: dict[str, Any]) -> Failure:
    """Return the same refusal for one bidder, with its signed receipt: a batch has many of one reason."""
    same = type(refusal).__new__(type(refusal), *refusal.args)
    same.detail, same.errors = refusal.detail, refusal.errors
    same.values = {**refusal.values, "receipt": receipt}
    return same


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


class WrongPhase(BidRefused):
    """The phase of the auction does not take this kind of attempt, or this bidder's."""

    code = RefusalCode.WRONG_PHASE.value
    because = "The present phase of the auction does not take this."


class Taken(BidRefused):
    """Somebody took the falling price."""

    code = RefusalCode.TAKEN.value
    because = "The price has been taken."


class NotEligible(BidRefused):
    """The rules of the auction keep this bidder out of this phase."""

    code = RefusalCode.NOT_ELIGIBLE.value
    because = "You may not bid in this phase of the auction."


class NoSuchLot(BidRefused):
    """A lot that the auction does not have."""

    code = RefusalCode.NO_SUCH_LOT.value
    because = "The auction has no such lot."


class NothingToWithdraw(BidRefused):
    """There is no bid of this bidder in force."""

    code = RefusalCode.NOTHING_TO_WITHDRAW.value
    because = "You have no bid in force."


class MaximumNotRaised(BidRefused):
    """A maximum is only ever raised."""

    code = RefusalCode.MAXIMUM_NOT_RAISED.value
    because = "Your maximum is as high already; it can only be raised."


class BelowLotReserves(BidRefused):
    """A package bid below the reserves of its lots."""

    code = RefusalCode.BELOW_LOT_RESERVES.value
    because = "The bid is below the reserves of its lots."


class PriceChanged(BidRefused):
    """Another price is shown by now than the one that was accepted."""

    code = RefusalCode.PRICE_CHANGED.value
    because = "Another price is shown by now."


REFUSALS: Final = {kind.code: kind for kind in BidRefused.__subclasses__()}
"""The class of each code of the rules."""


class ConfirmationRequired(BidRefused):
    """An amount far above what is needed is taken only when the bidder says so again."""

    code = "confirmation_required"
    because = "This is far above what is needed; send it again with `confirmed` if you mean it."


class TooFast(TooMany):
    """The bidder's last attempt was accepted a moment ago."""

    code = "too_fast"

    def __init__(self, *, wait: timedelta, at: datetime) -> None:
        seconds = -(-wait // timedelta(seconds=1))
        super().__init__(
            f"Your last attempt was accepted a moment ago; the next one is taken in {seconds} s.",
            retry_after=seconds,
            server_time=format_instant(at),
        )


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


class AttemptNotTaken(Invalid):
    """The format of the auction has no such attempt, or not with these values."""

    code = "attempt_not_taken"

    def __init__(self, kind: str, attempts: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> None:
        allowed = {
            one: [*required, *(f"{name}?" for name in optional)] for one, (required, optional) in attempts.items()
        }
        super().__init__(f"This auction takes no such {kind}; `allowed` says what it takes.", allowed=allowed)

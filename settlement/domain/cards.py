"""Card payments: what a card can carry, where a payment and a dispute stand, what a dispute takes from whom. Pure.

Amounts are what Stripe counts in: its smallest unit of a currency is our minor unit for every currency traded here
(Stripe, "Currencies": JPY and KRW without decimals, KWD and BHD with three, of which the last must be zero).
"""

import enum
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from marketplace.errors import Conflict
from marketplace.lifecycle import Lifecycle
from marketplace.money import EXPONENTS, Money

MAX_MINOR: Final = 99_999_999
"""Largest amount of one PaymentIntent: eight digits (Stripe, API reference, PaymentIntent.amount)."""

MIN_MINOR: Final = {
    "AUD": 50, "CAD": 50, "CHF": 50, "CZK": 1500, "DKK": 250, "EUR": 50, "GBP": 30, "HKD": 400, "HUF": 17500,
    "JPY": 50, "NOK": 300, "PLN": 200, "RON": 200, "SEK": 300, "SGD": 50, "USD": 50,
}  # fmt: skip
"""Smallest charge by currency (Stripe, "Currencies", minimum charge amounts); of others Stripe itself decides."""

THREE_DECIMALS: Final = 3

MAKE_CUSTOMER: Final = "stripe.customer"
MAKE_INTENT: Final = "stripe.intent"
CANCEL_INTENT: Final = "stripe.cancel_intent"
MAKE_REFUND: Final = "stripe.refund"
FETCH_PAYMENT: Final = "stripe.fetch_payment"
FETCH_REFUND: Final = "stripe.fetch_refund"
FETCH_DISPUTE: Final = "stripe.fetch_dispute"
FETCH_PAYOUT: Final = "stripe.fetch_payout"
LIST_BALANCE: Final = "stripe.list_balance"
LIST_DISPUTES: Final = "stripe.list_disputes"
"""Kinds of errands to Stripe: the first four make something there, the others only look."""

_FETCHED_BY: Final = {
    "ch": FETCH_PAYMENT, "py": FETCH_PAYMENT, "pi": FETCH_PAYMENT, "re": FETCH_REFUND, "pyr": FETCH_REFUND,
    "du": FETCH_DISPUTE, "dp": FETCH_DISPUTE, "po": FETCH_PAYOUT,
}  # fmt: skip


def fetched_by(object_id: str) -> str | None:
    """Return the errand that fetches an object of Stripe, told by the prefix of its id; None: we do not follow it."""
    return _FETCHED_BY.get(object_id.partition("_")[0])


RETURN: Final = "card_payment.returned"
"""Kind of source of a refund that the clockwork proposes and approves: card money that no deposit takes."""

CLEARING: Final = uuid.UUID("6f0c7f3c-9d1a-5e0e-8a53-0d8f5a4f9b11")


class CardPaymentState(enum.StrEnum):
    """Where a card payment stands: asked for, open to the payer's card, received, given up, refused by Stripe."""

    REQUESTED = "requested"
    OPEN = "open"
    RECEIVED = "received"
    CANCELLED = "cancelled"
    REFUSED = "refused"


CARD_PAYMENT: Final = Lifecycle(
    "card payment",
    CardPaymentState.REQUESTED,
    (
        (CardPaymentState.REQUESTED, "open", CardPaymentState.OPEN),
        (CardPaymentState.REQUESTED, "refuse", CardPaymentState.REFUSED),
        (CardPaymentState.OPEN, "receive", CardPaymentState.RECEIVED),
        (CardPaymentState.OPEN, "cancel", CardPaymentState.CANCELLED),
    ),
)

LIVE: Final = (CardPaymentState.REQUESTED, CardPaymentState.OPEN)
"""States in which a card payment may still bring money."""


class CardDisputeState(enum.StrEnum):
    """Where a dispute stands: while it is open what was paid covers nothing; lost, the money is gone."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


CARD_DISPUTE: Final = Lifecycle(
    "card dispute",
    CardDisputeState.OPEN,
    (
        (CardDisputeState.OPEN, "win", CardDisputeState.WON),
        (CardDisputeState.OPEN, "lose", CardDisputeState.LOST),
        (CardDisputeState.WON, "reopen", CardDisputeState.OPEN),
        (CardDisputeState.LOST, "reopen", CardDisputeState.OPEN),
    ),
)

_STANDING: Final = {
    "warning_needs_response": CardDisputeState.OPEN,
    "warning_under_review": CardDisputeState.OPEN,
    "needs_response": CardDisputeState.OPEN,
    "under_review": CardDisputeState.OPEN,
    "warning_closed": CardDisputeState.WON,
    "prevented": CardDisputeState.WON,
    "won": CardDisputeState.WON,
    "lost": CardDisputeState.LOST,
}


def standing(status: str) -> CardDisputeState:
    """Return what a dispute's status at Stripe means; one we do not know keeps the money blocked."""
    return _STANDING.get(status, CardDisputeState.OPEN)


def way(state: CardDisputeState, target: CardDisputeState) -> tuple[str, ...]:
    """Return the verbs that lead a dispute from one state to another: won and lost go over open."""
    if state is target:
        return ()
    last = {CardDisputeState.WON: ("win",), CardDisputeState.LOST: ("lose",), CardDisputeState.OPEN: ()}[target]
    return last if state is CardDisputeState.OPEN else ("reopen", *last)


@dataclass(frozen=True, slots=True)
class DisputeParts:
    """What a dispute takes, in minor units: from the deposit, from what lies unapplied, and what only we can bear."""

    deposit: int
    unapplied: int
    loss: int


def dispute_parts(disputed_minor: int, *, deposit_minor: int, unapplied_minor: int) -> DisputeParts:
    """Split a disputed amount: first what the deposit holds of this payment, then what is unapplied; the rest is lost.

    The parts add up to `disputed_minor`.
    """
    deposit = min(disputed_minor, max(deposit_minor, 0))
    unapplied = min(disputed_minor - deposit, max(unapplied_minor, 0))
    return DisputeParts(deposit, unapplied, disputed_minor - deposit - unapplied)


class AboveCardLimit(Conflict):
    """Cards cannot carry that much."""

    code = "above_card_limit"

    def __init__(self, amount: Money) -> None:
        super().__init__(f"{amount} is more than one card payment can carry. Pay the deposit by bank wire.")


class BelowCardMinimum(Conflict):
    """Stripe does not charge that little."""

    code = "below_card_minimum"

    def __init__(self, amount: Money, minimum: Money) -> None:
        super().__init__(f"{amount} is less than the {minimum} that a card payment needs. Pay by bank wire.")


class NotChargeable(Conflict):
    """Stripe takes the last of three decimals only as zero."""

    code = "not_chargeable"

    def __init__(self, amount: Money) -> None:
        super().__init__(f"{amount}: a card takes {amount.currency} in steps of ten of its smallest unit. Pay by wire.")


class CurrencyNotSettled(Conflict):
    """Stripe would change the money before it is ours."""

    code = "card_currency_not_settled"

    def __init__(self, currency: str, allowed: Collection[str]) -> None:
        named = ", ".join(sorted(allowed)) or "none"
        super().__init__(
            f"Cards are not charged in {currency} here: our account at Stripe would change it into another currency. "
            f"Allowed: {named}. Pay the deposit by bank wire.",
            currency=currency,
            allowed=sorted(allowed),
        )


def check_currency(currency: str, *, allowed: Collection[str]) -> None:
    """Refuse a currency in which our account at Stripe keeps no balance; raise `CurrencyNotSettled`."""
    if currency not in allowed:
        raise CurrencyNotSettled(currency, allowed)


def check_amount(amount: Money) -> None:
    """Refuse what no card can carry; raise `AboveCardLimit`, `BelowCardMinimum`, `NotChargeable`."""
    if amount.minor > MAX_MINOR:
        raise AboveCardLimit(amount)
    minimum = Money(MIN_MINOR.get(amount.currency, 1), amount.currency)
    if amount.minor < minimum.minor:
        raise BelowCardMinimum(amount, minimum)
    if EXPONENTS[amount.currency] == THREE_DECIMALS and amount.minor % 10:
        raise NotChargeable(amount)


def clearing_id(object_id: str) -> uuid.UUID:
    """Return under which id the books keep an object of Stripe (`ch_…`, `re_…`, `du_…`, `po_…`).

    Made from Stripe's own id, so that whatever names the object first, event or balance, meets the other.
    """
    return uuid.uuid5(CLEARING, object_id)


_LATENESS: Final = {"": 0, "pending": 1, "requires_action": 1, "succeeded": 2, "failed": 3, "canceled": 3}

FAILED: Final = frozenset({"failed", "canceled", "refused"})
"""Words of a refund whose money did not reach the card, or came back from it."""


def later_status(known: str, seen: str) -> str:
    """Return which of two words of one refund is the later: one that succeeded can still fail, never the reverse."""
    return seen if _LATENESS.get(seen, 1) >= _LATENESS.get(known, 1) else known

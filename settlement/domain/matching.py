"""What is a movement on our bank account for? Decided from references and amounts alone. Pure.

Nothing is guessed: without a sound reference, or when the amount, currency or state does not fit, the money stays
unapplied with the reason as its finding, and a person decides.
"""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from marketplace.errors import Conflict
from marketplace.money import Money
from settlement.domain.orders import PaymentOrderState
from settlement.domain.references import ReferenceKind, kind_of


class Finding(enum.StrEnum):
    """What was found out about a statement line. The second group leaves money unapplied or unexplained."""

    EXACT = "exact"
    COMPLETES = "completes"
    PARTIAL = "partial"
    DEAL = "deal"
    ORDER = "order"
    SURPLUS = "surplus"
    RETURNED = "returned"
    CHANGED = "changed"
    CARD_PAYOUT = "card_payout"

    OVERPAYMENT = "overpayment"
    DUPLICATE_PAYMENT = "duplicate_payment"
    WRONG_CURRENCY = "wrong_currency"
    NO_REFERENCE = "no_reference"
    UNKNOWN_REFERENCE = "unknown_reference"
    SEVERAL_REFERENCES = "several_references"
    REGISTRATION_CLOSED = "registration_closed"
    DEAL_REFUSED = "deal_refused"
    PAYMENT_RETURNED = "payment_returned"
    ORDER_AMOUNT_DIFFERS = "order_amount_differs"
    ORDER_NOT_SENT = "order_not_sent"
    THIRD_PARTY_PAYER = "third_party_payer"
    UNMATCHED = "unmatched"
    NOTICE_VOID = "notice_void"
    ZERO = "zero"
    REFUNDED = "refunded"


OPEN: Final = frozenset(
    {
        Finding.OVERPAYMENT,
        Finding.DUPLICATE_PAYMENT,
        Finding.WRONG_CURRENCY,
        Finding.NO_REFERENCE,
        Finding.UNKNOWN_REFERENCE,
        Finding.SEVERAL_REFERENCES,
        Finding.REGISTRATION_CLOSED,
        Finding.DEAL_REFUSED,
        Finding.PAYMENT_RETURNED,
        Finding.ORDER_AMOUNT_DIFFERS,
        Finding.ORDER_NOT_SENT,
        Finding.THIRD_PARTY_PAYER,
        Finding.UNMATCHED,
        Finding.NOTICE_VOID,
    }
)
"""Findings that wait for a person."""

REASONS: Final = {
    Finding.OVERPAYMENT: "More came than the deposit needs; the excess can be matched or refunded.",
    Finding.DUPLICATE_PAYMENT: "The deposit was full already; the whole amount can be matched or refunded.",
    Finding.WRONG_CURRENCY: "The reference names something in another currency.",
    Finding.NO_REFERENCE: "No sound reference stands in the remittance text.",
    Finding.UNKNOWN_REFERENCE: "Nothing has this reference.",
    Finding.SEVERAL_REFERENCES: "Several references stand in one text; which gets how much is a person's decision.",
    Finding.REGISTRATION_CLOSED: "The registration was refused or withdrawn, or its auction is over.",
    Finding.DEAL_REFUSED: "The deal does not take this payment.",
    Finding.PAYMENT_RETURNED: "A payment of ours came back.",
    Finding.ORDER_AMOUNT_DIFFERS: "The order has another amount.",
    Finding.ORDER_NOT_SENT: "The order was not sent, or is settled already.",
    Finding.THIRD_PARTY_PAYER: "Somebody else than the registered buyer paid; a person decides whether it counts.",
    Finding.NOTICE_VOID: "The payment notice was cancelled, or had expired when the bank booked the money.",
    Finding.UNMATCHED: "A match was taken back; the money waits for another.",
}


class NothingToMatch(Conflict):
    """The line has no money left that is not matched."""

    code = "nothing_to_match"

    def __init__(self) -> None:
        super().__init__("Everything that came with this line is matched or on its way back.")


class DoesNotMatch(Conflict):
    """The line cannot be for that reference; `finding` says why."""

    code = "does_not_match"

    def __init__(self, finding: Finding) -> None:
        super().__init__(REASONS.get(finding, "It does not fit."), finding=finding.value)


@dataclass(frozen=True, slots=True)
class DepositMatch:
    """How a receipt meets a deposit: `applied` minor units go to it, `excess` stay unapplied."""

    finding: Finding
    applied_minor: int
    excess_minor: int
    covers: bool


def match_deposit(
    received: Money, *, required: Money, held_minor: int, is_open: bool, tail_minor: int = 0
) -> DepositMatch:
    """Decide about money that came for a deposit: `received` above zero, `held_minor` is what earlier credits left.

    A deposit is covered when held ≥ required: one fen less covers nothing. What completes it may be more by the cent
    tail of its notice (`tail_minor`), which is held with it and goes where it goes. applied + excess = received.
    """
    if received.currency != required.currency:
        return DepositMatch(Finding.WRONG_CURRENCY, 0, received.minor, covers=False)
    if not is_open:
        return DepositMatch(Finding.REGISTRATION_CLOSED, 0, received.minor, covers=False)
    missing = max(required.minor - held_minor, 0)
    applied = min(missing + tail_minor, received.minor) if missing else 0
    excess = received.minor - applied
    if not missing:
        finding = Finding.DUPLICATE_PAYMENT
    elif excess:
        finding = Finding.OVERPAYMENT
    elif applied < missing:
        finding = Finding.PARTIAL
    else:
        finding = Finding.COMPLETES if held_minor else Finding.EXACT
    return DepositMatch(finding, applied, excess, covers=applied >= missing)


def match_order(paid: Money, *, ordered: Money, state: PaymentOrderState) -> Finding:
    """Decide about money that left with the reference of a payment order; `paid` above zero."""
    if paid.currency != ordered.currency:
        return Finding.WRONG_CURRENCY
    if paid != ordered:
        return Finding.ORDER_AMOUNT_DIFFERS
    if state is not PaymentOrderState.SENT:
        return Finding.ORDER_NOT_SENT
    return Finding.ORDER


def match_return(received: Money, *, ordered: Money, state: PaymentOrderState) -> Finding:
    """Decide about money that came back with the reference of a payment order; `received` above zero.

    Only the whole amount of an order that the bank had paid is that order returned; less is a person's decision.
    """
    if received != ordered or state is not PaymentOrderState.SETTLED:
        return Finding.PAYMENT_RETURNED
    return Finding.RETURNED


def choose_reference(references: Sequence[str], *, incoming: bool, known: Callable[[str], bool]) -> str | Finding:
    """Return the one reference that a line is about, or why there is none.

    Deposits and deals are paid to us, payment orders by us: among several references only those of the line's
    direction and those that name something count. An incoming line that names one order of ours and nothing else is
    that payment come back; which of several came back is a person's decision.
    """
    if not references:
        return Finding.NO_REFERENCE
    fitting = [reference for reference in references if (kind_of(reference) is ReferenceKind.PAYMENT_ORDER) != incoming]
    if not fitting:
        back = [reference for reference in references if incoming and known(reference)]
        if len(back) > 1:
            return Finding.PAYMENT_RETURNED
        return back[0] if back else Finding.UNKNOWN_REFERENCE
    named = [reference for reference in fitting if known(reference)]
    if len(named) > 1:
        return Finding.SEVERAL_REFERENCES
    return named[0] if named else Finding.UNKNOWN_REFERENCE

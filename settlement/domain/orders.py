"""Payment orders: what we ask the bank to pay, approved by two persons, confirmed by the bank's own line. Pure."""

import enum
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from marketplace.errors import Conflict, Refused
from marketplace.lifecycle import Lifecycle


class PaymentOrderState(enum.StrEnum):
    """Where a payment order stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    SENT = "sent"
    SETTLED = "settled"
    RETURNED = "returned"
    CANCELLED = "cancelled"


GONE: Final = frozenset({PaymentOrderState.CANCELLED, PaymentOrderState.RETURNED})
"""States of orders that paid nobody: their money is where it was before."""

PAYMENT_ORDER: Final = Lifecycle(
    "payment order",
    PaymentOrderState.PROPOSED,
    (
        (PaymentOrderState.PROPOSED, "approve", PaymentOrderState.APPROVED),
        (PaymentOrderState.APPROVED, "send", PaymentOrderState.SENT),
        (PaymentOrderState.SENT, "settle", PaymentOrderState.SETTLED),
        (PaymentOrderState.SETTLED, "return", PaymentOrderState.RETURNED),
        (PaymentOrderState.PROPOSED, "cancel", PaymentOrderState.CANCELLED),
        (PaymentOrderState.APPROVED, "cancel", PaymentOrderState.CANCELLED),
        (PaymentOrderState.SENT, "fail", PaymentOrderState.CANCELLED),
        (PaymentOrderState.SETTLED, "fail", PaymentOrderState.CANCELLED),
    ),
)


class PaymentPurpose(enum.StrEnum):
    """What a payment order is for."""

    DEPOSIT_REFUND = "deposit_refund"
    UNAPPLIED_REFUND = "unapplied_refund"
    PAYOUT = "payout"
    COMMISSION = "commission"
    TAX = "tax"
    OTHER = "other"


class Rail(enum.StrEnum):
    """By which way the money goes: back the way it came."""

    WIRE = "wire"
    STRIPE = "stripe"


class CarriedOutByWorker(Conflict):
    """Nobody sends a card refund by hand: approved, it is carried out through Stripe by itself."""

    code = "carried_out_by_worker"

    def __init__(self) -> None:
        super().__init__("An approved refund to a card is carried out by itself; there is nothing to send by hand.")


class SamePerson(Refused):
    """Whoever proposed a payment does not approve it."""

    code = "same_person"

    def __init__(self) -> None:
        super().__init__("A payment order is approved by another person than the one who proposed it.")


class PersonNeeded(Refused):
    """Approval is a person's, never a key's."""

    code = "person_needed"

    def __init__(self) -> None:
        super().__init__("A payment order is approved by a person who signed in, not by an API key.")


class NotReturned(Conflict):
    """Only what came back is paid again."""

    code = "not_returned"

    def __init__(self) -> None:
        super().__init__("Only a payment that the bank returned is proposed again.")


class PayeeAccountMissing(Conflict):
    """The bank cannot be told where to pay."""

    code = "payee_account_missing"

    def __init__(self, references: Sequence[str]) -> None:
        super().__init__(
            "There is no bank account, or no name, of the payee for: "
            + ", ".join(references)
            + ". Add it, then try again.",
            references=list(references),
        )


def check_approval(*, proposed_by_id: uuid.UUID | None, approver_id: uuid.UUID | None) -> None:
    """Four eyes: the approver is a person and not the proposer; None proposed means the clockwork did."""
    if approver_id is None:
        raise PersonNeeded
    if approver_id == proposed_by_id:
        raise SamePerson


def needs_two_approvals(amount_minor: int, *, limit_minor: int | None, proposed_by_id: uuid.UUID | None) -> bool:
    """Say whether an order needs two approvers: above the limit, when no person proposed it. Without a limit never."""
    return limit_minor is not None and amount_minor > limit_minor and proposed_by_id is None


@dataclass(frozen=True, slots=True)
class Payer:
    """The account that a payment came from: refunds go back there and nowhere else."""

    name: str
    account: str
    rail: Rail = Rail.WIRE


@dataclass(frozen=True, slots=True)
class Share:
    """Minor units that go back to one payer."""

    payer: Payer
    amount_minor: int


def refund_shares(paid: Sequence[Share], returned: Sequence[Share], *, held_minor: int) -> list[Share]:
    """Split what is held among those who paid it: each gets back what it paid and has not got back yet.

    `paid` in the order of receipt; what was applied meanwhile (paid − returned − held) is taken from the earliest
    receipts first. The shares add up to `held_minor`, each above zero, one for each payer, in order of first payment.
    """
    rest: dict[Payer, int] = {}
    for share in paid:
        rest[share.payer] = rest.get(share.payer, 0) + share.amount_minor
    for share in returned:
        rest[share.payer] = rest.get(share.payer, 0) - share.amount_minor
    used = sum(rest.values()) - held_minor
    if used < 0 or held_minor < 0:
        raise ValueError("more is held than was paid")
    shares = []
    for payer, amount in rest.items():
        taken = min(used, max(amount, 0))
        used -= taken
        if amount - taken > 0:
            shares.append(Share(payer, amount - taken))
    return shares

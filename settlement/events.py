"""The facts that settlement announces: of deals, each starting the next step in its own transaction; of payments."""

import uuid
from dataclasses import dataclass
from typing import ClassVar

from marketplace.outbox import Event


@dataclass(frozen=True, slots=True)
class DealOpened(Event):
    """An award became a deal: the winner's deposit is applied, the balance is invoiced."""

    name: ClassVar[str] = "deal.opened"
    deal_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class DealPaymentReceived(Event):
    """Money was counted toward the balance, under `payment_id`; `amount_minor` in minor units."""

    name: ClassVar[str] = "deal.payment_received"
    deal_id: uuid.UUID
    payment_id: uuid.UUID
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class DealPaymentTakenBack(Event):
    """What was counted toward the balance under `payment_id` does not count any more."""

    name: ClassVar[str] = "deal.payment_taken_back"
    deal_id: uuid.UUID
    payment_id: uuid.UUID
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class PartySigned(Event):
    """One side signed the contract; `party` is a `settlement.domain.deal.Party`."""

    name: ClassVar[str] = "deal.party_signed"
    deal_id: uuid.UUID
    party: str


@dataclass(frozen=True, slots=True)
class DealPaid(Event):
    """The whole balance was received."""

    name: ClassVar[str] = "deal.paid"
    deal_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class ContractSigned(Event):
    """Seller and buyer have both signed."""

    name: ClassVar[str] = "deal.contract_signed"
    deal_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class DealReady(Event):
    """Paid and signed: the price can be distributed."""

    name: ClassVar[str] = "deal.ready"
    deal_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class DistributionDue(Event):
    """A signed deal has money, or terms, by which some of its price may be distributed before the whole has come."""

    name: ClassVar[str] = "deal.distribution_due"
    deal_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class PaymentOrderFailed(Event):
    """Money that was sent did not arrive, or came back: it lies where it came from."""

    name: ClassVar[str] = "payment_order.failed"
    payment_order_id: uuid.UUID
    purpose: str


@dataclass(frozen=True, slots=True)
class CardPaymentReceived(Event):
    """A card payment brought money; `received_minor` in minor units."""

    name: ClassVar[str] = "card_payment.received"
    card_payment_id: uuid.UUID
    registration_id: uuid.UUID
    received_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class CardDisputeChanged(Event):
    """A card payment is contested, or the contest has ended; `state` as of `since`, an instant in RFC 3339."""

    name: ClassVar[str] = "card_dispute.changed"
    card_dispute_id: uuid.UUID
    registration_id: uuid.UUID
    state: str
    since: str


@dataclass(frozen=True, slots=True)
class DealCancelled(Event):
    """The award of the deal failed: every entry of the deal is taken back."""

    name: ClassVar[str] = "deal.cancelled"
    deal_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class DealDistributed(Event):
    """Entries, allocations and the proposed payout stand."""

    name: ClassVar[str] = "deal.distributed"
    deal_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class ProceedsRecorded(Event):
    """Every case of the deal shows its proceeds."""

    name: ClassVar[str] = "deal.proceeds_recorded"
    deal_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class DealSettled(Event):
    """The cases are the buyer's: the borrowers can be told (assignment notice, Civil Code 546)."""

    name: ClassVar[str] = "deal.settled"
    deal_id: uuid.UUID
    package_id: uuid.UUID
    buyer_organisation_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class PaymentOrderSettled(Event):
    """The bank's own line shows that an order was paid; `amount_minor` in minor units of `currency`."""

    name: ClassVar[str] = "payment_order.settled"
    payment_order_id: uuid.UUID
    purpose: str
    source_kind: str
    source_id: uuid.UUID
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class PaymentOrderReturned(Event):
    """The bank sent a payment back whole; what it was for is owed again."""

    name: ClassVar[str] = "payment_order.returned"
    payment_order_id: uuid.UUID
    purpose: str
    source_kind: str
    source_id: uuid.UUID
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class DepositReleaseOverdue(Event):
    """A deposit was not back with its payer by the deadline of its market."""

    name: ClassVar[str] = "deposit.release_overdue"
    registration_id: uuid.UUID
    amount_minor: int
    currency: str

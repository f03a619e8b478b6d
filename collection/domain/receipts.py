"""Payments on a case (回款): kinds, and how a repayment is applied to what is still owed."""

import enum
from dataclasses import dataclass
from datetime import date

from collection.domain.balances import CIVIL_CODE, Order, by_sets
from marketplace.errors import Conflict, Invalid
from marketplace.money import Money


class ReceiptKind(enum.StrEnum):
    """Where the money came from. A reversal takes a repayment back; nothing is ever changed or deleted."""

    REPAYMENT = "repayment"
    PROCEEDS = "proceeds"
    REVERSAL = "reversal"


class ReceiptOfTheFuture(Invalid):
    """Money cannot have come in on a day to come."""

    code = "receipt_of_the_future"

    def __init__(self, received_on: date) -> None:
        super().__init__(f"The day {received_on} is still to come.", found=received_on.isoformat())


class NotReversible(Conflict):
    """Only a repayment can be taken back."""

    code = "not_reversible"

    def __init__(self, kind: ReceiptKind) -> None:
        super().__init__(f"This receipt is of kind {kind.value}; only a repayment can be reversed.", found=kind.value)


class AlreadyReversed(Conflict):
    """The receipt was taken back before."""

    code = "already_reversed"

    def __init__(self) -> None:
        super().__init__("This receipt was reversed before.")


@dataclass(frozen=True, slots=True)
class Split:
    """How a receipt is applied, in minor units; the four parts add up to its amount."""

    other: int = 0
    interest: int = 0
    principal: int = 0
    excess: int = 0

    def reversed(self) -> "Split":
        """The parts with their signs turned."""
        return Split(-self.other, -self.interest, -self.principal, -self.excess)


def apply_repayment(amount: Money, *, owed: Split, order: Order = CIVIL_CODE) -> Split:
    """Apply a repayment to costs, interest, principal in an order, sets of it pro rata; the rest is excess.

    `owed` is what is still owed of each, in minor units of the same currency; a part overpaid before counts as nothing.
    """
    left = {"costs": max(0, owed.other), "interest": max(0, owed.interest), "principal": max(0, owed.principal)}
    parts = by_sets(amount.minor, left, order)
    return Split(parts["costs"], parts["interest"], parts["principal"], parts["excess"])

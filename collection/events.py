"""What collection announces."""

import uuid
from dataclasses import dataclass
from typing import ClassVar

from marketplace.outbox import Event


@dataclass(frozen=True, slots=True)
class RepaymentRecorded(Event):
    """A borrower paid on a case."""

    name: ClassVar[str] = "repayment.recorded"
    receipt_id: uuid.UUID
    case_id: uuid.UUID
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class RepaymentReversed(Event):
    """A repayment was taken back."""

    name: ClassVar[str] = "repayment.reversed"
    receipt_id: uuid.UUID
    case_id: uuid.UUID
    amount_minor: int
    currency: str

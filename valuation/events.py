"""What valuation announces."""

import uuid
from dataclasses import dataclass
from typing import ClassVar

from marketplace.outbox import Event


@dataclass(frozen=True, slots=True)
class AppraisalAccepted(Event):
    """The seller accepted an appraisal of its package."""

    name: ClassVar[str] = "appraisal.accepted"
    appraisal_id: uuid.UUID
    package_id: uuid.UUID
    value_minor: int
    currency: str

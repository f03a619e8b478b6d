"""The facts that parties announce: past tense, ids only."""

import uuid
from dataclasses import dataclass
from typing import ClassVar

from marketplace.outbox import Event


@dataclass(frozen=True, slots=True)
class AffiliatesChanged(Event):
    """An organisation named somebody who stands behind it."""

    name: ClassVar[str] = "organisation.affiliates_changed"
    organisation_id: uuid.UUID

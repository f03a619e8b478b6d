"""The facts that due diligence announces."""

import uuid
from dataclasses import dataclass
from typing import ClassVar

from marketplace.outbox import Event


@dataclass(frozen=True, slots=True)
class RoomOpened(Event):
    """Buyers can enter the room of a package, for the first time or again."""

    name: ClassVar[str] = "room.opened"
    room_id: uuid.UUID
    package_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class AgreementAccepted(Event):
    """An organisation accepted the agreement of a room."""

    name: ClassVar[str] = "agreement.accepted"
    room_id: uuid.UUID
    package_id: uuid.UUID
    organisation_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class AccessRevoked(Event):
    """The seller took an organisation's access to a room back."""

    name: ClassVar[str] = "access.revoked"
    room_id: uuid.UUID
    package_id: uuid.UUID
    organisation_id: uuid.UUID

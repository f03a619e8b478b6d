"""Rooms: making, opening, closing; the texts of their agreement."""

import uuid
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from due_diligence import access, events
from due_diligence.domain import rooms as rules
from due_diligence.domain.rooms import ROOM, RoomAccess
from due_diligence.models import AgreementVersion, Room
from marketplace import audit, db, outbox
from marketplace.actor import Actor
from marketplace.db import Page
from marketplace.errors import Conflict, NotFound
from marketplace.packages import service as packages
from marketplace.packages.service import PackageState


class RoomExists(Conflict):
    """A package has one room."""

    code = "room_exists"

    def __init__(self) -> None:
        super().__init__("The package has a room already.")


class PackageNotReady(Conflict):
    """Only a package whose figures are frozen and which is still for sale is shown to buyers."""

    code = "package_not_ready"

    def __init__(self, state: str) -> None:
        super().__init__(f"The package is {state}; its room opens when it is frozen or listed.", state=state)


db.violation("uq_rooms_package_id", RoomExists)


def create_room(session: Session, *, package_id: uuid.UUID, access: RoomAccess, actor: Actor, at: datetime) -> Room:
    """Make the room of one's own package; raise `NotFound`, `RoomExists`."""
    package = packages.require_package(session, package_id)
    if package.organisation_id != actor.organisation_id:
        raise NotFound("package", package_id)
    room = Room(
        package_id=package_id,
        organisation_id=actor.organisation_id,
        access=access,
        state=ROOM.initial,
        created_at=at,
    )
    session.add(room)
    session.flush()
    after = {"package_id": str(package_id), "access": access.value}
    audit.record(session, actor=actor, at=at, subject=room, verb="create", after=after)
    return room


def write_agreement(
    session: Session, *, room_id: uuid.UUID, text_zh: str, text_en: str, actor: Actor, at: datetime
) -> AgreementVersion:
    """Set the text of the agreement. A new text makes a new version, which everybody has to accept anew.

    The text that holds already changes nothing. Raises `NotFound`, `EmptyAgreement`.
    """
    room = access.own_room(session, room_id, actor=actor)
    sha256 = rules.agreement_hash(text_zh=text_zh, text_en=text_en)
    current = access.current_agreement(session, room.id)
    if current is not None and current.sha256 == sha256:
        return current
    count = session.scalar(select(func.count()).where(AgreementVersion.room_id == room.id)) or 0
    version = AgreementVersion(
        room_id=room.id, number=count + 1, text_zh=text_zh, text_en=text_en, sha256=sha256, created_at=at
    )
    session.add(version)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=version, verb="write", after={"sha256": sha256})
    return version


def move_room(session: Session, *, room_id: uuid.UUID, verb: str, reason: str, actor: Actor, at: datetime) -> Room:
    """Open, close or reopen a room; raise `NotFound`, `IllegalMove`, `AgreementMissing`, `PackageNotReady`.

    Closing works at once: links given out before open nothing any more.
    """
    room = access.own_room(session, room_id, actor=actor)
    target = ROOM.move(room.state, verb)
    if target is rules.RoomState.OPEN:
        if access.current_agreement(session, room.id) is None:
            raise rules.AgreementMissing
        package = packages.require_package(session, room.package_id)
        if package.state not in {PackageState.FROZEN, PackageState.LISTED}:
            raise PackageNotReady(package.state.value)
    audit.transition(session, room, verb, lifecycle=ROOM, actor=actor, at=at, reason=reason)
    if target is rules.RoomState.OPEN:
        outbox.publish(session, events.RoomOpened(room.id, room.package_id), at=at)
    session.flush()
    return room


def list_rooms(session: Session, *, actor: Actor, at: datetime, cursor: str | None, limit: int) -> Page[Room]:
    """Return the rooms that the actor may see, newest first: for a buyer those that it may enter now."""
    return db.page(
        session,
        access.visible_rooms(session, actor=actor, at=at),
        key_column=Room.id,
        cursor=cursor,
        limit=limit,
    )

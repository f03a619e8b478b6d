"""Who may enter a room and what an organisation promised: grants and the agreement.

Two questions stand behind every buyer's request and are asked anew each time: may this organisation enter, and has it
accepted the text that holds now?
"""

import uuid
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from due_diligence import events
from due_diligence.domain import rooms as rules
from due_diligence.domain.rooms import GRANT, Audience, GrantBasis, GrantState, RoomAccess, RoomState
from due_diligence.models import AgreementAcceptance, AgreementVersion, Grant, Room
from marketplace import audit, db, outbox
from marketplace.actor import Actor, OrganisationKind
from marketplace.db import Page
from marketplace.errors import Conflict, Invalid, NotFound
from marketplace.parties import service as parties
from marketplace.parties.domain import OrganisationState


class GrantedAlready(Conflict):
    """The organisation has access already."""

    code = "granted_already"

    def __init__(self) -> None:
        super().__init__("This organisation has access to the room already.")


class NotABuyer(Invalid):
    """Rooms are shown to buyers."""

    code = "not_a_buyer"

    def __init__(self) -> None:
        super().__init__("Access to a room is granted to organisations that buy.")


db.violation("uq_grants_live", GrantedAlready)


@dataclass(frozen=True, slots=True)
class Standing:
    """How an organisation stands to a room at an instant. `acceptance` is of the current agreement, under `grant`."""

    grant: Grant | None
    enters: bool
    agreement: AgreementVersion | None
    acceptance: AgreementAcceptance | None

    @property
    def in_force(self) -> bool:
        """Whether content may be given to the organisation, the room being open."""
        return self.enters and self.acceptance is not None

    @property
    def audiences(self) -> frozenset[Audience]:
        """The audiences to which it belongs."""
        return rules.audiences(self.grant.basis if self.grant is not None else None)


def standing(session: Session, room: Room, *, organisation_id: uuid.UUID, at: datetime) -> Standing:
    """Return how an organisation stands to a room, read afresh from the database."""
    grant = _latest_grant(session, room.id, organisation_id)
    enters = rules.may_enter(
        access=room.access,
        grant=(grant.state, grant.basis) if grant is not None else None,
        licensed=parties.licence_in_force(session, organisation_id, at=at),
    )
    active = parties.require_organisation(session, organisation_id).state is OrganisationState.ACTIVE
    agreement = current_agreement(session, room.id)
    acceptance = None
    if grant is not None and agreement is not None:
        acceptance = session.scalars(
            select(AgreementAcceptance).where(
                AgreementAcceptance.grant_id == grant.id, AgreementAcceptance.agreement_version_id == agreement.id
            )
        ).first()
    return Standing(grant, enters and active, agreement, acceptance)


def _latest_grant(session: Session, room_id: uuid.UUID, organisation_id: uuid.UUID) -> Grant | None:
    return session.scalars(
        select(Grant)
        .where(Grant.room_id == room_id, Grant.organisation_id == organisation_id)
        .order_by(Grant.id.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    ).first()


def current_agreement(session: Session, room_id: uuid.UUID) -> AgreementVersion | None:
    """Return the agreement that holds now, None when the room has none yet."""
    return session.scalars(
        select(AgreementVersion)
        .where(AgreementVersion.room_id == room_id)
        .order_by(AgreementVersion.number.desc())
        .limit(1)
    ).first()


def entered_room(
    session: Session, room_id: uuid.UUID, *, actor: Actor, at: datetime, for_update: bool = False
) -> tuple[Room, Standing]:
    """Return an open room that a buyer may enter, and how it stands to it; raise `NotFound` for everything else."""
    room = session.get(Room, room_id, with_for_update=for_update or None, populate_existing=True)
    if room is None or actor.organisation_kind is not OrganisationKind.BUYER or room.state is not RoomState.OPEN:
        raise NotFound("room", room_id)
    stands = standing(session, room, organisation_id=actor.organisation_id, at=at)
    if not stands.enters:
        raise NotFound("room", room_id)
    return room, stands


def visible_room(session: Session, room_id: uuid.UUID, *, actor: Actor, at: datetime) -> Room:
    """Return a room to its seller, operator, auditor, or a buyer who may enter; raise `NotFound` to others."""
    if actor.organisation_kind is OrganisationKind.BUYER:
        return entered_room(session, room_id, actor=actor, at=at)[0]
    room = session.get(Room, room_id)
    if room is None or not (actor.sees_everything or room.organisation_id == actor.organisation_id):
        raise NotFound("room", room_id)
    return room


def own_room(session: Session, room_id: uuid.UUID, *, actor: Actor) -> Room:
    """Return the actor's own room, locked; raise `NotFound`."""
    room = session.get(Room, room_id, with_for_update=True, populate_existing=True)
    if room is None or room.organisation_id != actor.organisation_id:
        raise NotFound("room", room_id)
    return room


def visible_rooms(session: Session, *, actor: Actor, at: datetime) -> Select[Any]:
    """Return the query of the rooms that the actor may see; the same rule as `visible_room`, as SQL."""
    query = select(Room)
    if actor.sees_everything:
        return query
    if actor.organisation_kind is not OrganisationKind.BUYER:
        return query.where(Room.organisation_id == actor.organisation_id)
    mine = and_(Grant.room_id == Room.id, Grant.organisation_id == actor.organisation_id)
    live = and_(mine, Grant.state == GrantState.LIVE)
    ways: list[ColumnElement[bool]] = [exists().where(live, Grant.basis == GrantBasis.INVITATION)]
    if parties.licence_in_force(session, actor.organisation_id, at=at):
        unbarred = or_(~exists().where(mine), exists().where(live))
        ways.append(and_(Room.access == RoomAccess.LICENSED_BUYERS, unbarred))
    return query.where(Room.state == RoomState.OPEN, or_(*ways))


def agreement_of(session: Session, room_id: uuid.UUID, *, actor: Actor, at: datetime) -> AgreementVersion:
    """Return the current agreement of a room that the actor may see; raise `NotFound`."""
    room = visible_room(session, room_id, actor=actor, at=at)
    agreement = current_agreement(session, room.id)
    if agreement is None:
        raise NotFound("agreement", room_id)
    return agreement


def accept_agreement(
    session: Session, *, room_id: uuid.UUID, sha256: str, actor: Actor, at: datetime
) -> AgreementAcceptance:
    """A person accepts the current agreement for its organisation; a second time returns the first acceptance.

    `sha256` is of the text that was read. Raises `NotFound`, `PersonNeeded`, `AgreementChanged`.
    """
    room, stands = entered_room(session, room_id, actor=actor, at=at, for_update=True)
    if actor.user_id is None:
        raise rules.PersonNeeded
    if stands.agreement is None:
        raise NotFound("agreement", room_id)
    if stands.agreement.sha256 != sha256:
        raise rules.AgreementChanged(stands.agreement.sha256)
    if stands.acceptance is not None:
        return stands.acceptance
    grant = stands.grant or _grant(session, room, actor.organisation_id, GrantBasis.LICENCE, actor=actor, at=at)
    acceptance = AgreementAcceptance(
        grant_id=grant.id,
        agreement_version_id=stands.agreement.id,
        sha256=sha256,
        organisation_id=actor.organisation_id,
        user_id=actor.user_id,
        user_name=actor.name,
        at=at,
    )
    session.add(acceptance)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=acceptance, verb="accept", after={"sha256": sha256})
    outbox.publish(session, events.AgreementAccepted(room.id, room.package_id, actor.organisation_id), at=at)
    return acceptance


def _grant(
    session: Session, room: Room, organisation_id: uuid.UUID, basis: GrantBasis, *, actor: Actor, at: datetime
) -> Grant:
    grant = Grant(room_id=room.id, organisation_id=organisation_id, basis=basis, state=GRANT.initial, created_at=at)
    session.add(grant)
    session.flush()
    audit.record(
        session,
        actor=actor,
        at=at,
        subject=grant,
        verb="grant",
        after={"organisation_id": str(organisation_id), "basis": basis.value},
    )
    return grant


def grant_access(
    session: Session, *, room_id: uuid.UUID, organisation_id: uuid.UUID, actor: Actor, at: datetime
) -> Grant:
    """Invite an organisation; raise `NotFound`, `NotABuyer`, `GrantedAlready` (invited already).

    An organisation that came by its licence becomes an invited one: its old grant ends, it accepts the agreement anew.
    """
    room = own_room(session, room_id, actor=actor)
    if parties.require_organisation(session, organisation_id).kind is not OrganisationKind.BUYER:
        raise NotABuyer
    present = _latest_grant(session, room.id, organisation_id)
    if present is not None and present.state is GrantState.LIVE:
        if present.basis is GrantBasis.INVITATION:
            raise GrantedAlready
        audit.transition(session, present, "revoke", lifecycle=GRANT, actor=actor, at=at, reason="invited instead")
        session.flush()
    return _grant(session, room, organisation_id, GrantBasis.INVITATION, actor=actor, at=at)


def revoke_access(session: Session, *, grant_id: uuid.UUID, reason: str, actor: Actor, at: datetime) -> Grant:
    """Take access back, at once: no link of the organisation opens from now on; raise `NotFound`, `IllegalMove`."""
    grant = session.get(Grant, grant_id)
    if grant is None:
        raise NotFound("grant", grant_id)
    room = session.get_one(Room, grant.room_id, with_for_update=True)
    if room.organisation_id != actor.organisation_id:
        raise NotFound("grant", grant_id)
    session.refresh(grant, with_for_update=True)
    audit.transition(session, grant, "revoke", lifecycle=GRANT, actor=actor, at=at, reason=reason)
    outbox.publish(session, events.AccessRevoked(room.id, room.package_id, grant.organisation_id), at=at)
    session.flush()
    return grant


def list_grants(
    session: Session, *, room_id: uuid.UUID, actor: Actor, at: datetime, cursor: str | None, limit: int
) -> Page[Grant]:
    """Return a room's grants, newest first, to its seller, operator and auditor; raise `NotFound`."""
    if actor.organisation_kind is OrganisationKind.BUYER:
        raise NotFound("room", room_id)
    room = visible_room(session, room_id, actor=actor, at=at)
    query = select(Grant).where(Grant.room_id == room.id)
    return db.page(session, query, key_column=Grant.id, cursor=cursor, limit=limit)


def room_of_package(session: Session, package_id: uuid.UUID) -> Room | None:
    """Return the room of a package, whoever asks; None when it has none."""
    return session.scalars(select(Room).where(Room.package_id == package_id)).first()


def agreement_in_force(session: Session, *, package_id: uuid.UUID, organisation_id: uuid.UUID, at: datetime) -> bool:
    """Whether an organisation has accepted the current agreement of a package's room and has not lost its access.

    It does not ask whether the room is open now: a promise outlives the visit.
    """
    room = room_of_package(session, package_id)
    return room is not None and standing(session, room, organisation_id=organisation_id, at=at).in_force


def agreements_in_force(day: ColumnElement[date]) -> Select[uuid.UUID, uuid.UUID]:
    """Query of (`package_id`, `organisation_id`) for which `agreement_in_force` holds on a day of the market's zone.

    For whoever asks about many at once; `rules.may_enter` is the rule, of two live grants there is never more than one.
    """
    newest = select(func.max(AgreementVersion.number)).where(AgreementVersion.room_id == Room.id)
    current = newest.correlate(Room).scalar_subquery()
    licences = parties.licences_in_force(day).subquery()
    licensed = exists().where(licences.c.organisation_id == Grant.organisation_id)
    return (
        select(Room.package_id, Grant.organisation_id)
        .join(Grant, and_(Grant.room_id == Room.id, Grant.state == GrantState.LIVE))
        .join(AgreementVersion, and_(AgreementVersion.room_id == Room.id, AgreementVersion.number == current))
        .join(
            AgreementAcceptance,
            and_(
                AgreementAcceptance.grant_id == Grant.id,
                AgreementAcceptance.agreement_version_id == AgreementVersion.id,
            ),
        )
        .where(
            or_(
                Grant.basis == GrantBasis.INVITATION,
                and_(Room.access == RoomAccess.LICENSED_BUYERS, licensed),
            )
        )
    )

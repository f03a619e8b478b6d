"""Licences: submitting, deciding, and whether one is in force on a day."""

import uuid
from datetime import date, datetime

from sqlalchemy import ColumnElement, Select, literal, or_, select
from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.clock import local_date
from marketplace.db import Page
from marketplace.errors import Conflict, NotFound
from marketplace.parties import domain, organisations
from marketplace.parties.models import Licence, Organisation


class LicenceKnown(Conflict):
    """The organisation has submitted this licence already, and it is still waiting or approved."""

    code = "licence_known"

    def __init__(self) -> None:
        super().__init__("This licence number of this kind is submitted or approved already.")


db.violation("uq_licences_live", LicenceKnown)


def submit_licence(
    session: Session,
    *,
    organisation_id: uuid.UUID,
    kind: domain.LicenceKind,
    number: str,
    issuer: str,
    valid_from_on: date,
    valid_until_on: date | None,
    actor: Actor,
    at: datetime,
) -> Licence:
    """Put a licence before the operator. Raises what `domain.check_licence` raises, `NotFound`, `LicenceKnown`."""
    organisation = organisations.visible_organisation(session, organisation_id, actor=actor)
    if not domain.manages(actor, organisation_id=organisation_id):
        raise domain.ManagerNeeded
    domain.check_licence(
        kind=kind,
        organisation_kind=organisation.kind,
        province=organisation.province,
        valid_from_on=valid_from_on,
        valid_until_on=valid_until_on,
    )
    licence = Licence(
        organisation_id=organisation_id,
        kind=kind,
        state=domain.LICENCE.initial,
        number=number,
        issuer=issuer,
        valid_from_on=valid_from_on,
        valid_until_on=valid_until_on,
        created_at=at,
    )
    session.add(licence)
    session.flush()
    audit.record(
        session,
        actor=actor,
        at=at,
        subject=licence,
        verb="submit",
        after={"kind": kind.value, "number": number, "state": licence.state.value},
    )
    return licence


def decide_licence(
    session: Session, *, licence_id: uuid.UUID, verb: str, reason: str = "", actor: Actor, at: datetime
) -> Licence:
    """Approve, reject or revoke a licence; raise `NotFound`, `IllegalMove`."""
    licence = session.get(Licence, licence_id, with_for_update=True)
    if licence is None or not (actor.sees_everything or licence.organisation_id == actor.organisation_id):
        raise NotFound("licence", licence_id)
    audit.transition(session, licence, verb, lifecycle=domain.LICENCE, actor=actor, at=at, reason=reason)
    return licence


def list_licences(
    session: Session, *, organisation_id: uuid.UUID, cursor: str | None, limit: int, actor: Actor
) -> Page[Licence]:
    """Return the licences of an organisation that the actor sees; raise `NotFound`."""
    organisations.visible_organisation(session, organisation_id, actor=actor)
    query = select(Licence).where(Licence.organisation_id == organisation_id)
    return db.page(session, query, key_column=Licence.id, cursor=cursor, limit=limit)


def licences_in_force(day: ColumnElement[date]) -> Select[uuid.UUID, domain.LicenceKind]:
    """Query of (`organisation_id`, `kind`): approved licences of active organisations that hold on a day.

    `day` is a day of the market's zone, as a value of SQL. The rule is that of `domain.holds_on`.
    """
    return (
        select(Licence.organisation_id, Licence.kind)
        .join(Organisation, Organisation.id == Licence.organisation_id)
        .where(
            Organisation.state == domain.OrganisationState.ACTIVE,
            Licence.state == domain.LicenceState.APPROVED,
            Licence.valid_from_on <= day,
            or_(Licence.valid_until_on.is_(None), Licence.valid_until_on > day),
        )
    )


def market_day(at: datetime) -> date:
    """Return the day of `at` in the market's zone, on which licences are counted."""
    return local_date(at, domain.MARKET_ZONE)


def licence_in_force(session: Session, organisation_id: uuid.UUID, *, at: datetime) -> bool:
    """Whether the organisation is active with an approved licence that holds on the day of `at` (market's zone)."""
    query = licences_in_force(literal(market_day(at))).where(Licence.organisation_id == organisation_id)
    return session.execute(query.limit(1)).first() is not None

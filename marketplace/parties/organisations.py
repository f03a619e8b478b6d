"""Organisations: applying, approving, suspending; who may see and who may manage one."""

import uuid
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import Actor, OrganisationKind
from marketplace.db import Page
from marketplace.errors import Conflict, NotFound
from marketplace.parties import domain
from marketplace.parties.models import Organisation, User, UserSession


class OrganisationKnown(Conflict):
    """An organisation with this official number exists."""

    code = "organisation_known"

    def __init__(self) -> None:
        super().__init__("An organisation with this unified social credit code or LEI exists already.")


class OperatorExists(Conflict):
    """A market has one operator."""

    code = "operator_exists"

    def __init__(self) -> None:
        super().__init__("The market has its operator already.")


db.violation("uq_organisations_uscc", OrganisationKnown)
db.violation("uq_organisations_lei", OrganisationKnown)
db.violation("uq_organisations_operator", OperatorExists)


def create_organisation(
    session: Session,
    *,
    name: str,
    kind: OrganisationKind,
    country: str,
    uscc: str | None = None,
    lei: str | None = None,
    province: str | None = None,
    actor: Actor,
    at: datetime,
) -> Organisation:
    """Take in an application to take part; the organisation has no access before it is approved.

    Raises what `domain.register` raises, `OrganisationKnown`, `OperatorExists`.
    """
    registration = domain.register(
        country=country, uscc=uscc, lei=lei, province=province, numbered=kind is not OrganisationKind.OPERATOR
    )
    organisation = Organisation(
        name=name,
        kind=kind,
        state=domain.ORGANISATION.initial,
        country=registration.country,
        uscc=registration.uscc,
        lei=registration.lei,
        province=registration.province,
        created_at=at,
    )
    session.add(organisation)
    session.flush()
    audit.record(
        session,
        actor=actor,
        at=at,
        subject=organisation,
        verb="create",
        after={"name": name, "kind": kind.value, "state": organisation.state.value, "uscc": organisation.uscc},
    )
    return organisation


def decide_organisation(
    session: Session, *, organisation_id: uuid.UUID, verb: str, reason: str = "", actor: Actor, at: datetime
) -> Organisation:
    """Approve, reject, suspend or reinstate an organisation.

    Suspending ends the sessions of all its users and, for as long as it lasts, the power of its keys.
    Raises `NotFound`, `IllegalMove`, `OperatorStays`.
    """
    organisation = visible_organisation(session, organisation_id, actor=actor, for_update=True)
    if verb == "suspend":
        if organisation.kind is OrganisationKind.OPERATOR:
            raise domain.OperatorStays
        _end_sessions(session, organisation_id, at=at)
    audit.transition(session, organisation, verb, lifecycle=domain.ORGANISATION, actor=actor, at=at, reason=reason)
    return organisation


def _end_sessions(session: Session, organisation_id: uuid.UUID, *, at: datetime) -> None:
    users = select(User.id).where(User.organisation_id == organisation_id)
    session.execute(
        update(UserSession)
        .where(UserSession.user_id.in_(users), UserSession.ended_at.is_(None))
        .values(ended_at=at)
        .execution_options(synchronize_session=False)
    )


def list_organisations(session: Session, *, cursor: str | None, limit: int, actor: Actor) -> Page[Organisation]:
    """Return the organisations that the actor sees: all for operator and auditor, else its own."""
    query = select(Organisation)
    if not actor.sees_everything:
        query = query.where(Organisation.id == actor.organisation_id)
    return db.page(session, query, key_column=Organisation.id, cursor=cursor, limit=limit)


def visible_organisation(
    session: Session, organisation_id: uuid.UUID, *, actor: Actor, for_update: bool = False
) -> Organisation:
    """Return an organisation that the actor may see; raise `NotFound`."""
    if not (actor.sees_everything or actor.organisation_id == organisation_id):
        raise NotFound("organisation", organisation_id)
    return require_organisation(session, organisation_id, for_update=for_update)


def managed_organisation(session: Session, organisation_id: uuid.UUID, *, actor: Actor) -> Organisation:
    """Return an organisation that the actor, a person, manages; raise `NotFound`, `ManagerNeeded`, `PersonNeeded`."""
    organisation = visible_organisation(session, organisation_id, actor=actor)
    if not domain.manages(actor, organisation_id=organisation_id):
        raise domain.ManagerNeeded
    if actor.user_id is None:
        raise domain.PersonNeeded
    return organisation


def require_organisation(session: Session, organisation_id: uuid.UUID, *, for_update: bool = False) -> Organisation:
    """Return an organisation, whoever asks; raise `NotFound`. For services that answer for visibility themselves."""
    organisation = session.get(Organisation, organisation_id, with_for_update=for_update or None)
    if organisation is None:
        raise NotFound("organisation", organisation_id)
    return organisation


def operator_exists(session: Session) -> bool:
    """Whether the market has its operator."""
    return session.scalar(select(Organisation.id).where(Organisation.kind == OrganisationKind.OPERATOR)) is not None


def organisation_names(session: Session, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Return the names of organisations by id; unknown ids are left out."""
    rows = session.execute(select(Organisation.id, Organisation.name).where(Organisation.id.in_(set(ids))))
    return {row.id: row.name for row in rows}

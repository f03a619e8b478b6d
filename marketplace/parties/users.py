"""Users of an organisation: creating, disabling, enabling; and the market's first operator."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import SYSTEM, Actor, OrganisationKind, Role
from marketplace.db import Page
from marketplace.errors import Conflict, NotFound
from marketplace.parties import domain, models, organisations, passwords
from marketplace.parties.domain import credentials
from marketplace.parties.models import User, UserSession

FIRST_OPERATOR: Final = "Marketplace operator"


class LoginTaken(Conflict):
    """Somebody has this login."""

    code = "login_taken"

    def __init__(self) -> None:
        super().__init__("This login is taken; choose another.")


db.violation("uq_users_login", LoginTaken)


def create_user(
    session: Session,
    *,
    organisation_id: uuid.UUID,
    login: str,
    name: str,
    roles: Iterable[Role],
    password: str,
    actor: Actor,
    at: datetime,
) -> User:
    """Add a user to an organisation that the actor manages.

    Raises `NotFound`, `ManagerNeeded`, `PersonNeeded`, `RolesDoNotFit`, `InvalidLogin`, `WeakPassword`, `LoginTaken`.
    """
    organisation = organisations.managed_organisation(session, organisation_id, actor=actor)
    chosen = domain.check_roles(roles, organisation_kind=organisation.kind)
    return _add(session, organisation_id, login=login, name=name, roles=chosen, password=password, actor=actor, at=at)


def create_first_operator(
    session: Session,
    *,
    login: str,
    password: str,
    name: str,
    organisation_name: str = FIRST_OPERATOR,
    at: datetime,
) -> User:
    """Create the operator's organisation, active, and its first admin called `name`.

    For the one who installs the product; raises `OperatorExists` the second time, `InvalidLogin`, `WeakPassword`.
    """
    organisation = organisations.create_organisation(
        session, name=organisation_name, kind=OrganisationKind.OPERATOR, country="CN", actor=SYSTEM, at=at
    )
    audit.transition(session, organisation, "approve", lifecycle=domain.ORGANISATION, actor=SYSTEM, at=at)
    roles = frozenset({Role.OPERATOR_ADMIN})
    return _add(session, organisation.id, login=login, name=name, roles=roles, password=password, actor=SYSTEM, at=at)


def _add(
    session: Session,
    organisation_id: uuid.UUID,
    *,
    login: str,
    name: str,
    roles: frozenset[Role],
    password: str,
    actor: Actor,
    at: datetime,
) -> User:
    normal = credentials.normal_login(login)
    user = User(
        organisation_id=organisation_id,
        login=normal,
        name=name,
        state=domain.USER.initial,
        roles=models.values(roles),
        password_hash=passwords.hash_new(password, login=normal),
        created_at=at,
    )
    session.add(user)
    session.flush()
    after = {"login": normal, "roles": user.roles, "state": user.state.value}
    audit.record(session, actor=actor, at=at, subject=user, verb="create", after=after)
    return user


def disable_user(session: Session, *, user_id: uuid.UUID, reason: str, actor: Actor, at: datetime) -> User:
    """End a user's access at once; raise `NotFound`, `IllegalMove`, `CannotDisableYourself`, and as `create_user`."""
    user = _managed_user(session, user_id, actor=actor)
    if user.id == actor.user_id:
        raise domain.CannotDisableYourself
    audit.transition(session, user, "disable", lifecycle=domain.USER, actor=actor, at=at, reason=reason)
    session.execute(
        update(UserSession)
        .where(UserSession.user_id == user.id, UserSession.ended_at.is_(None))
        .values(ended_at=at)
        .execution_options(synchronize_session=False)
    )
    return user


def enable_user(session: Session, *, user_id: uuid.UUID, actor: Actor, at: datetime) -> User:
    """Let a disabled user sign in again; its old sessions stay ended. Raises as `disable_user`."""
    user = _managed_user(session, user_id, actor=actor)
    audit.transition(session, user, "enable", lifecycle=domain.USER, actor=actor, at=at)
    return user


def _managed_user(session: Session, user_id: uuid.UUID, *, actor: Actor) -> User:
    user = session.get(User, user_id, with_for_update=True)
    if user is None or not (actor.sees_everything or user.organisation_id == actor.organisation_id):
        raise NotFound("user", user_id)
    organisations.managed_organisation(session, user.organisation_id, actor=actor)
    return user


def list_users(
    session: Session, *, organisation_id: uuid.UUID, cursor: str | None, limit: int, actor: Actor
) -> Page[User]:
    """Return the users of an organisation that the actor sees; raise `NotFound`."""
    organisations.visible_organisation(session, organisation_id, actor=actor)
    query = select(User).where(User.organisation_id == organisation_id)
    return db.page(session, query, key_column=User.id, cursor=cursor, limit=limit)


def find_user(session: Session, user_id: uuid.UUID, *, organisation_id: uuid.UUID) -> User | None:
    """Return an active user of an organisation, None when there is none. No visibility check."""
    query = select(User).where(User.organisation_id == organisation_id, User.state == domain.UserState.ACTIVE)
    return session.scalars(query.where(User.id == user_id)).one_or_none()


def may_sign_in(session: Session, user_id: uuid.UUID) -> bool:
    """Whether a user is enabled in an active organisation. For what acts on a person's behalf without a session."""
    query = (
        select(User.id)
        .join(models.Organisation, models.Organisation.id == User.organisation_id)
        .where(
            User.id == user_id,
            User.state == domain.UserState.ACTIVE,
            models.Organisation.state == domain.OrganisationState.ACTIVE,
        )
    )
    return session.scalar(query) is not None

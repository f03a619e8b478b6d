"""Signing in and out, one's own password, and the question of every request: who holds this token now?

Wrong passwords are counted in PostgreSQL, because several processes answer and the broker may be away. A failure that
must be counted is *returned*, not raised: raising would roll the count back with the request.
"""

import functools
import secrets
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import LargeBinary, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from marketplace import audit, direct
from marketplace.actor import Actor, OrganisationKind, Role, Scope
from marketplace.crypto import token_hash
from marketplace.errors import NotFound
from marketplace.parties import domain, passwords
from marketplace.parties.domain import credentials
from marketplace.parties.domain.credentials import SignInFailed, SignInLimits
from marketplace.parties.models import ApiKey, Organisation, SignInFailure, User, UserSession

KEPT: Final = timedelta(days=30)
"""How long ended sessions and counted failures are kept."""

_LIMITS: Final = SignInLimits()


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session: its token, which is not kept in clear, its end, and who holds it."""

    token: str
    expires_at: datetime
    actor: Actor


def sign_in(
    session: Session, *, login: str, password: str, address: str, at: datetime, limits: SignInLimits = _LIMITS
) -> SignedIn | SignInFailed:
    """Open a session of 12 hours for whoever knows the password; answer `SignInFailed` after counting the failure.

    An unknown login, a wrong password and ended access take the same work and read alike. `address` is the caller's
    network address. Raises `TooManySignIns` without looking at the password.
    """
    normal = login.strip().lower()
    login_hash = _admit_attempt(session, login=normal, address=address, at=at, limits=limits)
    user = session.scalars(select(User).where(User.login == normal).with_for_update()).one_or_none()
    right = passwords.fits(user.password_hash if user else None, password)
    organisation = session.get(Organisation, user.organisation_id) if user else None
    if user is None or organisation is None or not right or not _has_access(user, organisation):
        session.add(SignInFailure(at=at, login_hash=login_hash, address=address))
        return SignInFailed()
    if passwords.is_outdated(user.password_hash):
        user.password_hash = passwords.hash_again(password)
    token = credentials.session_token(secrets.token_bytes(credentials.TOKEN_BYTES))
    expires_at = at + credentials.SESSION_LIFETIME
    session.add(UserSession(user_id=user.id, token_hash=token_hash(token), created_at=at, expires_at=expires_at))
    actor = _person(organisation, user)
    audit.record(session, actor=actor, at=at, subject=user, verb="sign_in")
    return SignedIn(token, expires_at, actor)


def _admit_attempt(session: Session, *, login: str, address: str, at: datetime, limits: SignInLimits) -> bytes:
    """Take the login's turn (attempts on one login wait for each other), check the counts, return the login's hash."""
    login_hash = token_hash(login)
    turn = int.from_bytes(login_hash[:8], signed=True)
    session.execute(select(func.pg_advisory_xact_lock(turn)))
    recent = SignInFailure.at > at - limits.window
    of_login = select(func.count()).where(recent, SignInFailure.login_hash == login_hash)
    of_address = select(func.count()).where(recent, SignInFailure.address == address)
    credentials.check_attempts(
        limits,
        login_and_address=session.scalar(of_login.where(SignInFailure.address == address)) or 0,
        login=session.scalar(of_login) or 0,
        address=session.scalar(of_address) or 0,
    )
    return login_hash


def _has_access(user: User, organisation: Organisation) -> bool:
    return user.state is domain.UserState.ACTIVE and organisation.state is domain.OrganisationState.ACTIVE


def _person(organisation: Organisation, user: User) -> Actor:
    return Actor(
        organisation_id=organisation.id,
        organisation_kind=organisation.kind,
        roles=frozenset(Role(role) for role in user.roles),
        name=user.name,
        user_id=user.id,
    )


def sign_out(session: Session, *, token: str, actor: Actor, at: datetime) -> None:
    """End the session that the token opened; raise `NotFound` for an API key, which has none."""
    row = session.scalars(
        select(UserSession).where(UserSession.token_hash == token_hash(token)).with_for_update()
    ).one_or_none()
    if row is None or row.user_id != actor.user_id:
        raise NotFound("session", "current")
    row.ended_at = at
    audit.record(session, actor=actor, at=at, subject=row, verb="sign_out")


def change_password(
    session: Session,
    *,
    current_password: str,
    new_password: str,
    token: str,
    address: str,
    actor: Actor,
    at: datetime,
    limits: SignInLimits = _LIMITS,
) -> SignInFailed | None:
    """Set one's own password and end one's other sessions; answer `SignInFailed` after counting a wrong current one.

    `token` is the session that stays. Raises `PersonNeeded` for an API key, `WeakPassword`, `TooManySignIns`.
    """
    user = session.get(User, actor.user_id, with_for_update=True) if actor.user_id else None
    if user is None:
        raise domain.PersonNeeded
    login_hash = _admit_attempt(session, login=user.login, address=address, at=at, limits=limits)
    if not passwords.fits(user.password_hash, current_password):
        session.add(SignInFailure(at=at, login_hash=login_hash, address=address))
        return SignInFailed()
    user.password_hash = passwords.hash_new(new_password, login=user.login)
    session.execute(
        update(UserSession)
        .where(
            UserSession.user_id == user.id,
            UserSession.ended_at.is_(None),
            UserSession.token_hash != token_hash(token),
        )
        .values(ended_at=at)
        .execution_options(synchronize_session=False)
    )
    audit.record(session, actor=actor, at=at, subject=user, verb="change_password")
    return None


_ORGANISATION: Final = (Organisation.id.label("organisation_id"), Organisation.kind)
_ACTIVE: Final = Organisation.state == domain.OrganisationState.ACTIVE

_BY_SESSION: Final = direct.Plain(
    select(*_ORGANISATION, UserSession.token_hash, User.id.label("user_id"), User.name, User.roles)
    .select_from(UserSession)
    .join(User, User.id == UserSession.user_id)
    .join(Organisation, Organisation.id == User.organisation_id)
    .where(
        UserSession.token_hash == func.any(bindparam("hashes", type_=ARRAY(LargeBinary()))),
        UserSession.expires_at > bindparam("at"),
        UserSession.ended_at.is_(None),
        User.state == domain.UserState.ACTIVE,
        _ACTIVE,
    )
)

_BY_KEY: Final = direct.Plain(
    select(*_ORGANISATION, ApiKey.secret_hash, ApiKey.id.label("api_key_id"), ApiKey.name, ApiKey.roles, ApiKey.scopes)
    .select_from(ApiKey)
    .join(Organisation, Organisation.id == ApiKey.organisation_id)
    .where(
        ApiKey.secret_hash == func.any(bindparam("hashes", type_=ARRAY(LargeBinary()))),
        ApiKey.expires_at > bindparam("at"),
        ApiKey.revoked_at.is_(None),
        _ACTIVE,
    )
)


def authenticate(session: Session, token: str, *, at: datetime) -> Actor | None:
    """Return who holds a session token or API key at this instant, None when nobody does; one query by a unique index.

    Asked on every request, so ending a session, revoking a key, disabling a user or suspending an organisation works
    from the next request on.
    """
    return authenticate_all(session, [token], at=at).get(token)


@dataclass(frozen=True, slots=True)
class Holders:
    """Who holds tokens, asked and not yet waited for; `people` and `keys` are the tokens by their hash."""

    people: Mapping[bytes, str]
    keys: Mapping[bytes, str]
    by_session: direct.Asked | None
    by_key: direct.Asked | None

    def found(self) -> dict[str, Actor]:
        """Return who holds which token, without those that nobody holds."""
        found = {}
        for person in () if self.by_session is None else self.by_session.rows():
            found[self.people[person.token_hash]] = _actor(*_who(person), user_id=person.user_id)
        for held in () if self.by_key is None else self.by_key.rows():
            scopes = tuple(held.scopes)
            found[self.keys[held.secret_hash]] = _actor(*_who(held), api_key_id=held.api_key_id, scopes=scopes)
        return found


def ask_holders(session: Session, tokens: Collection[str], *, at: datetime) -> Holders:
    """Ask who holds these tokens at this instant: one query for each kind."""
    people = {token_hash(token): token for token in tokens if credentials.is_session_token(token)}
    keys = {token_hash(token): token for token in tokens if credentials.is_api_key(token)}
    by_session = _BY_SESSION.ask(session, hashes=direct.array(people), at=at) if people else None
    by_key = _BY_KEY.ask(session, hashes=direct.array(keys), at=at) if keys else None
    return Holders(people, keys, by_session, by_key)


def authenticate_all(session: Session, tokens: Collection[str], *, at: datetime) -> dict[str, Actor]:
    """Return who holds these tokens at this instant, without those that nobody holds."""
    return ask_holders(session, tokens, at=at).found()


def _who(row: Any) -> tuple[uuid.UUID, str, tuple[str, ...], str]:
    return row.organisation_id, row.kind, tuple(row.roles), row.name


@functools.lru_cache(maxsize=4096)
def _actor(
    organisation_id: uuid.UUID,
    kind: str,
    roles: tuple[str, ...],
    name: str,
    *,
    user_id: uuid.UUID | None = None,
    api_key_id: uuid.UUID | None = None,
    scopes: tuple[str, ...] | None = None,
) -> Actor:
    """Return the actor of what was read; the same one for the same values, as the same people ask again and again."""
    return Actor(
        organisation_id=organisation_id,
        organisation_kind=OrganisationKind(kind),
        roles=frozenset(Role(role) for role in roles),
        name=name,
        user_id=user_id,
        api_key_id=api_key_id,
        scopes=frozenset(Scope) if scopes is None else frozenset(Scope(scope) for scope in scopes),
    )


def forget(session: Session, at: datetime) -> None:
    """Drop sessions that ended, and failures that were counted, more than 30 days ago."""
    session.execute(delete(UserSession).where(UserSession.expires_at < at - KEPT))
    session.execute(delete(SignInFailure).where(SignInFailure.at < at - KEPT))

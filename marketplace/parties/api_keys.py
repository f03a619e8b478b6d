"""API keys: made by people, shown once, good until they expire or are revoked."""

import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import Actor, Role, Scope
from marketplace.crypto import token_hash
from marketplace.db import Page
from marketplace.errors import NotFound
from marketplace.parties import domain, models, organisations
from marketplace.parties.domain import credentials
from marketplace.parties.models import ApiKey


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key with its secret, which is not kept and cannot be shown again."""

    key: ApiKey
    secret: str


def issue_key(
    session: Session,
    *,
    organisation_id: uuid.UUID,
    name: str,
    roles: Iterable[Role],
    scopes: Iterable[Scope],
    expires_at: datetime,
    actor: Actor,
    at: datetime,
) -> IssuedKey:
    """Make a key for an organisation that the actor manages, with some of the roles of its kind.

    Raises `NotFound`, `ManagerNeeded`, `PersonNeeded`, `RolesDoNotFit`, `ScopesMissing`, `InvalidKeyLifetime`.
    """
    organisation = organisations.managed_organisation(session, organisation_id, actor=actor)
    assert actor.user_id is not None, "managed_organisation lets only people pass"
    prefix = secrets.token_bytes(credentials.PREFIX_BYTES)
    secret = credentials.api_key(prefix, secrets.token_bytes(credentials.TOKEN_BYTES))
    key = ApiKey(
        organisation_id=organisation_id,
        name=name,
        prefix=f"npl_{prefix.hex()}",
        secret_hash=token_hash(secret),
        roles=models.values(domain.check_roles(roles, organisation_kind=organisation.kind)),
        scopes=models.values(credentials.check_key(scopes=scopes, expires_at=expires_at, at=at)),
        created_by_user_id=actor.user_id,
        created_at=at,
        expires_at=expires_at,
    )
    session.add(key)
    session.flush()
    after = {"prefix": key.prefix, "roles": key.roles, "scopes": key.scopes}
    audit.record(session, actor=actor, at=at, subject=key, verb="create", after=after)
    return IssuedKey(key, secret)


def revoke_key(session: Session, *, api_key_id: uuid.UUID, actor: Actor, at: datetime) -> ApiKey:
    """End a key at once; a second time changes nothing. Raises `NotFound`, `ManagerNeeded`, `PersonNeeded`."""
    key = session.get(ApiKey, api_key_id, with_for_update=True)
    if key is None or not (actor.sees_everything or key.organisation_id == actor.organisation_id):
        raise NotFound("API key", api_key_id)
    organisations.managed_organisation(session, key.organisation_id, actor=actor)
    if key.revoked_at is None:
        key.revoked_at = at
        audit.record(session, actor=actor, at=at, subject=key, verb="revoke")
    return key


def list_keys(
    session: Session, *, organisation_id: uuid.UUID, cursor: str | None, limit: int, actor: Actor
) -> Page[ApiKey]:
    """Return the keys of an organisation that the actor sees, without secrets; raise `NotFound`."""
    organisations.visible_organisation(session, organisation_id, actor=actor)
    query = select(ApiKey).where(ApiKey.organisation_id == organisation_id)
    return db.page(session, query, key_column=ApiKey.id, cursor=cursor, limit=limit)

"""Affiliates: naming them, taking them off, and the fingerprints by which conflicts of interest are found.

Identity numbers are sealed and matched by a keyed hash; nobody reads them back through the product.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace import audit, db, outbox
from marketplace.actor import Actor, OrganisationKind
from marketplace.crypto import Vault
from marketplace.db import Page
from marketplace.errors import NotFound
from marketplace.parties import domain, organisations
from marketplace.parties.domain import affiliates as rules
from marketplace.parties.domain.affiliates import AffiliateKind
from marketplace.parties.events import AffiliatesChanged
from marketplace.parties.models import Affiliate, Organisation, User

db.violation("uq_affiliates_live", rules.AffiliateKnown)


@dataclass(frozen=True, slots=True)
class Identities:
    """Who organisations are and who stands behind them, as fingerprints of identity numbers and of names."""

    numbers: frozenset[bytes]
    names: frozenset[bytes]

    def joined(self, other: "Identities") -> "Identities":
        """Return both together."""
        return Identities(self.numbers | other.numbers, self.names | other.names)

    def meets(self, other: "Identities") -> bool | None:
        """Return True when an identity number is in both, False when a name only, None when nothing is."""
        if self.numbers & other.numbers:
            return True
        return False if self.names & other.names else None


def add_affiliate(
    session: Session,
    *,
    organisation_id: uuid.UUID,
    kind: AffiliateKind,
    name: str,
    identity_number: str | None,
    vault: Vault,
    actor: Actor,
    at: datetime,
) -> Affiliate:
    """Name an owner, officer or member of staff of an organisation that the actor looks after.

    Raises `NotFound`, `ManagerNeeded`, `IdentityNumberMissing`, `AffiliateKnown`, `TooManyAffiliates`.
    """
    organisations.visible_organisation(session, organisation_id, actor=actor)
    if not domain.manages(actor, organisation_id=organisation_id):
        raise domain.ManagerNeeded
    rules.check_affiliate(kind, identity_number)
    named = select(func.count()).where(Affiliate.organisation_id == organisation_id, Affiliate.removed_at.is_(None))
    if (session.scalar(named) or 0) >= rules.MAX_AFFILIATES:
        raise rules.TooManyAffiliates
    row = Affiliate(
        id=db.new_id(),
        organisation_id=organisation_id,
        kind=kind,
        name=name,
        name_fingerprint=vault.name_fingerprint(name),
        created_at=at,
    )
    if identity_number is not None:
        row.identity_sealed = vault.seal(identity_number, context=f"affiliates/{row.id}")
        row.fingerprint = vault.fingerprint(identity_number)
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="create", after={"kind": kind.value, "name": name})
    outbox.publish(session, AffiliatesChanged(organisation_id), at=at)
    return row


def remove_affiliate(
    session: Session, *, affiliate_id: uuid.UUID, reason: str, actor: Actor, at: datetime
) -> Affiliate:
    """Take an affiliate off, with a reason; the row stays, and what was found by it. A second time changes nothing.

    For the operator: an organisation cannot shed an owner before it bids. Raises `NotFound`.
    """
    row = session.get(Affiliate, affiliate_id, with_for_update=True)
    if row is None or not actor.sees_everything:
        raise NotFound("affiliate", affiliate_id)
    if row.removed_at is None:
        row.removed_at = at
        session.flush()
        audit.record(session, actor=actor, at=at, subject=row, verb="remove", reason=reason)
    return row


def list_affiliates(
    session: Session, *, organisation_id: uuid.UUID, cursor: str | None, limit: int, actor: Actor
) -> Page[Affiliate]:
    """Return the affiliates of an organisation that the actor sees, without identity numbers; raise `NotFound`."""
    organisations.visible_organisation(session, organisation_id, actor=actor)
    query = select(Affiliate).where(Affiliate.organisation_id == organisation_id)
    return db.page(session, query, key_column=Affiliate.id, cursor=cursor, limit=limit)


def identities_of(session: Session, organisation_ids: Collection[uuid.UUID], *, vault: Vault) -> Identities:
    """Return who these organisations are and who stands behind them: their numbers, affiliates and users.

    No visibility check: fingerprints answer only whether somebody is in two sets.
    """
    official = select(Organisation.name, Organisation.uscc).where(Organisation.id.in_(organisation_ids))
    rows = session.execute(official).all()
    behind = session.execute(
        select(Affiliate.fingerprint, Affiliate.name_fingerprint).where(
            Affiliate.organisation_id.in_(organisation_ids), Affiliate.removed_at.is_(None)
        )
    ).all()
    users = session.scalars(select(User.name).where(User.organisation_id.in_(organisation_ids))).all()
    numbers = {vault.fingerprint(row.uscc) for row in rows if row.uscc is not None}
    numbers |= {row.fingerprint for row in behind if row.fingerprint is not None}
    names = {vault.name_fingerprint(name) for name in (*(row.name for row in rows), *users)}
    return Identities(frozenset(numbers), frozenset(names | {row.name_fingerprint for row in behind}))


def related_organisations(session: Session, organisation_id: uuid.UUID, *, vault: Vault) -> frozenset[uuid.UUID]:
    """Return an organisation with those that share an owner or officer with it, own it or are owned by it.

    By official numbers, one step far; staff does not relate. No visibility check: for rules that bind them all.
    """
    controlling = (Affiliate.removed_at.is_(None), Affiliate.kind.in_((AffiliateKind.OWNER, AffiliateKind.OFFICER)))
    behind = select(Affiliate.fingerprint).where(*controlling, Affiliate.organisation_id == organisation_id)
    numbers = set(session.scalars(behind))
    official = select(Organisation.id, Organisation.uscc).where(Organisation.uscc.is_not(None))
    prints = {row.id: vault.fingerprint(row.uscc) for row in session.execute(official)}
    named = {one for one, number in prints.items() if number in numbers}
    own = {prints[organisation_id]} if organisation_id in prints else set()
    sharing = select(Affiliate.organisation_id).where(*controlling, Affiliate.fingerprint.in_(numbers | own))
    return frozenset({organisation_id, *named, *session.scalars(sharing)})


def operator_organisations(session: Session) -> list[uuid.UUID]:
    """Return the market's operator, as a list that is empty before it is founded."""
    return list(session.scalars(select(Organisation.id).where(Organisation.kind == OrganisationKind.OPERATOR)))

"""Conflicts of interest: found by matching, never by asking; certain ones refuse, namesakes go to compliance.

A bidder, its owners, officers and users are held against the borrowers and guarantors of the package, its appraisers,
the seller and the operator with those behind them. Matching is over keyed hashes: nobody learns who the debtor is.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions.award_models import InterestConflict
from auctions.domain.eligibility import CONFLICT, ConflictRule, ConflictState
from auctions.domain.lifecycles import ListingState, RegistrationState
from auctions.models import Listing, Registration
from marketplace import audit, db
from marketplace.actor import SYSTEM, Actor
from marketplace.crypto import Vault
from marketplace.db import Page
from marketplace.errors import Conflict, NotFound
from marketplace.packages import service as packages
from marketplace.parties import service as parties
from valuation import service as valuation


class ConflictFlagged(Conflict):
    """A namesake was found; compliance decides first whether it is the same person."""

    code = "conflict_flagged"

    def __init__(self, rules: Sequence[ConflictRule]) -> None:
        names = [rule.value for rule in rules]
        super().__init__("Decide on the flagged conflicts first: " + ", ".join(names) + ".", rules=names)


def find(
    session: Session, *, package_id: uuid.UUID, seller_id: uuid.UUID, bidder_id: uuid.UUID, vault: Vault
) -> Mapping[ConflictRule, bool]:
    """Return the rules that a bidder meets for a package: True by official number, False by a name only."""
    bidder = parties.identities_of(session, [bidder_id], vault=vault)
    firms, signers = valuation.appraisers_of(session, package_id)
    appraisers = parties.identities_of(session, firms, vault=vault)
    signed = parties.Identities(frozenset(), frozenset(vault.name_fingerprint(name) for name in signers))
    seller = parties.identities_of(session, [seller_id], vault=vault)
    operator = parties.identities_of(session, parties.operator_organisations(session), vault=vault)
    met = {
        ConflictRule.RELATED_TO_DEBTOR: packages.owes_in(
            session, package_id, fingerprints=bidder.numbers, names=bidder.names
        ),
        ConflictRule.RELATED_TO_APPRAISER: bidder.meets(appraisers.joined(signed)),
        ConflictRule.RELATED_TO_SELLER: bidder.meets(seller),
        ConflictRule.RELATED_TO_OPERATOR: bidder.meets(operator),
    }
    return {rule: certain for rule, certain in met.items() if certain is not None}


def keep(
    session: Session, registration: Registration, *, met: Mapping[ConflictRule, bool], actor: Actor, at: datetime
) -> None:
    """Write down matches that are not known yet: flagged for compliance, or upheld when they are certain."""
    query = select(InterestConflict).where(InterestConflict.registration_id == registration.id)
    known = {(row.rule, row.certain) for row in session.scalars(query)}
    for rule, certain in met.items():
        if (rule, certain) in known:
            continue
        row = InterestConflict(
            registration_id=registration.id,
            rule=rule,
            certain=certain,
            state=ConflictState.UPHELD if certain else CONFLICT.initial,
            found_at=at,
            decided_at=at if certain else None,
        )
        session.add(row)
        session.flush()
        after = {"rule": rule.value, "certain": certain, "state": row.state.value}
        audit.record(session, actor=actor, at=at, subject=row, verb="find", after=after)


def find_again(session: Session, *, organisation_id: uuid.UUID | None, vault: Vault, at: datetime) -> None:
    """Look again for conflicts that a change behind an organisation makes, in every listing that is published.

    The organisation may be a bidder, a seller, an appraiser or the operator: everybody registered is held against
    everybody anew. None: the change is not behind one organisation, all are held. What was decided stays decided.
    """
    query = (
        select(Registration, Listing)
        .join(Listing, Listing.id == Registration.listing_id)
        .where(
            Listing.state == ListingState.PUBLISHED,
            Registration.state.in_((RegistrationState.APPLIED, RegistrationState.APPROVED)),
        )
    )
    operators = parties.operator_organisations(session)
    for registration, listing in session.execute(query).all():
        firms, _ = valuation.appraisers_of(session, listing.package_id)
        concerned = {registration.organisation_id, listing.seller_organisation_id, *firms, *operators}
        if organisation_id is None or organisation_id in concerned:
            met = find(
                session,
                package_id=listing.package_id,
                seller_id=listing.seller_organisation_id,
                bidder_id=registration.organisation_id,
                vault=vault,
            )
            keep(session, registration, met=met, actor=SYSTEM, at=at)


def check_decided(session: Session, registration_id: uuid.UUID) -> None:
    """Raise `ConflictFlagged` while a match of a registration waits for compliance."""
    query = select(InterestConflict.rule).where(
        InterestConflict.registration_id == registration_id, InterestConflict.state == ConflictState.FLAGGED
    )
    flagged = session.scalars(query.order_by(InterestConflict.rule)).all()
    if flagged:
        raise ConflictFlagged(flagged)


def decide(
    session: Session, *, conflict_id: uuid.UUID, verb: str, reason: str, actor: Actor, at: datetime
) -> InterestConflict:
    """Clear or uphold a namesake, with a reason; raise `NotFound`, `IllegalMove`. An upheld one bars from the next bid.

    What was bid before stays until the bidder is voided.
    """
    row = session.get(InterestConflict, conflict_id, with_for_update=True, populate_existing=True)
    if row is None or not actor.sees_everything:
        raise NotFound("conflict", conflict_id)
    audit.transition(session, row, verb, lifecycle=CONFLICT, actor=actor, at=at, reason=reason)
    row.decided_at, row.reason = at, reason
    session.flush()
    return row


def list_conflicts(
    session: Session, *, state: ConflictState | None, cursor: str | None, limit: int
) -> Page[InterestConflict]:
    """Return a page of conflicts, newest first. For operator and auditor: the route admits nobody else."""
    query = select(InterestConflict)
    if state is not None:
        query = query.where(InterestConflict.state == state)
    return db.page(session, query, key_column=InterestConflict.id, cursor=cursor, limit=limit)

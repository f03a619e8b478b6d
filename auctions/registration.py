"""Registrations: a buyer's application to one listing, its decision, and whether its deposit is held.

Auctions never knows how money moves: settlement calls `cover_registration` when the ledger holds the full deposit.
"""

import secrets
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ARRAY, String, Uuid, any_, bindparam, select, update
from sqlalchemy.orm import Session

from auctions import conflicts, eligibility, events, listing
from auctions.domain import references
from auctions.domain.lifecycles import REGISTRATION, ListingState, RegistrationState
from auctions.listing_models import PriorityHolder
from auctions.models import Auction, Listing, Registration
from marketplace import audit, db, outbox
from marketplace.actor import Actor, OrganisationKind
from marketplace.clock import format_instant
from marketplace.crypto import Vault
from marketplace.db import Page
from marketplace.errors import Conflict, NotFound, Refused
from marketplace.packages import service as packages
from marketplace.parties import service as parties


class RegistrationClosed(Conflict):
    """The time for applications is over, or the listing is not published."""

    code = "registration_closed"

    def __init__(self) -> None:
        super().__init__("Registration for this listing is closed.")


class AlreadyRegistered(Conflict):
    """The organisation has applied to this listing already."""

    code = "already_registered"

    def __init__(self) -> None:
        super().__init__("Your organisation is registered for this listing already.")


class SellerMayNotBid(Refused):
    """The seller of a package may not bid for it."""

    code = "seller_may_not_bid"

    def __init__(self) -> None:
        super().__init__("The seller of a package may not bid for it.")


class Leading(Conflict):
    """Whoever leads a running auction stays in it, and so does its deposit."""

    code = "leading"

    def __init__(self) -> None:
        super().__init__("This bidder leads the running auction and cannot leave it now.")


db.violation("uq_registrations_organisation", AlreadyRegistered)


@dataclass(frozen=True, slots=True)
class RegistrationView:
    """A registration as one reader sees it: for the seller only the code, its state and whether it is covered."""

    row: Registration
    full: bool
    organisation_name: str | None


def register(
    session: Session,
    *,
    listing_id: uuid.UUID,
    undertakes_no_resale: bool,
    vault: Vault,
    actor: Actor,
    at: datetime,
) -> Registration:
    """Apply to bid for a published listing.

    Raises `NotFound`, `SellerMayNotBid`, `RegistrationClosed`, `LicenceNotInForce`, `AgreementNotInForce`,
    `NoResaleNotUndertaken`, `OutsideProvince`, `ConflictOfInterest`, `BarredAfterDefault`, `AlreadyRegistered`. A
    namesake among those whom a bidder must not be does not refuse: compliance decides before the approval.
    """
    row = listing.get_listing(session, listing_id, actor=actor)
    # locked against another registration drawing the same code
    session.refresh(row, with_for_update=True)
    _check_open(row, actor=actor, at=at)
    met = conflicts.find(
        session,
        package_id=row.package_id,
        seller_id=row.seller_organisation_id,
        bidder_id=actor.organisation_id,
        vault=vault,
    )
    registration = _new(session, row, undertakes_no_resale=undertakes_no_resale, actor=actor, at=at)
    session.add(registration)
    session.flush()
    conflicts.keep(session, registration, met=met, actor=actor, at=at)
    eligibility.check_applicant(session, registration.id, at=at)
    audit.record(
        session,
        actor=actor,
        at=at,
        subject=registration,
        verb="apply",
        after={
            "state": registration.state.value,
            "bidder_code": registration.bidder_code,
            "no_resale": registration.no_resale_at is not None,
        },
    )
    outbox.publish(session, events.RegistrationApplied(registration.id), at=at)
    return registration


def _check_open(row: Listing, *, actor: Actor, at: datetime) -> None:
    if row.seller_organisation_id == actor.organisation_id or actor.organisation_kind is not OrganisationKind.BUYER:
        raise SellerMayNotBid
    if (
        row.state is not ListingState.PUBLISHED
        or row.registration_closes_at is None
        or at >= row.registration_closes_at
    ):
        raise RegistrationClosed


def _new(session: Session, row: Listing, *, undertakes_no_resale: bool, actor: Actor, at: datetime) -> Registration:
    assert row.deposit_minor is not None
    province = parties.require_organisation(session, actor.organisation_id).province
    return Registration(
        listing_id=row.id,
        organisation_id=actor.organisation_id,
        state=REGISTRATION.initial,
        bidder_code=_bidder_code(session, row.id, actor.organisation_id),
        reference=_draw_reference(session),
        deposit_minor=row.deposit_minor,
        currency=row.currency,
        applied_at=at,
        no_resale_required=eligibility.preset_of(session, row).no_resale,
        no_resale_at=at if undertakes_no_resale else None,
        out_of_province=packages.has_companies_outside(session, row.package_id, province=province),
    )


def _bidder_code(session: Session, listing_id: uuid.UUID, organisation_id: uuid.UUID) -> str:
    """Return the code of a holder of a priority right, drawn with the rules, or draw one that nobody has."""
    holders = session.execute(
        select(PriorityHolder.organisation_id, PriorityHolder.bidder_code).where(
            PriorityHolder.listing_id == listing_id, PriorityHolder.bidder_code.is_not(None)
        )
    ).all()
    codes: dict[uuid.UUID, str] = {holder.organisation_id: holder.bidder_code for holder in holders}
    taken = {one.bidder_code for one in registrations_of(session, listing_id)}
    own = codes.get(organisation_id)
    return own if own is not None and own not in taken else _draw_code(taken | set(codes.values()))


def _draw_code(taken: set[str]) -> str:
    free = [number for number in references.BIDDER_CODES if references.bidder_code(number) not in taken]
    return references.bidder_code(secrets.choice(free))


def _draw_reference(session: Session) -> str:
    while True:
        reference = references.make_reference(secrets.randbelow(references.NUMBERS))
        if registration_by_reference(session, reference) is None:
            return reference


def decide_registration(
    session: Session, *, registration_id: uuid.UUID, verb: str, reason: str, actor: Actor, at: datetime
) -> Registration:
    """Approve or refuse an application; raise `NotFound`, `IllegalMove`, or `Leading` for the leader of an auction.

    Approving raises `ConflictFlagged` while a namesake waits for compliance.
    Without a deposit to be paid an approved registration is covered at once.
    """
    registration = _lock(session, registration_id)
    if registration is None or not actor.sees_everything:
        raise NotFound("registration", registration_id)
    if verb == "refuse":
        _check_not_leading(session, registration)
    else:
        conflicts.check_decided(session, registration.id)
    audit.transition(session, registration, verb, lifecycle=REGISTRATION, actor=actor, at=at, reason=reason)
    registration.decided_at = at
    if registration.state is not RegistrationState.APPROVED:
        outbox.publish(session, events.RegistrationRefused(registration.id), at=at)
    else:
        outbox.publish(session, events.RegistrationApproved(registration.id), at=at)
        if registration.deposit_minor == 0:
            registration.covered_at = at
            outbox.publish(session, events.RegistrationCovered(registration.id, format_instant(at)), at=at)
    session.flush()
    return registration


def withdraw_registration(
    session: Session, *, registration_id: uuid.UUID, reason: str, actor: Actor, at: datetime
) -> Registration:
    """Leave a listing; raise `NotFound`, `IllegalMove`, or `Leading` for the leader of a running auction."""
    registration = _lock(session, registration_id)
    if registration is None or registration.organisation_id != actor.organisation_id:
        raise NotFound("registration", registration_id)
    _check_not_leading(session, registration)
    audit.transition(session, registration, "withdraw", lifecycle=REGISTRATION, actor=actor, at=at, reason=reason)
    outbox.publish(session, events.RegistrationWithdrawn(registration.id), at=at)
    session.flush()
    return registration


def _lock(session: Session, registration_id: uuid.UUID) -> Registration | None:
    """Lock the auction, then the registration: the order in which a bid takes them."""
    listing_id = session.scalar(select(Registration.listing_id).where(Registration.id == registration_id))
    if listing_id is None:
        return None
    session.execute(select(Auction.id).where(Auction.listing_id == listing_id).with_for_update())
    return session.get(Registration, registration_id, with_for_update=True, populate_existing=True)


def _check_not_leading(session: Session, registration: Registration) -> None:
    led = select(Auction.id).where(Auction.leader_registration_id == registration.id, Auction.closed_at.is_(None))
    if session.scalar(led) is not None:
        raise Leading


def cover_registration(session: Session, *, registration_id: uuid.UUID, actor: Actor, at: datetime) -> Registration:
    """The ledger holds the full deposit; a second time changes nothing. Raises `NotFound`. For settlement."""
    registration = _lock(session, registration_id)
    if registration is None:
        raise NotFound("registration", registration_id)
    if registration.covered_at is None:
        registration.covered_at = at
        audit.record(session, actor=actor, at=at, subject=registration, verb="cover", after={"covered": True})
        outbox.publish(session, events.RegistrationCovered(registration.id, format_instant(at)), at=at)
    return registration


def cover_registrations(
    session: Session, *, registration_ids: Collection[uuid.UUID], actor: Actor, at: datetime
) -> None:
    """As `cover_registration` for many, in a constant number of statements; unknown ids are left out. For settlement.

    The rows are locked in order of id.
    """
    session.flush()
    wanted = Registration.id == any_(bindparam("ids", list(registration_ids), ARRAY(Uuid)))
    locked = select(Registration.id).where(wanted, Registration.covered_at.is_(None))
    ids = session.scalars(locked.order_by(Registration.id).with_for_update()).all()
    if not ids:
        return
    covered = update(Registration).where(Registration.id == any_(bindparam("covered", list(ids), ARRAY(Uuid))))
    session.execute(covered.values(covered_at=at).execution_options(synchronize_session=False))
    done = set(ids)
    for row in list(session.identity_map.values()):
        if isinstance(row, Registration) and row.id in done:
            session.expire(row, ["covered_at"])
    audit.record_all(session, Registration, ids, actor=actor, at=at, verb="cover", after={"covered": True})
    since = format_instant(at)
    outbox.publish_all(session, [events.RegistrationCovered(one, since) for one in ids], at=at)


def uncover_registration(
    session: Session, *, registration_id: uuid.UUID, actor: Actor, at: datetime, even_leading: bool = False
) -> Registration:
    """The deposit is no longer held; a second time changes nothing. Raises `NotFound`, `Leading`. For settlement.

    `even_leading`: the money is gone whether we like it or not (a disputed card payment). The bids of a leader stand,
    and it places no more.
    """
    registration = _lock(session, registration_id)
    if registration is None:
        raise NotFound("registration", registration_id)
    if not even_leading:
        _check_not_leading(session, registration)
    if registration.covered_at is not None:
        registration.covered_at = None
        audit.record(session, actor=actor, at=at, subject=registration, verb="uncover", after={"covered": False})
        outbox.publish(session, events.RegistrationUncovered(registration.id, format_instant(at)), at=at)
    return registration


def require_registration(session: Session, registration_id: uuid.UUID) -> Registration:
    """Return a registration; raise `NotFound`. No visibility check."""
    registration = session.get(Registration, registration_id)
    if registration is None:
        raise NotFound("registration", registration_id)
    return registration


def registration_by_reference(session: Session, reference: str) -> Registration | None:
    """Return the registration that a deposit reference names; case, blanks, hyphens forgiven. No visibility check."""
    exact = references.read_reference(reference)
    if exact is None:
        return None
    return session.scalars(select(Registration).where(Registration.reference == exact)).first()


def registrations_by_reference(session: Session, references_: Collection[str]) -> list[Registration]:
    """Return the registrations that canonical deposit references name, in no order. No visibility check."""
    wanted = any_(bindparam("names", sorted(references_), ARRAY(String)))
    return list(session.scalars(select(Registration).where(Registration.reference == wanted)))


def registrations_awaiting_deposit(session: Session) -> list[Registration]:
    """Return the registrations that may still be covered and are not, oldest first. No visibility check."""
    open_states = (RegistrationState.APPLIED, RegistrationState.APPROVED)
    query = select(Registration).where(Registration.covered_at.is_(None), Registration.state.in_(open_states))
    return list(session.scalars(query.order_by(Registration.id)))


def registrations_of(session: Session, listing_id: uuid.UUID) -> list[Registration]:
    """Return the registrations of a listing, oldest first. No visibility check."""
    query = select(Registration).where(Registration.listing_id == listing_id).order_by(Registration.id)
    return list(session.scalars(query))


def get_registration(session: Session, registration_id: uuid.UUID, *, actor: Actor) -> RegistrationView:
    """Return a registration to its organisation, operator and auditor; raise `NotFound` to everybody else."""
    row = session.get(Registration, registration_id)
    if row is None or not (actor.sees_everything or row.organisation_id == actor.organisation_id):
        raise NotFound("registration", registration_id)
    return _view(session, [row], full=True)[0]


def list_registrations(
    session: Session, *, listing_id: uuid.UUID | None, cursor: str | None, limit: int, actor: Actor
) -> Page[RegistrationView]:
    """Return registrations: of one listing, or of all. A buyer gets its own, a seller of its listing only the codes."""
    query, full = select(Registration), True
    if listing_id is not None:
        row = listing.get_listing(session, listing_id, actor=actor)
        query = query.where(Registration.listing_id == listing_id)
        full = row.seller_organisation_id != actor.organisation_id
    if full and not actor.sees_everything:
        query = query.where(Registration.organisation_id == actor.organisation_id)
    page: Page[Registration] = db.page(session, query, key_column=Registration.id, cursor=cursor, limit=limit)
    return Page(_view(session, page.items, full=full), page.next)


def _view(session: Session, rows: Sequence[Registration], *, full: bool) -> list[RegistrationView]:
    names = parties.organisation_names(session, [row.organisation_id for row in rows]) if full else {}
    return [RegistrationView(row, full, names.get(row.organisation_id)) for row in rows]

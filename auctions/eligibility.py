"""Whether a registration may bid at an instant: computed in one query for one or for a whole batch.

`seats_of` is asked at every bid; `eligibility_of` shows every condition with its result. Both read the same facts.
"""

import functools
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Date, Uuid, and_, bindparam, exists, func, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.orm import Session

from auctions import listing as listings
from auctions.award_models import Default, InterestConflict
from auctions.domain import eligibility as rules
from auctions.domain.eligibility import Check, ConflictRule, ConflictState, Facts
from auctions.domain.lifecycles import RegistrationState
from auctions.domain.presets import Preset
from auctions.models import Listing, Registration
from auctions.refusals import DepositNotHeld, NotApproved
from due_diligence import service as due_diligence
from marketplace import direct
from marketplace.actor import Actor
from marketplace.errors import Failure, NotFound, Refused
from marketplace.packages import service as packages
from marketplace.parties import service as parties
from marketplace.parties.domain import LicenceKind


class LicenceNotInForce(Refused):
    """The organisation is not active, or no approved licence to buy holds today."""

    code = "licence_not_in_force"

    def __init__(self) -> None:
        super().__init__("Bidding needs an active organisation with an approved licence that holds today.")


class AgreementNotInForce(Refused):
    """The confidentiality agreement of the package's data room was not accepted, or no longer holds."""

    code = "agreement_not_in_force"

    def __init__(self) -> None:
        super().__init__("Accept the confidentiality agreement of the package's data room first.")


class NoResaleNotUndertaken(Refused):
    """The market sells only to buyers that undertake not to resell."""

    code = "no_resale_not_undertaken"

    def __init__(self) -> None:
        super().__init__("Register with the undertaking not to resell: `undertakes_no_resale`.")


class OutsideProvince(Refused):
    """A local AMC is bound to its province for corporate cases."""

    code = "outside_province"

    def __init__(self) -> None:
        super().__init__("A local asset manager buys corporate cases of its own province only.")


class ConflictOfInterest(Refused):
    """The bidder, an owner or an officer is somebody who must not bid; `rule` says in which capacity, never who."""

    code = "conflict_of_interest"

    def __init__(self, rule: ConflictRule) -> None:
        super().__init__("A conflict of interest keeps your organisation out of this auction.", rule=rule.value)


class BarredAfterDefault(Refused):
    """The organisation was awarded this package before and defaulted (SPC rules 2016, Art. 24)."""

    code = "barred_after_default"

    def __init__(self) -> None:
        super().__init__("Your organisation was awarded this package before and defaulted; it is barred from it.")


def preset_of(session: Session, listing: Listing) -> Preset:
    """Return the preset under which a listing was published: the version that its announcement names."""
    assert listing.published_at is not None
    return listings.preset_of(session, listing, at=listing.published_at)


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Every condition of bidding and whether it holds at `at`; `flagged` conflicts wait for compliance."""

    registration_id: uuid.UUID
    at: datetime
    eligible: bool
    checks: Sequence[tuple[Check, bool, Failure | None]]
    flagged: Sequence[ConflictRule]


_FAILURES: Final[Mapping[Check, Callable[[Facts], Failure]]] = {
    Check.REGISTRATION_APPROVED: lambda facts: NotApproved(facts.state),
    Check.DEPOSIT_HELD: lambda _: DepositNotHeld(),
    Check.LICENCE_IN_FORCE: lambda _: LicenceNotInForce(),
    Check.AGREEMENT_IN_FORCE: lambda _: AgreementNotInForce(),
    Check.NO_RESALE_UNDERTAKEN: lambda _: NoResaleNotUndertaken(),
    Check.WITHIN_PROVINCE: lambda _: OutsideProvince(),
    Check.NO_CONFLICT: lambda facts: ConflictOfInterest(facts.conflict or ConflictRule.RELATED_TO_DEBTOR),
    Check.NOT_BARRED: lambda _: BarredAfterDefault(),
}


def failure(check: Check, facts: Facts) -> Failure:
    """Return what is said to whoever fails a condition."""
    return _FAILURES[check](facts)


def _query(whose: ColumnElement[bool]) -> direct.Plain:
    """Return the facts of registrations as one query for the driver: eligibility is asked at every bid."""
    day: ColumnElement[date] = bindparam("day", type_=Date())
    licences = parties.licences_in_force(day).subquery()
    agreed = due_diligence.agreements_in_force(day).subquery()
    kinds = select(func.array_agg(licences.c.kind)).where(licences.c.organisation_id == Registration.organisation_id)
    upheld = select(func.array_agg(aggregate_order_by(InterestConflict.rule, InterestConflict.rule))).where(
        InterestConflict.registration_id == Registration.id, InterestConflict.state == ConflictState.UPHELD
    )
    pair = tuple_(Listing.package_id, Registration.organisation_id)
    own, theirs = packages.families().subquery(), packages.families().subquery()
    defaulted = exists().where(
        Default.organisation_id == Registration.organisation_id,
        theirs.c.package_id == Default.package_id,
        own.c.package_id == Listing.package_id,
        own.c.family_id == theirs.c.family_id,
    )
    return direct.Plain(
        select(
            Registration.id,
            Registration.organisation_id,
            Registration.bidder_code,
            Registration.state,
            Registration.covered_at.is_not(None).label("covered"),
            Registration.no_resale_required,
            Registration.no_resale_at.is_not(None).label("no_resale"),
            Registration.out_of_province,
            kinds.scalar_subquery().label("licences"),
            exists().where(tuple_(agreed.c.package_id, agreed.c.organisation_id) == pair).label("agreement"),
            upheld.scalar_subquery().label("conflicts"),
            defaulted.label("defaulted"),
        )
        .join(Listing, Listing.id == Registration.listing_id)
        .where(whose)
    )


_FACTS: Final = _query(Registration.id == func.any(bindparam("ids", type_=ARRAY(Uuid()))))
_SEATS: Final = _query(
    and_(
        Registration.listing_id == bindparam("listing", type_=Uuid()),
        Registration.organisation_id == func.any(bindparam("organisations", type_=ARRAY(Uuid()))),
        Registration.state != RegistrationState.WITHDRAWN,
    )
)


def _facts(session: Session, registration_ids: Sequence[uuid.UUID], *, at: datetime) -> dict[uuid.UUID, Any]:
    rows = _FACTS.ask(session, ids=direct.array(registration_ids), day=parties.market_day(at)).rows()
    return {row.id: row for row in rows}


@dataclass(frozen=True, slots=True)
class Seat:
    """The place of an organisation in an auction, and what keeps it from bidding, if anything does.

    `key` is the id in bytes, which dictionaries find many times as fast.
    """

    id: uuid.UUID
    key: bytes
    bidder_code: str
    barred: Failure | None


def ask_seats(
    session: Session, *, listing_id: uuid.UUID, organisations: Iterable[uuid.UUID], at: datetime
) -> direct.Asked:
    """Ask for the registrations of organisations, with the facts by which they may bid at `at`; see `seats_of`."""
    return _SEATS.ask(
        session, listing=listing_id, organisations=direct.array(organisations), day=parties.market_day(at)
    )


def seats_of(asked: direct.Asked) -> dict[int, Seat]:
    """Return the seats that `ask_seats` found, by the number of the organisation's id."""
    return {row.organisation_id.int: Seat(row.id, row.id.bytes, row.bidder_code, _barred(row)) for row in asked.rows()}


class _Said(NamedTuple):
    """What a row says, as values that can be compared."""

    state: str
    covered: bool
    agreement: bool
    no_resale_required: bool
    no_resale: bool
    out_of_province: bool
    defaulted: bool
    licences: tuple[str, ...]
    conflicts: tuple[str, ...]

    @classmethod
    def by(cls, row: Any) -> "_Said":
        """Return what a row of `_query` says."""
        plain = (row.state, row.covered, row.agreement, row.no_resale_required, row.no_resale, row.out_of_province)
        return cls(*plain, row.defaulted, tuple(row.licences or ()), tuple(row.conflicts or ()))


def _barred(row: Any) -> Failure | None:
    """Return the first of the conditions that does not hold, in the order of `Check`."""
    facts, check = _judged(_Said.by(row))
    return None if check is None else failure(check, facts)


def _read(row: Any) -> Facts:
    return _judged(_Said.by(row))[0]


@functools.lru_cache(maxsize=1024)
def _judged(said: _Said) -> tuple[Facts, Check | None]:
    """Return the facts and the first condition that fails; remembered, as the same is read at every bid of a bidder."""
    facts = Facts(
        state=RegistrationState(said.state),
        covered=said.covered,
        licences=frozenset(LicenceKind(kind) for kind in said.licences) & rules.BUYING_LICENCES,
        agreement=said.agreement,
        no_resale_required=said.no_resale_required,
        no_resale=said.no_resale,
        out_of_province=said.out_of_province,
        conflict=ConflictRule(said.conflicts[0]) if said.conflicts else None,
        defaulted=said.defaulted,
    )
    return facts, rules.first_failed(facts)


def barred_of(session: Session, registration_ids: Sequence[uuid.UUID], *, at: datetime) -> dict[uuid.UUID, Failure]:
    """Return why registrations may not bid at `at`; those that may are left out. One query, whatever the number.

    Unknown ids are left out too.
    """
    found = {one: _barred(row) for one, row in _facts(session, registration_ids, at=at).items()}
    return {one: barred for one, barred in found.items() if barred is not None}


def check_applicant(session: Session, registration_id: uuid.UUID, *, at: datetime) -> None:
    """Raise why an application cannot be taken, approval and deposit left aside: they come later."""
    facts = _read(_facts(session, [registration_id], at=at)[registration_id])
    for check, holds in rules.checks(facts).items():
        if not holds and check not in rules.LATER:
            raise failure(check, facts)


def check_eligible(session: Session, registration_id: uuid.UUID, *, at: datetime) -> None:
    """Raise why a registration may not bid at `at`; return when it may."""
    barred = barred_of(session, [registration_id], at=at).get(registration_id)
    if barred is not None:
        raise barred


def eligibility_of(session: Session, registration_id: uuid.UUID, *, actor: Actor, at: datetime) -> Eligibility:
    """Return every condition of a registration with its result, to its organisation, operator and auditor.

    Raises `NotFound` to everybody else. Conflicts that are only flagged are shown to the operator and the auditor.
    """
    row = session.get(Registration, registration_id)
    if row is None or not (actor.sees_everything or row.organisation_id == actor.organisation_id):
        raise NotFound("registration", registration_id)
    facts = _read(_facts(session, [registration_id], at=at)[registration_id])
    results = [(check, holds, None if holds else failure(check, facts)) for check, holds in rules.checks(facts).items()]
    flagged = select(InterestConflict.rule).where(
        InterestConflict.registration_id == registration_id, InterestConflict.state == ConflictState.FLAGGED
    )
    return Eligibility(
        registration_id=registration_id,
        at=at,
        eligible=all(holds for _, holds, _ in results),
        checks=results,
        flagged=session.scalars(flagged.order_by(InterestConflict.rule)).all() if actor.sees_everything else (),
    )

"""The model beside the appraisal, and both shown with the reserve that each implies, never merged into one figure."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import Actor, OrganisationKind
from marketplace.clock import local_date
from marketplace.db import Page
from marketplace.errors import Conflict, NotFound
from marketplace.money import Money, Rounding
from marketplace.packages import service as packages
from marketplace.packages.service import PackageState
from valuation.appraising import PackageNotFrozen
from valuation.domain import model
from valuation.domain.appraisals import AppraisalState, EvidenceRank, ValueKind
from valuation.domain.market import StartPrice, start_price
from valuation.models import Appraisal, AssumptionSet, Valuation

_ZONE: Final = "Asia/Shanghai"

FLOOR_RATE: Final = Decimal("0.70")
LATER_CUT: Final = Decimal("0.20")
DEPOSIT_RATES: Final = (Decimal("0.05"), Decimal("0.20"))
FLOOR_SOURCE: Final = (
    "SPC rules on online judicial sale (2016), Art. 10, 17, 26: start price at least 70 % of the value"
)


class AssumptionsVersionTaken(Conflict):
    """This version stands already; a change takes a new one."""

    code = "assumptions_version_taken"

    def __init__(self) -> None:
        super().__init__("Assumptions of this version stand already and are never changed; name a new version.")


db.violation("uq_assumption_sets_organisation_id", AssumptionsVersionTaken)


@dataclass(frozen=True, slots=True)
class ImpliedReserve:
    """What an opinion of value means for a sale: start prices of the first and second round, range of the deposit."""

    floor_rate: Decimal
    start_price: Money
    second_start_price: Money
    deposit_low: Money
    deposit_high: Money
    source: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """One opinion of value, of one rank."""

    rank: EvidenceRank
    id: uuid.UUID
    value: Money
    valued_on: date
    valid_until_on: date | None
    in_force: bool
    implied: ImpliedReserve


def implied_reserve(value: Money) -> ImpliedReserve:
    """Return the lowest start price and the deposits that an opinion of value leads to; floors up, caps down."""
    inputs = StartPrice(
        currency=value.currency,
        opinions=(value.to_decimal(),),
        floor_rate=FLOOR_RATE,
        rounds=(LATER_CUT,),
        deposit_rates=DEPOSIT_RATES,
    )
    result = start_price(inputs).result

    def money(amount: Decimal) -> Money:
        return Money.round(amount, value.currency, Rounding.HALF_UP)

    return ImpliedReserve(
        floor_rate=FLOOR_RATE,
        start_price=money(result.starts[0]),
        second_start_price=money(result.starts[1]),
        deposit_low=money(result.deposits[0].low),
        deposit_high=money(result.deposits[0].high),
        source=FLOOR_SOURCE,
    )


def save_assumptions(
    session: Session, *, version: str, assumptions: dict[str, Any], actor: Actor, at: datetime
) -> AssumptionSet:
    """Keep a set of assumptions under a version of its own; raise `BadDocument`, `AssumptionsVersionTaken`."""
    model.read_assumptions(assumptions)
    taken = select(AssumptionSet.id).where(
        AssumptionSet.organisation_id == actor.organisation_id, AssumptionSet.version == version
    )
    if version == model.HOUSE_VERSION or session.scalar(taken):
        raise AssumptionsVersionTaken
    row = AssumptionSet(
        organisation_id=actor.organisation_id,
        version=version,
        shared=actor.organisation_kind is OrganisationKind.OPERATOR,
        assumptions=assumptions,
        created_at=at,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="save_assumptions", after={"version": version})
    return row


def list_assumptions(session: Session, *, cursor: str | None, limit: int, actor: Actor) -> Page[AssumptionSet]:
    """Sets of assumptions that the actor may use or see, newest first."""
    query = select(AssumptionSet)
    if not actor.sees_everything:
        query = query.where(or_(AssumptionSet.organisation_id == actor.organisation_id, AssumptionSet.shared))
    return db.page(session, query, key_column=AssumptionSet.id, cursor=cursor, limit=limit)


def _assumptions(
    session: Session, assumption_set_id: uuid.UUID | None, seller_id: uuid.UUID
) -> tuple[str, dict[str, Any]]:
    if assumption_set_id is None:
        return model.HOUSE_VERSION, dict(model.HOUSE)
    row = session.get(AssumptionSet, assumption_set_id)
    if row is None or not (row.shared or row.organisation_id == seller_id):
        raise NotFound("set of assumptions", assumption_set_id)
    return row.version, row.assumptions


def value_package(
    session: Session, *, package_id: uuid.UUID, assumption_set_id: uuid.UUID | None, actor: Actor, at: datetime
) -> Valuation:
    """Compute the model over the frozen cases and keep the figure with its inputs.

    Without a set of assumptions the house's own are used. Raises `NotFound`, `PackageNotFrozen`.
    """
    package = packages.get_package(session, package_id, actor=actor)
    if package.state in {PackageState.DRAFT, PackageState.CANCELLED}:
        raise PackageNotFrozen(package.state.value)
    version, assumptions = _assumptions(session, assumption_set_id, package.organisation_id)
    result = model.value_package(
        packages.frozen_cases(session, package_id), model.read_assumptions(assumptions), currency=package.currency
    )
    row = Valuation(
        id=db.new_id(),
        package_id=package_id,
        method_version=model.METHOD_VERSION,
        assumption_set_id=assumption_set_id,
        assumptions_version=version,
        assumptions=assumptions,
        tape_sha256=packages.tape_versions(session, package_id)[-1].sha256,
        currency=package.currency,
        exposure_minor=result.exposure.minor,
        value_minor=result.value.minor,
        strata=[asdict(stratum) for stratum in result.strata],
        computed_at=at,
    )
    session.add(row)
    session.flush()
    after = {"value": result.value.text, "currency": package.currency, "assumptions": version}
    audit.record(session, actor=actor, at=at, subject=row, verb="compute", after=after)
    return row


def list_valuations(
    session: Session, *, package_id: uuid.UUID, cursor: str | None, limit: int, actor: Actor
) -> Page[Valuation]:
    """Figures of the model for a package, newest first; raise `NotFound` unless the actor may see the package."""
    packages.get_package(session, package_id, actor=actor)
    query = select(Valuation).where(Valuation.package_id == package_id)
    return db.page(session, query, key_column=Valuation.id, cursor=cursor, limit=limit)


def value_opinions(session: Session, package_id: uuid.UUID, *, actor: Actor, at: datetime) -> Sequence[Opinion]:
    """Return every accepted appraisal and the latest figure of the model, strongest evidence first, each by itself.

    Raises `NotFound` unless the actor may see the package.
    """
    packages.get_package(session, package_id, actor=actor)
    today = local_date(at, _ZONE)
    accepted = session.scalars(
        select(Appraisal)
        .where(Appraisal.package_id == package_id, Appraisal.state == AppraisalState.ACCEPTED)
        .order_by(Appraisal.valued_on.desc(), Appraisal.id.desc())
    )
    opinions = [_of_appraisal(appraisal, today) for appraisal in accepted]
    latest = session.scalars(
        select(Valuation).where(Valuation.package_id == package_id).order_by(Valuation.id.desc()).limit(1)
    ).first()
    if latest is not None:
        opinions.append(_of_model(latest))
    ranks = list(EvidenceRank)
    return sorted(opinions, key=lambda opinion: ranks.index(opinion.rank))


def _of_appraisal(appraisal: Appraisal, today: date) -> Opinion:
    value, valued_on, until = appraisal.value, appraisal.valued_on, appraisal.valid_until_on
    if value is None or valued_on is None or until is None:
        raise AssertionError("an accepted appraisal is complete (ck_appraisals_submission_complete)")
    return Opinion(
        rank=EvidenceRank.FULL_APPRAISAL if appraisal.kind is ValueKind.FULL else EvidenceRank.ADVISORY,
        id=appraisal.id,
        value=value,
        valued_on=valued_on,
        valid_until_on=until,
        in_force=today <= until,
        implied=implied_reserve(value),
    )


def _of_model(valuation: Valuation) -> Opinion:
    return Opinion(
        rank=EvidenceRank.AUTOMATED_MODEL,
        id=valuation.id,
        value=valuation.value,
        valued_on=local_date(valuation.computed_at, _ZONE),
        valid_until_on=None,
        in_force=True,
        implied=implied_reserve(valuation.value),
    )

"""Freezing: the moment from which a package's cases and figures are fixed, and what is computed from them."""

import hashlib
import uuid
from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any, Final

from psycopg import sql
from sqlalchemy import insert, literal, select, true, update
from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.cases import service as cases
from marketplace.cases.domain.criteria import Criteria
from marketplace.clock import local_date
from marketplace.errors import Conflict, Invalid
from marketplace.jobs import Progress
from marketplace.packages.bundling import own_locked
from marketplace.packages.domain.header import frozen_header
from marketplace.packages.domain.package import PACKAGE, FrozenCase
from marketplace.packages.domain.strata import stratify
from marketplace.packages.domain.tape import canonical_csv
from marketplace.packages.models import Package, PackageCase, Stratum, TapeVersion

_ZONE: Final = "Asia/Shanghai"

_COLUMNS: Final = (
    "case_id", "case_key", "principal_minor", "interest_minor", "other_minor", "days_past_due", "security",
    "litigation", "grade", "written_off", "product", "customer_type", "province", "city", "borrower_fingerprint",
    "borrower_masked_name", "borrower_birth_year", "borrower_sex", "credit_limit_minor", "default_on", "originated_on",
    "guaranteed", "collateral_kind", "collateral_value_minor", "prior_liens_minor", "registered_cap_minor",
    "collateral_city",
)  # fmt: skip
"""Columns of package_cases in the order of `FrozenCase`."""


class NothingToFreeze(Conflict):
    """No open case fits the package."""

    code = "nothing_to_freeze"

    def __init__(self) -> None:
        super().__init__("No open case fits the criteria of this package.")


class CutOffOfTheFuture(Invalid):
    """Balances cannot be as of a day to come."""

    code = "cut_off_of_the_future"

    def __init__(self, cut_off_on: date) -> None:
        super().__init__(f"The cut-off {cut_off_on} is still to come.", found=cut_off_on.isoformat())


class CaseInAnotherPackage(Conflict):
    """Another package took one of the cases in the same moment."""

    code = "case_in_another_package"

    def __init__(self) -> None:
        super().__init__("One of the cases is in another live package by now; nothing was frozen. Try again.")


class BalancesAfterCutOff(Conflict):
    """Some balances are younger than the cut-off."""

    code = "balances_after_cut_off"

    def __init__(self, count: int, latest: date) -> None:
        super().__init__(
            f"{count} of the cases have balances of a day after the cut-off, the latest of {latest}.",
            count=count,
            latest=latest.isoformat(),
        )


db.violation("uq_package_cases_live", CaseInAnotherPackage)


def may_freeze(session: Session, package_id: uuid.UUID, *, cut_off_on: date, actor: Actor, at: datetime) -> Package:
    """Return the actor's package, locked; raise `NotFound`, `IllegalMove`, `CutOffOfTheFuture`."""
    package = own_locked(session, package_id, actor=actor)
    PACKAGE.move(package.state, "freeze")
    if cut_off_on > local_date(at, _ZONE):
        raise CutOffOfTheFuture(cut_off_on)
    return package


def freeze_package(
    session: Session,
    package_id: uuid.UUID,
    *,
    cut_off_on: date,
    actor: Actor,
    at: datetime,
    progress: Progress = lambda _done, _total, _note: None,
) -> Package:
    """Take every open case that fits, fix its figures, and write tape version 1, header and strata.

    The cases are locked before they are taken: of two freezes at once the later gets what the earlier left. Raises
    `NotFound`, `IllegalMove`, `CutOffOfTheFuture`, `BalancesAfterCutOff`, `NothingToFreeze`. `progress` counts cases.
    """
    package = may_freeze(session, package_id, cut_off_on=cut_off_on, actor=actor, at=at)
    case_ids = cases.lock_open_cases(
        session,
        organisation_id=package.organisation_id,
        currency=package.currency,
        criteria=Criteria.of_document(package.criteria),
    )
    if not case_ids:
        raise NothingToFreeze
    count = len(case_ids)
    progress(0, count, "locked")
    _take(session, package, case_ids)
    _check_dates(session, package, cut_off_on)
    progress(count // 3, count, "taken")
    cases.move_cases(session, case_ids=case_ids, verb="bundle", actor=actor, at=at)
    progress(2 * count // 3, count, "bundled")
    package.cut_off_on, package.frozen_at = cut_off_on, at
    compute_figures(session, package, cut_off_on=cut_off_on, at=at)
    progress(count, count, "figures")
    audit.transition(session, package, "freeze", lifecycle=PACKAGE, actor=actor, at=at)
    session.flush()
    return package


def _take(session: Session, package: Package, case_ids: list[uuid.UUID]) -> None:
    taken = cases.figures(case_ids).add_columns(literal(package.id).label("package_id"), true().label("live"))
    session.execute(insert(PackageCase).from_select([str(column.key) for column in taken.selected_columns], taken))


def _check_dates(session: Session, package: Package, cut_off_on: date) -> None:
    later = session.scalars(
        select(PackageCase.as_of_on).where(PackageCase.package_id == package.id, PackageCase.as_of_on > cut_off_on)
    ).all()
    if later:
        raise BalancesAfterCutOff(len(later), max(later))


def compute_figures(session: Session, package: Package, *, cut_off_on: date, at: datetime) -> None:
    """Write header, tape version 1 and strata of a package whose cases are in place."""
    frozen = frozen_cases(session, package.id)
    header = frozen_header(frozen, currency=package.currency, cut_off_on=cut_off_on, remark=package.remark)
    package.header = header.document()
    content = canonical_csv(frozen, currency=package.currency)
    session.add(
        TapeVersion(
            package_id=package.id,
            number=1,
            cut_off_on=cut_off_on,
            sha256=hashlib.sha256(content).hexdigest(),
            rows=len(frozen),
            size=len(content),
            created_at=at,
        )
    )
    session.add_all(
        Stratum(
            package_id=package.id,
            dimension=cell.dimension,
            position=position,
            value=cell.value,
            currency=package.currency,
            loans=cell.loans,
            principal_minor=cell.principal,
            interest_minor=cell.interest,
            other_minor=cell.other,
        )
        for position, cell in enumerate(stratify(frozen, currency=package.currency))
    )


def frozen_cases(session: Session, package_id: uuid.UUID) -> list[FrozenCase]:
    """Return the cases of a package with their frozen figures, in order of the case key; empty before the freeze.

    No visibility check: for stages that answer for it. Read in one piece, without rows of the object mapper.
    """
    connection: Any = session.connection().connection.driver_connection
    statement = sql.SQL('SELECT {} FROM package_cases WHERE package_id = %s ORDER BY case_key COLLATE "C"').format(
        sql.SQL(", ").join(sql.Identifier(column) for column in _COLUMNS)
    )
    session.flush()
    with connection.cursor(binary=True) as cursor:
        return [FrozenCase._make(row) for row in cursor.execute(statement, [package_id])]


def live_cases(session: Session, package_id: uuid.UUID) -> Sequence[uuid.UUID]:
    """Return the cases that are in a package still: none of a cancelled one, and none that has left."""
    query = select(PackageCase.case_id).where(PackageCase.package_id == package_id, PackageCase.live)
    return session.scalars(query).all()


def packages_holding(session: Session, case_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID]:
    """Return by case the package that it is in; nothing for a case that is in none. No visibility check."""
    query = select(PackageCase.case_id, PackageCase.package_id).where(
        PackageCase.live, PackageCase.case_id.in_(case_ids)
    )
    return {row.case_id: row.package_id for row in session.execute(query)}


def release(session: Session, package: Package, *, actor: Actor, at: datetime) -> None:
    """Let the cases of a frozen package go; their rows stay as history, no longer live."""
    case_ids = live_cases(session, package.id)
    session.execute(update(PackageCase).where(PackageCase.package_id == package.id).values(live=False))
    if case_ids:
        cases.move_cases(session, case_ids=case_ids, verb="release", actor=actor, at=at)

"""A package that changes hands, whole or in parts, and what is left of it when only parts of it found a buyer.

What was not sold leaves as a package of its own, frozen with the same figures at the same cut-off: it can be listed at
once, or cancelled so that its cases are open again. The figures of the package as it was announced stay as they were,
also when sold cases go back to the seller (`return_cases`).
"""

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Uuid, func, insert, literal, select, true, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from marketplace import audit
from marketplace.actor import Actor
from marketplace.cases import service as cases
from marketplace.cases.domain.case import CaseState
from marketplace.errors import Conflict
from marketplace.packages.bundling import require_package
from marketplace.packages.domain.package import PACKAGE
from marketplace.packages.freezing import compute_figures, live_cases
from marketplace.packages.models import Package, PackageCase

MAX_NAME: Final = 120


class CasesNotInPackage(Conflict):
    """Some of the cases are not in the package, or not any more."""

    code = "cases_not_in_package"

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} of the cases are not in this package, or not any more.", count=count)


def sell_package(
    session: Session,
    package_id: uuid.UUID,
    *,
    case_ids: Sequence[uuid.UUID] | None = None,
    actor: Actor,
    at: datetime,
) -> Package:
    """The package changed hands, or these of its cases did; with its last case the package itself is sold.

    Raises `IllegalMove` unless the package is listed and each of the cases is in its hands still, and
    `CasesNotInPackage`. No visibility check.
    """
    package = require_package(session, package_id, for_update=True)
    PACKAGE.move(package.state, "sell")
    live = live_cases(session, package_id)
    if case_ids is not None:
        _check_live(case_ids, live)
    cases.move_cases(session, case_ids=live if case_ids is None else case_ids, verb="sell", actor=actor, at=at)
    if not _has_unsold(session, package):
        audit.transition(session, package, "sell", lifecycle=PACKAGE, actor=actor, at=at)
        session.flush()
    return package


def _check_live(case_ids: Collection[uuid.UUID], live: Collection[uuid.UUID]) -> None:
    strange = set(case_ids).difference(live)
    if strange:
        raise CasesNotInPackage(len(strange))


def split_package(
    session: Session, package_id: uuid.UUID, *, case_ids: Sequence[uuid.UUID], name: str, actor: Actor, at: datetime
) -> Package:
    """Move cases of a listed package into a new one of its own, frozen with the same figures; return the new one.

    With the last case that could still be sold the old package ends: sold if any of its cases was, else dissolved.
    Raises `IllegalMove` unless the package is listed, and `CasesNotInPackage`. No visibility check.
    """
    package = require_package(session, package_id, for_update=True)
    PACKAGE.move(package.state, "dissolve")
    _check_live(case_ids, live_cases(session, package_id))
    assert package.cut_off_on is not None
    part = Package(
        organisation_id=package.organisation_id,
        name=name[:MAX_NAME],
        currency=package.currency,
        criteria=package.criteria,
        remark=package.remark,
        origin_id=package.origin_id or package.id,
        created_at=at,
    )
    session.add(part)
    session.flush()
    _move_rows(session, package, part, case_ids)
    part.cut_off_on, part.frozen_at = package.cut_off_on, at
    compute_figures(session, part, cut_off_on=package.cut_off_on, at=at)
    reason = f"split from package {package.id}"
    audit.transition(session, part, "freeze", lifecycle=PACKAGE, actor=actor, at=at, reason=reason)
    session.flush()
    if not _has_unsold(session, package):
        verb = "sell" if live_cases(session, package_id) else "dissolve"
        audit.transition(session, package, verb, lifecycle=PACKAGE, actor=actor, at=at)
        session.flush()
    return part


def return_cases(
    session: Session, package_id: uuid.UUID, *, case_ids: Sequence[uuid.UUID], reason: str, actor: Actor, at: datetime
) -> None:
    """Sold cases go back to the seller, open again; the figures and the state of the package stay as they were.

    Raises `CasesNotInPackage`, and `IllegalMove` unless each of them is sold. No visibility check.
    """
    package = require_package(session, package_id, for_update=True)
    _check_live(case_ids, live_cases(session, package_id))
    cases.move_cases(session, case_ids=case_ids, verb="return", actor=actor, at=at, reason=reason)
    _let_go(session, package, case_ids)
    after = {"cases": len(case_ids)}
    audit.record(session, actor=actor, at=at, subject=package, verb="return_cases", after=after, reason=reason)


def _chosen(package: Package, case_ids: Sequence[uuid.UUID]) -> tuple[ColumnElement[bool], ...]:
    return (
        PackageCase.package_id == package.id,
        PackageCase.case_id == func.any(literal(list(case_ids), ARRAY(Uuid()))),
    )


def _let_go(session: Session, package: Package, case_ids: Sequence[uuid.UUID]) -> None:
    gone = update(PackageCase).where(*_chosen(package, case_ids)).values(live=False)
    session.execute(gone.execution_options(synchronize_session=False))


def _move_rows(session: Session, package: Package, part: Package, case_ids: Sequence[uuid.UUID]) -> None:
    _let_go(session, package, case_ids)
    columns: dict[str, Any] = {column.key: column for column in PackageCase.__table__.columns}
    columns |= {"package_id": literal(part.id, Uuid()), "live": true()}
    session.execute(
        insert(PackageCase).from_select(list(columns), select(*columns.values()).where(*_chosen(package, case_ids)))
    )


def _has_unsold(session: Session, package: Package) -> bool:
    session.flush()
    unsold = select(PackageCase.case_id).where(
        PackageCase.package_id == package.id,
        PackageCase.live,
        PackageCase.case_id.in_(cases.in_state(CaseState.BUNDLED)),
    )
    return session.scalar(unsold.limit(1)) is not None


def is_whole(session: Session, package_id: uuid.UUID) -> bool:
    """Whether every case that was frozen in a package is in it still. No visibility check."""
    gone = select(PackageCase.case_id).where(PackageCase.package_id == package_id, ~PackageCase.live)
    return session.scalar(gone.limit(1)) is None

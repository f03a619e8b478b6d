"""Packages as people and later stages meet them: making, finding, listing, cancelling, selling."""

import uuid
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.cases.domain.criteria import Criteria
from marketplace.db import Page
from marketplace.errors import Conflict, NotFound
from marketplace.money import exponent
from marketplace.packages.domain.header import PackageHeader
from marketplace.packages.domain.package import PACKAGE
from marketplace.packages.models import Package, Stratum, TapeVersion


class PackageNotFrozen(Conflict):
    """The figures of a package exist from its freeze on."""

    code = "package_not_frozen"

    def __init__(self, state: str) -> None:
        super().__init__(f"The package is {state}; it has no figures before it is frozen.", state=state)


def create_package(
    session: Session, *, name: str, currency: str, criteria: Criteria, remark: str, actor: Actor, at: datetime
) -> Package:
    """Begin a package of the actor's organisation; raise `CriteriaContradict` or `UnknownCurrency`."""
    criteria.check()
    exponent(currency)
    package = Package(
        organisation_id=actor.organisation_id,
        name=name,
        currency=currency,
        criteria=criteria.document(),
        remark=remark,
        created_at=at,
    )
    session.add(package)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=package, verb="create", after={"name": name})
    return package


def list_packages(session: Session, *, actor: Actor, cursor: str | None, limit: int) -> Page[Package]:
    """Packages of the actor's organisation, newest first; operator and auditor see all."""
    query = select(Package)
    if not actor.sees_everything:
        query = query.where(Package.organisation_id == actor.organisation_id)
    return db.page(session, query, key_column=Package.id, cursor=cursor, limit=limit)


def get_package(session: Session, package_id: uuid.UUID, *, actor: Actor) -> Package:
    """Return a package to its seller, the operator or the auditor; raise `NotFound` to everybody else."""
    package = session.get(Package, package_id)
    if package is None or not (actor.sees_everything or package.organisation_id == actor.organisation_id):
        raise NotFound("package", package_id)
    return package


def require_package(session: Session, package_id: uuid.UUID, *, for_update: bool = False) -> Package:
    """Return a package without asking who wants it, its row locked on demand; raise `NotFound`."""
    query = select(Package).where(Package.id == package_id)
    package = session.scalars(query.with_for_update() if for_update else query).first()
    if package is None:
        raise NotFound("package", package_id)
    return package


def own_locked(session: Session, package_id: uuid.UUID, *, actor: Actor) -> Package:
    """Return the actor's own package, locked; raise `NotFound`."""
    package = require_package(session, package_id, for_update=True)
    if package.organisation_id != actor.organisation_id:
        raise NotFound("package", package_id)
    return package


def header(package: Package) -> PackageHeader:
    """Return the header of a frozen package; raise `PackageNotFrozen`."""
    if not package.header:
        raise PackageNotFrozen(package.state.value)
    return PackageHeader.of_document(package.header)


def strata(session: Session, package_id: uuid.UUID) -> list[Stratum]:
    """Return the strata of a package by dimension and position; empty before the freeze. No visibility check."""
    query = select(Stratum).where(Stratum.package_id == package_id).order_by(Stratum.position)
    return list(session.scalars(query))


def tape_versions(session: Session, package_id: uuid.UUID) -> list[TapeVersion]:
    """Return the issues of a package's tape, oldest first. No visibility check."""
    query = select(TapeVersion).where(TapeVersion.package_id == package_id).order_by(TapeVersion.number)
    return list(session.scalars(query))


def list_package(session: Session, package_id: uuid.UUID, *, actor: Actor, at: datetime) -> Package:
    """A listing of the package was published; raise `IllegalMove` unless it is frozen. No visibility check."""
    return _move(session, package_id, "list", actor=actor, at=at)


def unlist_package(session: Session, package_id: uuid.UUID, *, actor: Actor, at: datetime) -> Package:
    """The listing ended without a buyer; raise `IllegalMove` unless the package is listed. No visibility check."""
    return _move(session, package_id, "unlist", actor=actor, at=at)


def _move(session: Session, package_id: uuid.UUID, verb: str, *, actor: Actor, at: datetime) -> Package:
    package = require_package(session, package_id, for_update=True)
    audit.transition(session, package, verb, lifecycle=PACKAGE, actor=actor, at=at)
    session.flush()
    return package

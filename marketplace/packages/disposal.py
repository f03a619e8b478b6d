"""A package that is given up, its cases open again; and the tape of a package as files. Sales are in `parting`."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from marketplace import audit
from marketplace.actor import Actor
from marketplace.packages.bundling import PackageNotFrozen, get_package, own_locked, require_package
from marketplace.packages.domain import tape
from marketplace.packages.domain.package import PACKAGE
from marketplace.packages.freezing import frozen_cases, release
from marketplace.packages.models import Package


def cancel_package(session: Session, package_id: uuid.UUID, *, reason: str, actor: Actor, at: datetime) -> Package:
    """Give up a draft or frozen package; its cases are open again. Raises `NotFound` or `IllegalMove`."""
    package = own_locked(session, package_id, actor=actor)
    audit.transition(session, package, "cancel", lifecycle=PACKAGE, actor=actor, at=at, reason=reason)
    release(session, package, actor=actor, at=at)
    session.flush()
    return package


def full_tape(
    session: Session, package_id: uuid.UUID, *, actor: Actor
) -> tuple[Sequence[str], Iterable[tuple[Any, ...]]]:
    """Return columns and rows of the tape, without identities, to seller, operator and auditor.

    Raises `NotFound` or `PackageNotFrozen`. As CSV its SHA-256 is that of the tape version.
    """
    package = get_package(session, package_id, actor=actor)
    if package.frozen_at is None:
        raise PackageNotFrozen(package.state.value)
    return tape.COLUMNS, tape.full_rows(frozen_cases(session, package_id), currency=package.currency)


def masked_tape(session: Session, package_id: uuid.UUID) -> bytes:
    """Return the tape as outsiders may have it (`rules.md`, masking by default), as CSV. No visibility check."""
    package = require_package(session, package_id)
    return tape.masked_csv(frozen_cases(session, package_id), currency=package.currency)

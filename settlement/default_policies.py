"""Default policies: what a default costs under a regime, as versioned data. The rules are `settlement.domain.defaults`.

The version in force on the day of the award decides: nobody loses by a rule that was made after the hammer.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.clock import local_date
from settlement.default_models import DefaultPolicy
from settlement.domain.deal import ZONE
from settlement.domain.defaults import Policy, PolicyMissing, PolicyStartsInThePast


def policy_of(session: Session, award: auctions.Award) -> DefaultPolicy:
    """Return the policy of an award's regime on the day of the award; raise `PolicyMissing`."""
    regime, on = str(award.terms["regime"]), local_date(award.created_at, ZONE)
    found = session.scalars(
        select(DefaultPolicy)
        .where(DefaultPolicy.regime == regime, DefaultPolicy.valid_from_on <= on)
        .order_by(DefaultPolicy.valid_from_on.desc(), DefaultPolicy.version.desc())
        .limit(1)
    ).first()
    if found is None:
        raise PolicyMissing(regime, on)
    return found


def rules_of(row: DefaultPolicy) -> Policy:
    """Return what a version says."""
    return Policy.of_document(row.rules)


def add_policy(
    session: Session, *, regime: str, valid_from_on: date, rules: dict[str, Any], actor: Actor, at: datetime
) -> DefaultPolicy:
    """Add the next version for a regime; raise `BadPolicy`, `PolicyStartsInThePast`."""
    Policy.of_document(rules)
    if valid_from_on <= local_date(at, ZONE):
        raise PolicyStartsInThePast(valid_from_on)
    last = session.scalar(select(func.max(DefaultPolicy.version)).where(DefaultPolicy.regime == regime))
    row = DefaultPolicy(
        id=db.new_id(),
        regime=regime,
        version=(last or 0) + 1,
        valid_from_on=valid_from_on,
        rules=rules,
        created_at=at,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="add", after={"version": row.version})
    return row


def list_policies(session: Session, *, cursor: str | None, limit: int) -> db.Page[DefaultPolicy]:
    """Return a page of default policies, newest first; everybody may know what a default costs."""
    return db.page(session, select(DefaultPolicy), key_column=DefaultPolicy.id, cursor=cursor, limit=limit)

"""In which order money pays what is owed on a case: stored by its seller, for one case or for all of its cases.

The Civil Code's order (costs, interest, principal) holds where nothing else was agreed (Art. 561).
"""

import uuid
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from collection.domain.balances import CIVIL_CODE, Order, read_order
from collection.models import ApplicationOrder
from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.cases import service as cases
from marketplace.documents import Node


def save_application_order(
    session: Session, *, sets: list[list[str]], case_id: uuid.UUID | None, reason: str, actor: Actor, at: datetime
) -> ApplicationOrder:
    """Keep a new version of an order, of one case or of all of the actor's; money that came before stays applied.

    Raises `NotFound`, and `BadDocument` unless each of costs, interest, principal is named once.
    """
    read_order(Node(sets, "/sets"))
    if case_id is not None:
        cases.require_case(session, case_id, actor=actor)
    row = ApplicationOrder(
        id=db.new_id(),
        organisation_id=actor.organisation_id,
        case_id=case_id,
        sets=sets,
        reason=reason,
        created_by=actor.name,
        created_at=at,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="save", after={"sets": sets}, reason=reason)
    return row


def application_orders(session: Session, *, cursor: str | None, limit: int, actor: Actor) -> db.Page[ApplicationOrder]:
    """Return a page of the orders that the actor may see, newest first."""
    query = select(ApplicationOrder)
    if not actor.sees_everything:
        query = query.where(ApplicationOrder.organisation_id == actor.organisation_id)
    return db.page(session, query, key_column=ApplicationOrder.id, cursor=cursor, limit=limit)


def order_of(session: Session, *, case_id: uuid.UUID, organisation_id: uuid.UUID) -> Order:
    """Return the order in force for a case: its own, else that of its seller, else the Civil Code's."""
    sets = session.scalars(
        select(ApplicationOrder.sets)
        .where(
            ApplicationOrder.organisation_id == organisation_id,
            or_(ApplicationOrder.case_id == case_id, ApplicationOrder.case_id.is_(None)),
        )
        .order_by(ApplicationOrder.case_id.is_(None), ApplicationOrder.id.desc())
        .limit(1)
    ).first()
    return CIVIL_CODE if sets is None else read_order(Node(sets, "/sets"))

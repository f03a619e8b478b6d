"""Awards as people see them: who is concerned sees who the bidder is, everybody else its code."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from auctions import awards
from auctions.award_models import Award, AwardProlongation
from auctions.domain.awards import AwardTerms, Step
from auctions.domain.lifecycles import AwardState
from auctions.models import Registration
from marketplace import db, files
from marketplace.actor import Actor
from marketplace.db import Page
from marketplace.errors import NotFound
from marketplace.files import FileStore, StoredFile


@dataclass(frozen=True, slots=True)
class AwardView:
    """An award with what a reader may know: the organisation only for those concerned."""

    row: Award
    bidder: str
    organisation_id: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class AwardFile:
    """An award with its terms, its prolongations, and the step whose deadline has passed."""

    view: AwardView
    terms: AwardTerms
    overdue: Step | None
    prolongations: Sequence[AwardProlongation]


def views_of_auction(session: Session, auction_id: uuid.UUID, *, actor: Actor) -> list[AwardView]:
    """Return the awards of an auction in the order of their turns."""
    query = select(Award).where(Award.auction_id == auction_id).order_by(Award.slot, Award.place)
    return _views(session, session.scalars(query).all(), actor=actor)


def _views(session: Session, rows: Sequence[Award], *, actor: Actor) -> list[AwardView]:
    ids = [row.registration_id for row in rows]
    bidders = {row.id: row for row in session.scalars(select(Registration).where(Registration.id.in_(ids)))}
    views = []
    for row in rows:
        bidder = bidders[row.registration_id]
        concerned = (row.seller_organisation_id, bidder.organisation_id)
        sees = actor.sees_everything or actor.organisation_id in concerned
        views.append(AwardView(row, bidder.bidder_code, bidder.organisation_id if sees else None))
    return views


def get_award(session: Session, award_id: uuid.UUID, *, actor: Actor) -> AwardView:
    """Return an award to its seller, its bidder, operator and auditor; raise `NotFound` to everybody else."""
    view = _views(session, [awards.require_award(session, award_id)], actor=actor)[0]
    if view.organisation_id is None:
        raise NotFound("award", award_id)
    return view


def award_file(session: Session, award_id: uuid.UUID, *, actor: Actor, at: datetime) -> AwardFile:
    """Return an award with all that belongs to it; raise `NotFound` as `get_award` does."""
    view = get_award(session, award_id, actor=actor)
    return AwardFile(
        view=view,
        terms=awards.terms_of(view.row),
        overdue=awards.overdue(view.row, at=at),
        prolongations=awards.prolongations_of(session, award_id),
    )


def list_awards(
    session: Session, *, state: AwardState | None, cursor: str | None, limit: int, actor: Actor
) -> Page[AwardView]:
    """Return a page of the awards that the actor may see, newest first."""
    query = select(Award)
    if not actor.sees_everything:
        own = select(Registration.id).where(Registration.organisation_id == actor.organisation_id)
        mine = Award.seller_organisation_id == actor.organisation_id
        query = query.where(or_(mine, Award.registration_id.in_(own)))
    if state is not None:
        query = query.where(Award.state == state)
    page: Page[Award] = db.page(session, query, key_column=Award.id, cursor=cursor, limit=limit)
    return Page(_views(session, page.items, actor=actor), page.next)


def prolongation_document(
    session: Session, award_id: uuid.UUID, *, number: int, store: FileStore, actor: Actor
) -> tuple[StoredFile, bytes]:
    """Return the document of a prolongation to whoever sees its award; raise `NotFound`, `FileMissing`."""
    get_award(session, award_id, actor=actor)
    for row in awards.prolongations_of(session, award_id):
        if row.number == number:
            stored = session.get_one(files.StoredFile, row.file_id)
            return stored, store.get(stored.sha256)
    raise NotFound("prolongation", number)

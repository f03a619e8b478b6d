"""Saved column mappings of sellers."""

import dataclasses
import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.cases.domain.mapping import ColumnMapping, DateFormat, Encoding
from marketplace.cases.models import TapeMapping
from marketplace.db import Page
from marketplace.errors import Conflict, NotFound


class MappingNameTaken(Conflict):
    """The seller has a mapping of this name; mappings are never changed."""

    code = "mapping_name_taken"

    def __init__(self) -> None:
        super().__init__("A mapping of this name exists; mappings do not change, so save it under a new name.")


db.violation("uq_tape_mappings_organisation_id_name", MappingNameTaken)


def save_mapping(session: Session, *, name: str, rules: ColumnMapping, actor: Actor, at: datetime) -> TapeMapping:
    """Save a mapping for the actor's organisation; raise `MappingInvalid` or `MappingNameTaken`."""
    rules.check()
    row = TapeMapping(organisation_id=actor.organisation_id, name=name, rules=dataclasses.asdict(rules), created_at=at)
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="save", after={"name": name})
    return row


def list_mappings(session: Session, *, actor: Actor, cursor: str | None, limit: int) -> Page[TapeMapping]:
    """Mappings of the actor's organisation; operator and auditor see all."""
    query = select(TapeMapping)
    if not actor.sees_everything:
        query = query.where(TapeMapping.organisation_id == actor.organisation_id)
    return db.page(session, query, key_column=TapeMapping.id, cursor=cursor, limit=limit)


def require_mapping(session: Session, mapping_id: uuid.UUID, *, organisation_id: uuid.UUID) -> TapeMapping:
    """Return a seller's own mapping; raise `NotFound`."""
    row = session.get(TapeMapping, mapping_id)
    if row is None or row.organisation_id != organisation_id:
        raise NotFound("column mapping", mapping_id)
    return row


def rules_of(row: TapeMapping | None) -> ColumnMapping:
    """Return the rules of a saved mapping, or those of the market when there is none."""
    if row is None:
        return ColumnMapping()
    stored: dict[str, Any] = dict(row.rules)
    stored["date_format"] = DateFormat(stored["date_format"])
    stored["encoding"] = Encoding(stored["encoding"])
    return ColumnMapping(**stored)

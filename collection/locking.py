"""One deed after the other on a case: two receipts do not pay the same cent, two calls do not pass one limit."""

import uuid

from sqlalchemy import text
from sqlalchemy.orm import Session


def lock_case(session: Session, case_id: uuid.UUID) -> None:
    """Wait until no other transaction of collection works on the case; held until this one ends."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"collection:{case_id}"})

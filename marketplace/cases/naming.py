"""Fingerprints of names for obligors of tapes that were read before names were matched.

A name can only be read with the vault, so no migration can do it: the clockwork fills them in, some at a time.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace import outbox
from marketplace.cases.models import Case, Obligor
from marketplace.cases.sealing import context
from marketplace.crypto import Vault
from marketplace.outbox import Event

BATCH: Final = 5_000


@dataclass(frozen=True, slots=True)
class NamesFingerprinted(Event):
    """Every obligor can be matched by name from now on; `count` were filled in last."""

    name: ClassVar[str] = "cases.names_fingerprinted"
    count: int


def fingerprint_names(session: Session, *, vault: Vault, at: datetime, limit: int = BATCH) -> int:
    """Give up to `limit` obligors the fingerprint of their name that they lack; return how many.

    Late, twice or beside itself it does the same: rows that another run holds are left to it. With the last of them
    `cases.names_fingerprinted` is announced, so that who has bid already is held against them.
    """
    query = (
        select(Obligor, Case.organisation_id, Case.case_key)
        .join(Case, Case.id == Obligor.case_id)
        .where(Obligor.name_fingerprint.is_(None))
        .order_by(Obligor.id)
        .limit(limit)
        .with_for_update(of=Obligor, skip_locked=True)
    )
    rows = session.execute(query).all()
    for obligor, organisation_id, case_key in rows:
        place = context(organisation_id, case_key=case_key, role=obligor.role, field="name")
        obligor.name_fingerprint = vault.name_fingerprint(vault.open(obligor.name_sealed, context=place))
    session.flush()
    if rows and session.scalar(select(Obligor.id).where(Obligor.name_fingerprint.is_(None)).limit(1)) is None:
        outbox.publish(session, NamesFingerprinted(count=len(rows)), at=at)
    return len(rows)

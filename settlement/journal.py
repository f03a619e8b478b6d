"""Reading the books: entries with their lines, the statement of an account with its running balance."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace import db
from settlement.domain.ledger import Line
from settlement.models import Account, Entry, Posting


@dataclass(frozen=True, slots=True)
class EntryView:
    """An entry with its lines."""

    entry: Entry
    lines: Sequence[Line]


def list_entries(session: Session, *, account: str | None, cursor: str | None, limit: int) -> db.Page[EntryView]:
    """Return a page of entries, newest first, with all their lines; `account` leaves those that touch its key."""
    query = select(Entry)
    if account is not None:
        touched = select(Posting.entry_id).join(Account, Account.id == Posting.account_id).where(Account.key == account)
        query = query.where(Entry.id.in_(touched))
    page: db.Page[Entry] = db.page(session, query, key_column=Entry.id, cursor=cursor, limit=limit)
    rows = session.execute(
        select(Posting.entry_id, Account.key, Posting.amount_minor)
        .join(Account, Account.id == Posting.account_id)
        .where(Posting.entry_id.in_([entry.id for entry in page.items]))
        .order_by(Posting.entry_id, Posting.line)
    )
    lines: dict[uuid.UUID, list[Line]] = {entry.id: [] for entry in page.items}
    for entry_id, key, amount_minor in rows:
        lines[entry_id].append(Line(key, amount_minor))
    return db.Page([EntryView(entry, lines[entry.id]) for entry in page.items], page.next)

"""The books: one function posts, PostgreSQL itself refuses what does not balance, what changes and what overdraws.

`post` writes an entry with all its lines once per (source_kind, source_id). Corrections are reversals. Balances are
signed: debit +, credit −, so a liability that we owe reads negative here; `credit` turns it round.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    Select,
    Text,
    Uuid,
    and_,
    bindparam,
    func,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.orm import Session, make_transient_to_detached

from marketplace import arrays, clock, db, direct
from marketplace.actor import Actor
from marketplace.money import Money
from settlement.domain.ledger import (
    BOOKS_ZONE,
    AccountOverdrawn,
    AlreadyReversed,
    EntryNotFound,
    Line,
    PeriodClosed,
    account_type,
    check_lines,
)
from settlement.ledger_models import BalanceSnapshot
from settlement.models import Account, Entry, Posting

__all__ = ["Draft", "Line", "balance", "balances", "credit", "lock", "post", "post_all", "reverse"]

db.violation("accounts_limit", AccountOverdrawn)
db.violation("entries_period_open", PeriodClosed)


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry to be posted. `source_kind` and `source_id` say what happened to what; the same twice is one entry."""

    source_kind: str
    source_id: uuid.UUID
    description: str
    lines: Sequence[Line]
    currency: str
    value_on: date
    reverses_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """What an account holds. `balance_minor`: debit +, credit −."""

    key: str
    currency: str
    balance_minor: int

    @property
    def balance(self) -> Money:
        """The balance, debit + and credit −."""
        return Money(self.balance_minor, self.currency)


def post(
    session: Session,
    *,
    source_kind: str,
    source_id: uuid.UUID,
    description: str,
    lines: Sequence[Line],
    currency: str,
    value_on: date,
    actor: Actor,
    at: datetime,
) -> Entry:
    """Write one entry with all its lines; the same (source_kind, source_id) again gives the first entry, unchanged.

    Lines: `Line("bank", +100)`, debit + and credit −, two or more, none zero, adding up to zero in minor units of
    `currency`; accounts are opened by being named. Raises `EntryUnbalanced`, `UnknownAccount`; `AccountOverdrawn`
    when a limited account (deposits, unapplied, payable, holdback, in_payment) would owe less than nothing;
    `PeriodClosed` when the books of `at`'s day are closed.
    """
    draft = Draft(source_kind, source_id, description, lines, currency, value_on)
    return post_all(session, [draft], actor=actor, at=at)[0]


def post_all(session: Session, drafts: Sequence[Draft], *, actor: Actor, at: datetime) -> list[Entry]:
    """Write many entries in a constant number of statements; as `post`, results in the order given."""
    if not drafts:
        return []
    given, fresh = _write_all(session, drafts, actor=actor, at=at)
    if len(drafts) == len(fresh) == 1:
        return [_loaded(session, given)]
    wanted = (
        func.unnest(
            bindparam("kinds", [draft.source_kind for draft in drafts], ARRAY(Text)),
            bindparam("sources", [draft.source_id for draft in drafts], ARRAY(Uuid)),
        )
        .table_valued("kind", "source")
        .render_derived(name="w")
    )
    found = {
        (entry.source_kind, entry.source_id): entry
        for entry in session.scalars(
            select(Entry).join(wanted, and_(wanted.c.kind == Entry.source_kind, wanted.c.source == Entry.source_id))
        )
    }
    return [found[draft.source_kind, draft.source_id] for draft in drafts]


def post_many(session: Session, drafts: Sequence[Draft], *, actor: Actor, at: datetime) -> None:
    """Write many entries as `post_all` without reading them back; for thousands at a time, mostly on new accounts."""
    if drafts:
        _open_accounts_of(session, drafts, at=at)
        _write_all(session, drafts, actor=actor, at=at)


def _write_all(
    session: Session, drafts: Sequence[Draft], *, actor: Actor, at: datetime
) -> tuple["_Given", Sequence[uuid.UUID]]:
    for draft in drafts:
        check_lines(draft.lines)
    session.flush()
    given = _Given.of(drafts, actor=actor, at=at)
    fresh = _write(session, given)
    if fresh is None:
        _open_accounts_of(session, drafts, at=at)
        fresh = _write(session, given)
        assert fresh is not None, "accounts are never removed"
    return given, fresh


def _open_accounts_of(session: Session, drafts: Sequence[Draft], *, at: datetime) -> None:
    open_accounts(session, {(line.account, draft.currency) for draft in drafts for line in draft.lines}, at=at)


_WRITE: Final = """
WITH line AS MATERIALIZED (
    SELECT l.entry_id, l.line, a.id AS account_id, l.currency, l.amount
    FROM unnest(%(line_entries)s::uuid[], %(numbers)s::bigint[], %(accounts)s::text[], %(line_currencies)s::text[],
        %(amounts)s::bigint[]) AS l(entry_id, line, key, currency, amount)
    LEFT JOIN accounts a ON a.key = l.key AND a.currency = l.currency::char(3)),
missing AS (SELECT count(*) AS accounts FROM line WHERE account_id IS NULL),
fresh AS (
    INSERT INTO entries (id, source_kind, source_id, description, currency, value_on, reverses_id,
        posted_on, posted_at, posted_by)
    SELECT d.*, %(posted_on)s::date, %(posted_at)s::timestamptz, %(posted_by)s
    FROM unnest(%(ids)s::uuid[], %(kinds)s::text[], %(sources)s::uuid[], %(descriptions)s::text[],
        %(currencies)s::text[], %(value_days)s::date[], %(reversed)s::uuid[]) AS d
    WHERE (SELECT accounts FROM missing) = 0
    ON CONFLICT (source_kind, source_id) DO NOTHING RETURNING id),
written AS (
    INSERT INTO postings (entry_id, line, account_id, currency, amount_minor, posted_on)
    SELECT line.*, %(posted_on)s::date FROM line WHERE (line.entry_id IN (SELECT id FROM fresh)) IS TRUE)
SELECT (SELECT accounts FROM missing) AS missing, array(SELECT id FROM fresh) AS fresh
"""
"""Entries that are not there yet and all their lines, in one statement, which PostgreSQL's checks look at as a whole;
nothing while an account is missing. `IS TRUE` makes the set of new entries a hash for any plan: a kept plan that joins
would be quadratic in the lines. Sent by the driver itself: it is the one statement whose speed everything rests on."""


@dataclass(frozen=True, slots=True)
class _Given:
    """Drafts as they are written: the id that each gets if it is new, and the parameters of `_WRITE`."""

    drafts: Sequence[Draft]
    ids: Sequence[uuid.UUID]
    posted_on: date
    at: datetime
    by: str

    @classmethod
    def of(cls, drafts: Sequence[Draft], *, actor: Actor, at: datetime) -> "_Given":
        return cls(drafts, db.new_ids(len(drafts)), clock.local_date(at, BOOKS_ZONE), at, actor.name)

    @property
    def parameters(self) -> dict[str, Any]:
        lines = [
            (entry_id, number, line.account, draft.currency, line.amount_minor)
            for entry_id, draft in zip(self.ids, self.drafts, strict=True)
            for number, line in enumerate(draft.lines, start=1)
        ]
        entry_ids, numbers, accounts, currencies, amounts = zip(*lines, strict=True)
        return {
            "line_entries": arrays.uuids(entry_ids),
            "numbers": arrays.bigints(numbers),
            "accounts": arrays.texts(accounts),
            "line_currencies": arrays.texts(currencies),
            "amounts": arrays.bigints(amounts),
            "posted_on": self.posted_on,
            "posted_at": self.at,
            "posted_by": self.by,
            "ids": arrays.uuids(self.ids),
            "kinds": arrays.texts(draft.source_kind for draft in self.drafts),
            "sources": arrays.uuids(draft.source_id for draft in self.drafts),
            "descriptions": arrays.texts(draft.description for draft in self.drafts),
            "currencies": arrays.texts(draft.currency for draft in self.drafts),
            "value_days": arrays.dates(draft.value_on for draft in self.drafts),
            "reversed": arrays.uuids(draft.reverses_id for draft in self.drafts),
        }


def _write(session: Session, given: _Given) -> list[uuid.UUID] | None:
    """Write what is new and return its ids; None when an account is missing, and then nothing was written."""
    (written,) = direct.rows(session, _WRITE, given.parameters)
    return None if written.missing else written.fresh


def _loaded(session: Session, given: _Given) -> Entry:
    """Return the one entry just written as a row of the session, without reading it back."""
    (draft,), (entry_id,) = given.drafts, given.ids
    row = Entry(
        id=entry_id,
        source_kind=draft.source_kind,
        source_id=draft.source_id,
        description=draft.description,
        currency=draft.currency,
        value_on=draft.value_on,
        posted_on=given.posted_on,
        posted_at=given.at,
        posted_by=given.by,
        reverses_id=draft.reverses_id,
    )
    make_transient_to_detached(row)
    session.add(row)
    return row


def open_accounts(session: Session, keys: set[tuple[str, str]], *, at: datetime) -> dict[tuple[str, str], uuid.UUID]:
    """Return the ids of accounts by (key, currency), opening those that are not there; in one order, so no deadlock."""
    found = _account_ids(session, keys)
    missing = sorted(keys - found.keys())
    if missing:
        types = [account_type(key) for key, _ in missing]
        made = session.connection().exec_driver_sql(
            _OPEN,
            (
                at,
                arrays.uuids(db.new_ids(len(missing))),
                arrays.texts(key for key, _ in missing),
                arrays.texts(currency for _, currency in missing),
                arrays.texts(one.kind.value for one in types),
                [one.limited for one in types],
            ),
        )
        found |= {(key, currency): account_id for account_id, key, currency in made}
        if len(found) < len(keys):
            found = _account_ids(session, keys)
    return found


_OPEN: Final = """
INSERT INTO accounts (id, key, currency, kind, limited, created_at)
SELECT d.*, %s::timestamptz FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::boolean[]) AS d
ON CONFLICT DO NOTHING RETURNING id, key, currency
"""


def _account_ids(session: Session, keys: set[tuple[str, str]]) -> dict[tuple[str, str], uuid.UUID]:
    rows = session.connection().exec_driver_sql(
        "SELECT id, key, currency FROM accounts WHERE key = ANY (%s::text[])",
        (arrays.texts({key for key, _ in keys}),),
    )
    return {(key, currency): account_id for account_id, key, currency in rows if (key, currency) in keys}


def lock(session: Session, account: str, *, currency: str, at: datetime) -> uuid.UUID:
    """Open the account if need be and hold its row until the end of the transaction; return its id."""
    account_id = open_accounts(session, {(account, currency)}, at=at)[account, currency]
    session.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))
    return account_id


def _sum_of(value_on: date | None, posted_on: date | None) -> Select[str, str, int]:
    """Sum per account: the newest snapshot not after `posted_on` plus the tail; without one for a value date."""
    total = func.coalesce(func.sum(Posting.amount_minor), 0)
    if value_on is not None:
        query = (
            select(Account.key, Account.currency, total)
            .join(Posting, Posting.account_id == Account.id)
            .join(Entry, Entry.id == Posting.entry_id)
            .where(Entry.value_on <= value_on)
        )
        if posted_on is not None:
            query = query.where(Posting.posted_on <= posted_on)
        return query.group_by(Account.key, Account.currency)
    until = BalanceSnapshot.day <= posted_on if posted_on is not None else true()
    snapshot = (
        select(BalanceSnapshot.day, BalanceSnapshot.balance_minor)
        .where(BalanceSnapshot.account_id == Account.id, until)
        .order_by(BalanceSnapshot.day.desc())
        .limit(1)
        .lateral("snapshot")
    )
    tail = select(total.label("minor"), func.count().label("lines")).where(
        Posting.account_id == Account.id,
        Posting.posted_on > func.coalesce(snapshot.c.day, text("DATE '-infinity'")),
    )
    if posted_on is not None:
        tail = tail.where(Posting.posted_on <= posted_on)
    since = tail.lateral("tail")
    return (
        select(Account.key, Account.currency, func.coalesce(snapshot.c.balance_minor, 0) + since.c.minor)
        .outerjoin(snapshot, true())
        .join(since, true())
        .where(or_(snapshot.c.day.is_not(None), since.c.lines > 0))
    )


def balance(
    session: Session, account: str, *, currency: str, value_on: date | None = None, posted_on: date | None = None
) -> int:
    """Return what an account holds in minor units, debit + and credit −, as of the end of a value and posting date.

    Without a value date it costs one snapshot and the postings after it, however old and busy the account is.
    """
    session.flush()
    query = _sum_of(value_on, posted_on).where(Account.key == account, Account.currency == currency)
    row = session.execute(query).first()
    return int(row[2]) if row else 0


def credit(session: Session, account: str, *, currency: str) -> int:
    """Return what we owe on an account in minor units: the balance turned round."""
    return -balance(session, account, currency=currency)


def balances(
    session: Session,
    *,
    prefix: str = "",
    value_on: date | None = None,
    posted_on: date | None = None,
    after: str = "",
    limit: int | None = None,
) -> list[AccountBalance]:
    """Return accounts under a prefix with their balances (debit +) in order of key and currency, all unless `limit`.

    `after` leaves out keys up to and including that one; `limit` counts keys, so a key's currencies stay together.
    """
    session.flush()
    query = _sum_of(value_on, posted_on).where(Account.key.startswith(prefix, autoescape=True))
    if after or limit is not None:
        keys = select(Account.key).where(Account.key.startswith(prefix, autoescape=True), Account.key > after)
        query = query.where(Account.key.in_(keys.distinct().order_by(Account.key).limit(limit)))
    rows = session.execute(query.order_by(Account.key, Account.currency))
    return [AccountBalance(key, currency, int(total)) for key, currency, total in rows]


def reverse(session: Session, *, entry_id: uuid.UUID, reason: str, value_on: date, actor: Actor, at: datetime) -> Entry:
    """Take an entry back by its mirror image, once; raise `EntryNotFound`, `AlreadyReversed` for a reversal."""
    entry = session.get(Entry, entry_id)
    if entry is None:
        raise EntryNotFound(entry_id)
    if entry.reverses_id is not None:
        raise AlreadyReversed(entry_id)
    draft = Draft(
        source_kind="reversal",
        source_id=entry_id,
        description=f"Reversal: {reason}",
        lines=mirror_of(session, entry_id=entry_id),
        currency=entry.currency,
        value_on=value_on,
        reverses_id=entry_id,
    )
    return post_all(session, [draft], actor=actor, at=at)[0]


def mirror_of(session: Session, *, entry_id: uuid.UUID) -> list[Line]:
    """Return the lines that take an entry back: its own, debit and credit turned round, in their order."""
    rows = session.execute(
        select(Account.key, Posting.amount_minor)
        .join(Account, Account.id == Posting.account_id)
        .where(Posting.entry_id == entry_id)
        .order_by(Posting.line)
    )
    return [Line(key, -amount) for key, amount in rows]

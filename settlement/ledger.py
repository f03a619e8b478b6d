"""The books: one function posts, PostgreSQL itself refuses what does not balance, what changes and what overdraws.

`post` writes an entry with all its lines once per (source_kind, source_id). Corrections are reversals. Balances are
signed: debit +, credit −, so a liability that we owe reads negative here; `credit` turns it round.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Date,
    Select,
    String,
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
from sqlalchemy.orm import Session

from marketplace import clock, db
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
    for draft in drafts:
        check_lines(draft.lines)
    if not drafts:
        return []
    session.flush()
    _write(session, drafts, actor=actor, at=at)
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


_WRITE: Final = text(
    "WITH fresh AS ("
    " INSERT INTO entries (id, source_kind, source_id, description, currency, value_on, reverses_id,"
    " posted_on, posted_at, posted_by)"
    " SELECT d.*, :posted_on, :posted_at, :posted_by"
    " FROM unnest(:ids, :kinds, :sources, :descriptions, :currencies, :values, :reverses) AS d"
    " ON CONFLICT (source_kind, source_id) DO NOTHING RETURNING id)"
    " INSERT INTO postings (entry_id, line, account_id, currency, amount_minor, posted_on)"
    " SELECT l.*, :posted_on FROM unnest(:entries, :lines, :accounts, :line_currencies, :amounts)"
    " AS l(entry_id, line, account_id, currency, amount)"
    " WHERE (l.entry_id IN (SELECT id FROM fresh)) IS TRUE"
)
"""Entries that are not there yet and all their lines, in one statement, which PostgreSQL's checks look at as a whole.
`IS TRUE` makes the set a hash for any plan: a kept plan that joins would be quadratic in the lines."""


def _write(session: Session, drafts: Sequence[Draft], *, actor: Actor, at: datetime) -> None:
    ids = [db.new_id() for _ in drafts]
    accounts = open_accounts(
        session, {(line.account, draft.currency) for draft in drafts for line in draft.lines}, at=at
    )
    rows = [
        (entry_id, number, accounts[line.account, draft.currency], draft.currency, line.amount_minor)
        for entry_id, draft in zip(ids, drafts, strict=True)
        for number, line in enumerate(draft.lines, start=1)
    ]
    session.execute(
        _WRITE.bindparams(
            bindparam("ids", ids, ARRAY(Uuid)),
            bindparam("kinds", [draft.source_kind for draft in drafts], ARRAY(Text)),
            bindparam("sources", [draft.source_id for draft in drafts], ARRAY(Uuid)),
            bindparam("descriptions", [draft.description for draft in drafts], ARRAY(Text)),
            bindparam("currencies", [draft.currency for draft in drafts], ARRAY(Text)),
            bindparam("values", [draft.value_on for draft in drafts], ARRAY(Date)),
            bindparam("reverses", [draft.reverses_id for draft in drafts], ARRAY(Uuid)),
            bindparam("posted_on", clock.local_date(at, BOOKS_ZONE), Date),
            bindparam("posted_at", at, db.UtcDateTime),
            bindparam("posted_by", actor.name, String),
            bindparam("entries", [row[0] for row in rows], ARRAY(Uuid)),
            bindparam("lines", [row[1] for row in rows], ARRAY(BigInteger)),
            bindparam("accounts", [row[2] for row in rows], ARRAY(Uuid)),
            bindparam("line_currencies", [row[3] for row in rows], ARRAY(Text)),
            bindparam("amounts", [row[4] for row in rows], ARRAY(BigInteger)),
        )
    )


def open_accounts(session: Session, keys: set[tuple[str, str]], *, at: datetime) -> dict[tuple[str, str], uuid.UUID]:
    """Return the ids of accounts by (key, currency), opening those that are not there; in one order, so no deadlock."""
    found = _account_ids(session, keys)
    missing = sorted(keys - found.keys())
    if missing:
        types = [account_type(key) for key, _ in missing]
        session.execute(
            text(
                "INSERT INTO accounts (id, key, currency, kind, limited, created_at)"
                " SELECT d.*, :at FROM unnest(:ids, :keys, :currencies, :kinds, :limits) AS d ON CONFLICT DO NOTHING"
            ).bindparams(
                bindparam("ids", [db.new_id() for _ in missing], ARRAY(Uuid)),
                bindparam("keys", [key for key, _ in missing], ARRAY(Text)),
                bindparam("currencies", [currency for _, currency in missing], ARRAY(Text)),
                bindparam("kinds", [one.kind.value for one in types], ARRAY(Text)),
                bindparam("limits", [one.limited for one in types], ARRAY(Boolean)),
                bindparam("at", at, db.UtcDateTime),
            )
        )
        found = _account_ids(session, keys)
    return found


def _account_ids(session: Session, keys: set[tuple[str, str]]) -> dict[tuple[str, str], uuid.UUID]:
    wanted = (
        func.unnest(bindparam("names", list({key for key, _ in keys}), ARRAY(Text)))
        .table_valued("key")
        .render_derived(name="w")
    )
    rows = session.execute(select(Account.id, Account.key, Account.currency).join(wanted, wanted.c.key == Account.key))
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

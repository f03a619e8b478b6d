"""The log of an auction: how an entry is signed, chained and written, and how it is read again.

An entry's hash covers the receipt of its deed and the hash before it (`auctions.domain.proofs`). Statements are
plain SQL with arrays: a batch of any size is one statement, and this is the hot path.
"""

import contextlib
import functools
import hashlib
import uuid
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy.orm import Session

from auctions import refusals, veils
from auctions.domain import proofs
from auctions.domain.formats import Answer, Event, Standing
from auctions.domain.lifecycles import EntryKind
from auctions.domain.proofs import Draft, SignedReceipt, Signer
from marketplace import db, direct
from marketplace.actor import Actor
from marketplace.clock import format_instant
from marketplace.money import exponent

db.violation("uq_auction_events_sequence", refusals.LostRace)
db.violation("pk_auction_events", refusals.LostRace)
db.violation("uq_auction_events_idempotency", refusals.LostRace)
db.violation("ck_auction_events_in_order", refusals.LostRace)


@dataclass(slots=True)
class Head:
    """Where an auction's log ends, as of its locked row; grows with every entry that is to be written."""

    auction_id: uuid.UUID
    listing_id: uuid.UUID
    currency: str
    rules_hash: str
    number: int
    accepted: int
    hash: bytes
    auction_text: str


@dataclass(frozen=True, slots=True)
class Deed:
    """What an entry says beside its standing: who did what, and under which key; `key_digest` of an attempt."""

    event: Event
    registration_id: uuid.UUID | None
    actor: Actor
    key_digest: bytes | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry ready to be written, its receipt still without a signature. Amounts in minor units."""

    number: int
    kind: str
    sequence: int | None
    accepted: int
    registration_id: uuid.UUID | None
    amount_minor: int | None
    lots: tuple[str, ...] | None
    reason: str
    at: datetime
    price_minor: int | None
    leader: str | None
    ends_at: datetime
    extensions: int
    idempotency_digest: bytes | None
    actor_user_id: uuid.UUID | None
    actor_api_key_id: uuid.UUID | None
    hash: bytes
    draft: Draft
    veiled: bool


READ_AT_ONCE: Final = 1000

_COLUMNS: Final = {
    "number": "bigint",
    "kind": "text",
    "sequence": "bigint",
    "accepted": "bigint",
    "registration_id": "uuid",
    "amount_minor": "bigint",
    "lots": "jsonb",
    "reason": "text",
    "at": "timestamptz",
    "price_minor": "bigint",
    "leader": "text",
    "ends_at": "timestamptz",
    "extensions": "bigint",
    "idempotency_digest": "bytea",
    "actor_user_id": "uuid",
    "actor_api_key_id": "uuid",
    "receipt": "text",
    "signature": "bytea",
    "inclusion": "bytea",
    "hash": "bytea",
}
_OF_ENTRY: Final = [name for name in _COLUMNS if name not in {"receipt", "signature", "inclusion"}]
_NAMES: Final = ", ".join(_COLUMNS)
_WRITE: Final = (
    f"WITH written AS (INSERT INTO auction_events (auction_id, listing_id, {_NAMES})"  # noqa: S608 - our own names
    f" SELECT %(auction_id)s, %(listing_id)s, {_NAMES} FROM json_to_recordset(%(entries)s::json)"
    f" AS entry ({', '.join(f'{name} {kind}' for name, kind in _COLUMNS.items())}) ORDER BY number) "
    "UPDATE auctions SET price_minor = %(now_price)s, leader_registration_id = (SELECT id FROM registrations"
    " WHERE listing_id = %(listing_id)s AND bidder_code = %(now_leader)s), ends_at = %(now_end)s,"
    " number = %(now_number)s, sequence = %(now_accepted)s, extensions = %(now_extensions)s, head = %(now_head)s,"
    " last_event_at = %(now_at)s, suspended_at = %(now_suspended)s, play = %(now_play)s"
    " WHERE id = %(auction_id)s"
)
"""Entries, as one JSON text, and the standing after the last of them, in one statement."""

_READ: Final = (
    f"SELECT bidder_code, {', '.join(f'e.{name}' for name in _COLUMNS)} FROM auction_events e"  # noqa: S608 - our own names
    " LEFT JOIN registrations r ON r.id = e.registration_id WHERE auction_id = %(auction_id)s AND number > %(after)s"
    " ORDER BY number LIMIT %(limit)s"
)


_WAS_VOIDED: Final = (
    "SELECT 1 FROM auction_events WHERE auction_id = %(auction_id)s AND registration_id = %(registration_id)s"
    " AND kind = 'void'"
)


def head_of(row: Any) -> Head:
    """Return where the log of an auction's row ends."""
    return Head(
        auction_id=row.id,
        listing_id=row.listing_id,
        currency=row.currency,
        rules_hash=row.rules_hash,
        number=row.number,
        accepted=row.sequence,
        hash=proofs.genesis(row.rules_hash) if row.head is None else row.head,
        auction_text=str(row.id),
    )


def key_digest(idempotency_key: str) -> bytes:
    """Return what is kept of a key: bidders choose them, and they may hold a bidder's own words."""
    return hashlib.sha256(idempotency_key.encode()).digest()


def draft(
    head: Head,
    event: Event,
    answer: dict[str, Any],
    standing: Standing,
    *,
    key_digest: bytes | None,
    key_id: str,
    chained: bool,
) -> Draft:
    """Write down the answer to an event, given as `answer_document` has it.

    `chained`: whether it becomes the next link, and names the head before it.
    """
    return proofs.draft(
        key_id=key_id,
        auction_id=head.auction_text,
        rules_hash=head.rules_hash,
        head=head.hash if chained else None,
        event=event_document(event, head.currency),
        answer=answer,
        price=text(standing.price, head.currency),
        ends_at=format_instant(standing.ends_at),
        key_digest=key_digest,
    )


def append(head: Head, deed: Deed, answer: Answer, standing: Standing, *, key_id: str) -> Entry:
    """Chain an accepted deed: returns the entry to be written, and moves `head` on. `key_id`: who will sign it."""
    event, attempt = deed.event, deed.key_digest is not None
    drafted = draft(
        head,
        event,
        answer_document(answer, head.currency),
        standing,
        key_digest=deed.key_digest,
        key_id=key_id,
        chained=True,
    )
    head.number += 1
    head.accepted += attempt
    head.hash = proofs.link(head.hash, drafted)
    veiled = attempt and standing.sealed
    return Entry(
        number=head.number,
        kind=event.kind,
        sequence=head.accepted if attempt else None,
        accepted=head.accepted,
        registration_id=deed.registration_id,
        amount_minor=None if veiled else amount_of(event, answer),
        lots=event.lots or None,
        reason=deed.reason,
        at=event.at,
        price_minor=standing.price,
        leader=standing.leader,
        ends_at=standing.ends_at,
        extensions=standing.extensions,
        idempotency_digest=deed.key_digest,
        actor_user_id=deed.actor.user_id,
        actor_api_key_id=deed.actor.api_key_id,
        hash=head.hash,
        draft=drafted,
        veiled=veiled,
    )


def write(
    session: Session, *, head: Head, entries: Sequence[Entry], standing: Standing, play: str, signer: Signer
) -> list[SignedReceipt]:
    """Sign and add entries and move the auction's row to the standing after the last; the caller holds the row's lock.

    Returns their receipts. Those of a phase in which numbers are hidden are signed one by one: a place in a batch tells
    how many there were.
    """
    last = entries[-1]
    signed = proofs.sign(signer, [entry.draft for entry in entries], alone=standing.sealed)
    rows = [_row(entry, receipt) for entry, receipt in zip(entries, signed, strict=True)]
    values = {
        "entries": orjson.dumps(rows, default=_bytea).decode(),
        "auction_id": head.auction_id,
        "listing_id": head.listing_id,
        "now_price": last.price_minor,
        "now_leader": last.leader,
        "now_end": last.ends_at,
        "now_number": head.number,
        "now_accepted": head.accepted,
        "now_extensions": last.extensions,
        "now_head": head.hash,
        "now_at": last.at,
        "now_suspended": standing.suspended_at,
        "now_play": play,
    }
    direct.tell(session, _WRITE, values)
    return signed


def _row(entry: Entry, signed: SignedReceipt) -> dict[str, Any]:
    inclusion = None if signed.inclusion is None else signed.inclusion.packed
    receipt, signature = signed.content.decode(), signed.signature
    if entry.veiled:
        receipt, signature = veils.lay_receipt(receipt, signature), veils.NO_SIGNATURE
    more = {"receipt": receipt, "signature": signature, "inclusion": inclusion}
    return {name: getattr(entry, name) for name in _OF_ENTRY} | more


def _bytea(value: Any) -> str:
    """Write bytes as PostgreSQL reads them in a text."""
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    raise TypeError(type(value).__name__)


def read(
    session: Session, auction_id: uuid.UUID, *, after: int = 0, limit: int | None = None
) -> Generator[Any, None, None]:
    """Yield the entries of an auction in order, each with the code of its bidder; a thousand at a time are in memory.

    Those whose number is above `after`, at most `limit` of them. Whoever does not read to the end closes it.
    """
    options = {"yield_per": READ_AT_ONCE}
    values = {"auction_id": auction_id, "after": after, "limit": limit}
    found = session.connection().exec_driver_sql(_READ, values, execution_options=options)
    with contextlib.closing(found):
        yield from found


def event_document(event: Event, currency: str) -> dict[str, Any]:
    """Return an event as the file format "auction replay" has it."""
    document: dict[str, Any] = {"at": format_instant(event.at), "kind": event.kind}
    if event.bidder:
        document["bidder"] = event.bidder
    if event.lots:
        document["lots"] = list(event.lots)
    amount = event.amount or event.seen
    if amount:
        document["amount"] = text(amount, currency)
    return document


def amount_of(event: Event, answer: Answer) -> int | None:
    """Return the amount of an accepted attempt: what was bid, or the price that was taken."""
    if event.kind == EntryKind.ACCEPT:
        return answer.price if event.seen is None else event.seen
    return event.amount or None


def answer_document(answer: Answer, currency: str) -> dict[str, Any]:
    """Return an answer as the file format "auction replay" has it, without its index."""
    values = {
        "accepted": answer.accepted,
        "code": answer.code,
        "sequence": answer.sequence,
        "price": text(answer.price, currency),
        "leader": answer.leader,
        "minimum_next": text(answer.minimum_next, currency),
        "ends_at": None if answer.ends_at is None else format_instant(answer.ends_at),
    }
    return {name: value for name, value in values.items() if value is not None}


@functools.lru_cache(maxsize=4096)
def text(minor: int | None, currency: str) -> str | None:
    """Write an amount of the log, which is never negative."""
    if minor is None:
        return None
    decimals = exponent(currency)
    digits = str(minor).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits


def proof_of(entry: Any) -> SignedReceipt | None:
    """Return the signed receipt of an entry as it was given; None if it was made before receipts were signed."""
    if entry.receipt is None:
        return None
    return SignedReceipt.kept(*veils.lift_receipt(entry.receipt, entry.signature), entry.inclusion)


def minor_of(entry: Any) -> int | None:
    """Return the amount of an entry, minor units; of a veiled one out of its receipt, which writes all decimals."""
    signed = proof_of(entry) if veils.is_veiled(entry) else None
    if signed is None:
        return None if entry.amount_minor is None else int(entry.amount_minor)
    amount = signed.receipt["event"].get("amount")
    return None if amount is None else int(amount.replace(".", ""))


def head_after(head: bytes, entry: Any) -> bytes:
    """Return the head after an entry as it was read; an entry of before receipts were signed has only its hash."""
    if entry.receipt is None:
        return bytes(entry.hash)
    receipt, signature = veils.lift_receipt(entry.receipt, entry.signature)
    return proofs.linked(head, signature=signature, content=receipt.encode())


def was_voided(session: Session, *, auction_id: uuid.UUID, registration_id: uuid.UUID) -> bool:
    """Whether the log says that a bidder was removed."""
    values = {"auction_id": auction_id, "registration_id": registration_id}
    return session.connection().exec_driver_sql(_WAS_VOIDED, values).first() is not None

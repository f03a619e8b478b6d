"""Sealed attempts at rest: a book for each registration, all of them written anew by every attempt and as cover.

Nothing here counts. The order of writers is held by an advisory lock, which leaves no trace in a row; the log, the row
of the auction, the outbox and the audit trail are not touched before the ceremony (`auctions.opening`).
"""

import hashlib
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, exists, func, select, text, update
from sqlalchemy.orm import Session

from auctions import log, refusals
from auctions.domain import commitments, proofs
from auctions.domain.book import KEY_BYTES, Attempt, Book, request_hash
from auctions.domain.ceremony import THRESHOLD
from auctions.domain.proofs import SignedReceipt, Signer
from auctions.models import Auction, Registration
from auctions.proof_models import SealedBook, SealedCommitment, SealingKey, SealingShare
from marketplace import db
from marketplace.actor import Actor
from marketplace.clock import format_instant
from marketplace.crypto import Vault
from marketplace.errors import Conflict
from marketplace.idempotency import IdempotencyKeyReused
from marketplace.money import Money

SEALED_FORMATS: Final = frozenset({"sealed_first_price", "sealed_second_price", "package"})
"""Formats whose bids nobody may read or count before their end."""

COVER_ONE_IN: Final = 20
"""Every second the clockwork writes an auction's books anew with this chance: at random moments, three a minute."""

_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('auctions.sealed_books/' || :auction, 0))")
_CLOCK: Final = select(func.auction_time(type_=db.UtcDateTime()), text("clock_timestamp()"))


class NotSealable(Conflict):
    """The auction takes no sealed bids: fewer than two holders collected their shares in time."""

    code = "not_sealable"

    def __init__(self) -> None:
        super().__init__("Fewer than two holders collected their shares before bidding opened; no bid can be sealed.")


@dataclass(frozen=True, slots=True)
class Request:
    """What a bidder asks for, checked by the lane: approved, covered, the amount and the lots allowed by the rules."""

    registration_id: uuid.UUID
    bidder: str
    kind: str
    amount: Money | None
    lots: tuple[str, ...]
    idempotency_key: str

    def event(self, at: datetime) -> dict[str, Any]:
        """The event of a replay file."""
        values = {
            "at": format_instant(at),
            "kind": self.kind,
            "bidder": self.bidder,
            "amount": self.amount and self.amount.text,
            "lots": list(self.lots) or None,
        }
        return {name: value for name, value in values.items() if value is not None}


def put(
    session: Session, *, auction_id: uuid.UUID, request: Request, actor: Actor, signer: Signer, vault: Vault
) -> SignedReceipt:
    """Seal an attempt at PostgreSQL's time and return its receipt; the same key again returns the first receipt.

    Raises `Late` at or after the end, `Suspended` and `Voided` for what the operator did since the look, `NotSealable`,
    `IdempotencyKeyReused`.
    """
    shelf = _open_shelf(session, auction_id, vault)
    own = shelf.books[request.registration_id]
    content = own.unwrap(shelf.contents[request.registration_id])
    found = own.find(content, request.idempotency_key)
    at, entered = session.execute(_CLOCK).one()
    event = request.event(at)
    if found is not None:
        if found[1] != request_hash(event):
            raise IdempotencyKeyReused
        return found[0]
    _check_taken(session, shelf.auction, request.registration_id, at=at)
    box = own.seal_bid(event)
    signed = _receipt(shelf.auction, event, box, request.idempotency_key, signer)
    attempt = Attempt(
        event=event,
        entered=int(entered.timestamp()) * 1_000_000 + entered.microsecond,
        box=box,
        signed=signed,
        user_id=str(actor.user_id) if actor.user_id else None,
        api_key_id=str(actor.api_key_id) if actor.api_key_id else None,
    )
    place = own.place(attempt, idempotency_key=request.idempotency_key, request=request_hash(event))
    _write(session, shelf, {request.registration_id: own.put(content, place)})
    return signed


def _check_taken(session: Session, auction: Any, registration_id: uuid.UUID, *, at: datetime) -> None:
    """Refuse what the auction as it is under the lock of the books would not count."""
    if auction.suspended_at is not None:
        raise refusals.Suspended(minimum_next=None, at=at)
    if at >= auction.ends_at:
        raise refusals.Late(minimum_next=None, at=at)
    if log.was_voided(session, auction_id=auction.id, registration_id=registration_id):
        raise refusals.Voided(minimum_next=None, at=at)


def lock_books(session: Session, auction_id: uuid.UUID) -> None:
    """Lock the books of an auction for this transaction; whoever locks its row too locks it after them."""
    session.execute(_LOCK, {"auction": str(auction_id)})


def _receipt(auction: Any, event: dict[str, Any], box: bytes, key: str, signer: Signer) -> SignedReceipt:
    told = {name: event[name] for name in ("at", "kind", "bidder")} | {"sealed": proofs.bytes_hash(box)}
    draft = proofs.draft(
        key_id=signer.key_id,
        auction_id=str(auction.id),
        rules_hash=auction.rules_hash,
        head=None,
        event=told,
        answer={"accepted": True},
        price=None,
        ends_at=format_instant(auction.ends_at),
        key_digest=hashlib.sha256(key.encode()).digest(),
    )
    return proofs.sign(signer, [draft])[0]


@dataclass(frozen=True, slots=True)
class _Shelf:
    """All books of an auction, locked, as they are stored."""

    auction: Any
    secret: bytes
    books: dict[uuid.UUID, Book]
    contents: dict[uuid.UUID, bytes]

    def boxes(self) -> dict[uuid.UUID, list[bytes]]:
        """Return the boxes of every book by registration, in the order in which commitments take them."""
        return {one: self.books[one].boxes(self.books[one].unwrap(self.contents[one])) for one in sorted(self.books)}


def _open_shelf(session: Session, auction_id: uuid.UUID, vault: Vault) -> _Shelf:
    """Lock and read the books; a registration that has none yet gets one, whoever asked."""
    lock_books(session, auction_id)
    auction = session.execute(_AUCTION.where(Auction.id == auction_id)).one()
    key = session.execute(
        select(SealingKey.public, SealingKey.book_key, SealingKey.room, _COLLECTED).where(
            SealingKey.auction_id == auction_id
        )
    ).one()
    if key.collected < THRESHOLD:
        raise NotSealable
    secret = bytes.fromhex(vault.open(key.book_key, context=book_context(auction_id)))
    registrations = session.scalars(select(Registration.id).where(Registration.listing_id == auction.listing_id)).all()
    books = {one: Book(secret, key.public, key.room, one) for one in registrations}
    query = select(SealedBook.registration_id, SealedBook.book).where(SealedBook.auction_id == auction_id)
    contents = {row.registration_id: row.book for row in session.execute(query)}
    for missing in books.keys() - contents.keys():
        contents[missing] = books[missing].wrap(books[missing].blank())
        session.add(SealedBook(registration_id=missing, auction_id=auction_id, book=contents[missing]))
    session.flush()
    return _Shelf(auction, secret, books, contents)


_AUCTION: Final = select(
    Auction.id, Auction.listing_id, Auction.rules_hash, Auction.ends_at, Auction.opens_at, Auction.suspended_at
)

_COLLECTED: Final = (
    select(func.count())
    .where(SealingShare.auction_id == SealingKey.auction_id, SealingShare.collected_at.is_not(None))
    .scalar_subquery()
    .label("collected")
)


def sealable(session: Session, auction_id: uuid.UUID) -> bool:
    """Whether two holders collected their shares, so that the auction takes bids."""
    query = select(_COLLECTED).where(SealingKey.auction_id == auction_id)
    return (session.scalars(query).first() or 0) >= THRESHOLD


def _write(session: Session, shelf: _Shelf, changed: dict[uuid.UUID, bytes]) -> None:
    """Wrap and write every book, the changed ones with their new content."""
    rows = [
        {"one": one, "wrapped": book.wrap(changed.get(one) or book.unwrap(shelf.contents[one]))}
        for one, book in shelf.books.items()
    ]
    statement = update(SealedBook.__table__).where(SealedBook.registration_id == bindparam("one"))  # type: ignore[arg-type]  # wider in the library than in its stubs
    session.connection().execute(statement.values(book=bindparam("wrapped")), rows)


def new_book_key(auction_id: uuid.UUID, vault: Vault) -> bytes:
    """Return a new key for wrapping the books of an auction, encrypted by the vault."""
    return vault.seal(secrets.token_hex(KEY_BYTES), context=book_context(auction_id))


def book_context(auction_id: uuid.UUID) -> str:
    """What the key of the books belongs to."""
    return f"sealing_keys/{auction_id}/book"


def awaits_opening() -> Any:
    """A condition on `Auction`: its bids are sealed and the ceremony has not been held, so it cannot close."""
    return exists(
        select(SealingKey.auction_id).where(SealingKey.auction_id == Auction.id, SealingKey.opened_at.is_(None))
    )


def attempts(
    session: Session, *, auction_id: uuid.UUID, private: bytes, vault: Vault
) -> list[tuple[uuid.UUID, Attempt]]:
    """Open every book and return the attempts in order of arrival with their registrations; for the ceremony."""
    shelf = _open_shelf(session, auction_id, vault)
    found = [
        (one, attempt)
        for one, book in shelf.books.items()
        for attempt in book.attempts(book.unwrap(shelf.contents[one]), private)
    ]
    return sorted(found, key=lambda pair: (pair[1].entered, pair[1].event["bidder"]))


def reveal(session: Session, *, auction_id: uuid.UUID, vault: Vault) -> bytes:
    """Write down the boxes of every book, for anyone to check, and return the seed of the commitments."""
    shelf = _open_shelf(session, auction_id, vault)
    for one, boxes in shelf.boxes().items():
        session.execute(update(SealedBook).where(SealedBook.registration_id == one).values(boxes=b"".join(boxes)))
    return commitments.seed_of(shelf.secret)


def last_commitment(session: Session, auction_id: uuid.UUID) -> SealedCommitment | None:
    """Return the latest commitment to the books of an auction."""
    query = select(SealedCommitment).where(SealedCommitment.auction_id == auction_id)
    return session.scalars(query.order_by(SealedCommitment.number.desc()).limit(1)).first()


def commit_books(session: Session, *, auction_id: uuid.UUID, vault: Vault) -> bool:
    """Commit to the books as they are, if their moment has come and has none yet; return whether it was done.

    Its time is read under the lock of the books, so it lies between the attempts before and after it. Raises
    `NotSealable`.
    """
    shelf = _open_shelf(session, auction_id, vault)
    now = session.execute(_CLOCK).one()[0]
    due_at = commitments.due_at(opens_at=shelf.auction.opens_at, ends_at=shelf.auction.ends_at, now=now)
    last = last_commitment(session, auction_id)
    if due_at is None or (last is not None and last.at >= due_at):
        return False
    seed = commitments.seed_of(shelf.secret)
    head = commitments.genesis(shelf.auction.rules_hash, seed) if last is None else last.head
    number, books = 1 if last is None else last.number + 1, list(shelf.boxes().values())
    made = commitments.take(head, number=number, at=format_instant(now), seed=seed, books=books)
    row = SealedCommitment(auction_id=auction_id, number=number, at=now, veiled=made.veiled, head=made.head)
    session.add(row)
    session.flush()
    return True


def commit_due(session: Session, *, vault: Vault) -> int:
    """Commit to the books of all auctions whose moment has come; return how many. Clockwork."""
    now = session.execute(_CLOCK).one()[0]
    running: Sequence[Any] = session.execute(
        select(Auction.id, Auction.opens_at, Auction.ends_at, _COMMITTED.label("last"))
        .join(SealingKey, SealingKey.auction_id == Auction.id)
        .where(Auction.opens_at <= now, SealingKey.opened_at.is_(None), Auction.closed_at.is_(None))
        .where(_COLLECTED >= THRESHOLD, Auction.suspended_at.is_(None))
    ).all()
    done = 0
    for row in running:
        due_at = commitments.due_at(opens_at=row.opens_at, ends_at=row.ends_at, now=now)
        if due_at is not None and (row.last is None or row.last < due_at):
            done += commit_books(session, auction_id=row.id, vault=vault)
    return done


_COMMITTED: Final = (
    select(func.max(SealedCommitment.at)).where(SealedCommitment.auction_id == Auction.id).scalar_subquery()
)


def cover(session: Session, *, vault: Vault) -> int:
    """Write the books of open sealed auctions anew, each with a chance of one in `COVER_ONE_IN`; return how many."""
    now = session.execute(_CLOCK).one()[0]
    open_now: Sequence[uuid.UUID] = session.scalars(
        select(SealingKey.auction_id)
        .join(Auction, Auction.id == SealingKey.auction_id)
        .where(Auction.opens_at <= now, Auction.ends_at > now, Auction.closed_at.is_(None), _COLLECTED >= THRESHOLD)
    ).all()
    chosen = [auction_id for auction_id in open_now if secrets.randbelow(COVER_ONE_IN) == 0]
    for auction_id in chosen:
        _write(session, _open_shelf(session, auction_id, vault), {})
    return len(chosen)

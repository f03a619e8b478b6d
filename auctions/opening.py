"""The ceremony: making a sealing key, giving out its shares, and opening the bids once two holders gave theirs.

The service holds the deadline by PostgreSQL's clock; that two holders with a copy of the database could conspire is a
limit that `docs/algorithms/proofs.md` states.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from auctions import listing, sealed_book
from auctions.domain import book, ceremony
from auctions.domain.book import Attempt
from auctions.domain.ceremony import ShareHolder
from auctions.domain.lifecycles import AuctionOutcome
from auctions.models import Auction, Listing
from auctions.proof_models import OpenedBox, SealedBook, SealingKey, SealingShare
from marketplace import audit
from marketplace.actor import SYSTEM, Actor, OrganisationKind, Role
from marketplace.crypto import Vault
from marketplace.errors import Conflict, NotFound
from marketplace.money import Money

BATCH: Final = 100
_KEEPERS: Final = frozenset({Role.SELLER_MANAGER, Role.OPERATOR_ADMIN, Role.OPERATOR_COMPLIANCE, Role.AUDITOR})
_HOLDERS: Final = {
    OrganisationKind.SELLER: ShareHolder.SELLER,
    OrganisationKind.OPERATOR: ShareHolder.OPERATOR,
    OrganisationKind.AUDITOR: ShareHolder.AUDITOR,
}


class ShareCollected(Conflict):
    """A share is given once."""

    code = "share_collected"

    def __init__(self, holder: ShareHolder) -> None:
        super().__init__(f"The {holder.value} has collected its share; it is given once.", holder=holder.value)


class BiddingHasOpened(Conflict):
    """Shares are given out and renewed only before bidding opens."""

    code = "bidding_has_opened"

    def __init__(self) -> None:
        super().__init__("Bidding has opened: shares are neither given out nor renewed any more.")


class TooEarlyToOpen(Conflict):
    """Sealed bids are opened at or after the end, by PostgreSQL's clock."""

    code = "too_early_to_open"

    def __init__(self, ends_at: datetime) -> None:
        super().__init__("Bids are opened at the end of the auction, not before.", ends_at=ends_at.isoformat())


@dataclass(frozen=True, slots=True)
class SharePlace:
    """One holder's share as everybody sees it."""

    holder: ShareHolder
    collected: bool
    submitted_at: datetime | None


@dataclass(frozen=True, slots=True)
class SealingView:
    """The sealing of an auction as everybody sees it: the public half, who holds shares, whether it is open.

    `books_head` is the head of the commitments to the books, as of `books_committed_at`; None before the first.
    """

    auction_id: uuid.UUID
    public: bytes
    room: int
    books_head: bytes | None
    books_committed_at: datetime | None
    opened_at: datetime | None
    shares: Sequence[SharePlace]


@dataclass(frozen=True, slots=True)
class CollectedShare:
    """A share, told once."""

    holder: ShareHolder
    share: str


def prepare(session: Session, *, auction_id: uuid.UUID, lots: Sequence[str], vault: Vault, at: datetime) -> None:
    """Make the sealing key of a new auction; its shares wait, encrypted, for their holders."""
    _make(session, auction_id, room=book.room_for(lots), vault=vault, at=at)


def _make(session: Session, auction_id: uuid.UUID, *, room: int, vault: Vault, at: datetime) -> None:
    made = ceremony.new_sealing(auction_id)
    session.add(
        SealingKey(
            auction_id=auction_id,
            public=made.public,
            book_key=sealed_book.new_book_key(auction_id, vault),
            room=room,
            made_at=at,
        )
    )
    session.flush()
    for holder, share in made.shares.items():
        session.add(
            SealingShare(
                auction_id=auction_id,
                holder=holder,
                commitment=ceremony.commitment(share),
                sealed=vault.seal(share, context=_context(auction_id, holder)),
            )
        )
    session.flush()


def renew(session: Session, *, auction_id: uuid.UUID, reason: str, vault: Vault, actor: Actor, at: datetime) -> None:
    """Make key and shares anew before bidding opens: every old share is worthless. For seller and operator.

    Raises `NotFound`, `BiddingHasOpened`.
    """
    auction, _ = _held(session, auction_id, actor, auditor=False)
    if listing.auction_time(session) >= auction.opens_at:
        raise BiddingHasOpened
    room = session.scalars(select(SealingKey.room).where(SealingKey.auction_id == auction_id)).one()
    for table in (SealedBook, SealingShare, SealingKey):
        session.execute(delete(table).where(table.auction_id == auction_id))
    session.expire_all()
    _make(session, auction_id, room=room, vault=vault, at=at)
    audit.record(session, actor=actor, at=at, subject=auction, verb="renew_sealing", reason=reason)


def collect_share(
    session: Session, *, auction_id: uuid.UUID, vault: Vault, actor: Actor, at: datetime
) -> CollectedShare:
    """Give the actor's organisation its share, once and before bidding opens; only its hash stays.

    Raises `NotFound`, `ShareCollected`, `BiddingHasOpened`.
    """
    auction, holder = _held(session, auction_id, actor)
    row = session.get_one(SealingShare, (auction_id, holder), with_for_update=True)
    if row.collected_at is not None:
        raise ShareCollected(holder)
    if row.sealed is None or listing.auction_time(session) >= auction.opens_at:
        raise BiddingHasOpened
    share = vault.open(row.sealed, context=_context(auction_id, holder))
    row.sealed, row.collected_at = None, at
    audit.record(session, actor=actor, at=at, subject=auction, verb="collect_share", after={"holder": holder.value})
    session.flush()
    return CollectedShare(holder, share)


def submit_share(
    session: Session, *, auction_id: uuid.UUID, share: str, vault: Vault, actor: Actor, at: datetime
) -> SealingView:
    """Give back a share at or after the end; the second one opens the bids. The same share again changes nothing.

    Raises `NotFound`, `TooEarlyToOpen`, `MistypedShare`, `WrongShare`.
    """
    auction, holder = _held(session, auction_id, actor)
    now = listing.auction_time(session)
    if auction.closed_at is not None and auction.outcome is AuctionOutcome.WITHDRAWN:
        raise listing.AuctionOver
    if now < auction.ends_at or auction.suspended_at is not None:
        raise TooEarlyToOpen(auction.ends_at)
    key = session.get_one(SealingKey, auction_id, with_for_update=True, populate_existing=True)
    row = session.get_one(SealingShare, (auction_id, holder), with_for_update=True, populate_existing=True)
    ceremony.check(share, holder=holder, committed=row.commitment)
    if key.opened_at is None and sealed_book.sealable(session, auction_id):
        sealed_book.commit_books(session, auction_id=auction_id, vault=vault)
    if row.submitted is None:
        row.submitted, row.submitted_at = vault.seal(share, context=_context(auction_id, holder)), at
        audit.record(session, actor=actor, at=at, subject=auction, verb="submit_share", after={"holder": holder.value})
        session.flush()
    if key.opened_at is None:
        _open(session, auction, key, vault=vault, at=now)
    return view_sealing(session, auction_id=auction_id)


def _open(session: Session, auction: Auction, key: SealingKey, *, vault: Vault, at: datetime) -> None:
    rows = session.scalars(
        select(SealingShare).where(SealingShare.auction_id == auction.id, SealingShare.submitted.is_not(None))
    )
    shares = {
        row.holder: vault.open(row.submitted, context=_context(auction.id, row.holder)) for row in rows if row.submitted
    }
    private = ceremony.rejoin(shares, public=key.public)
    if private is None:
        return
    seed = sealed_book.reveal(session, auction_id=auction.id, vault=vault)
    found = sealed_book.attempts(session, auction_id=auction.id, private=private, vault=vault)
    for number, (registration_id, attempt) in enumerate(found, 1):
        session.add(_opened(auction, number, registration_id, attempt))
    key.private, key.seed, key.opened_at = private, seed, at
    session.flush()


def _opened(auction: Auction, number: int, registration_id: uuid.UUID, attempt: Attempt) -> OpenedBox:
    event = attempt.event
    amount = event.get("amount")
    return OpenedBox(
        auction_id=auction.id,
        number=number,
        registration_id=registration_id,
        kind=event["kind"],
        amount_minor=None if amount is None else Money.parse(amount, auction.currency).minor,
        lots=event.get("lots"),
        at=datetime.fromisoformat(event["at"]),
        box=attempt.box,
        receipt=attempt.signed.content.decode(),
        signature=attempt.signed.signature,
    )


def view_sealing(session: Session, *, auction_id: uuid.UUID) -> SealingView:
    """Return the sealing of an auction; raise `NotFound` for one whose bids are not sealed. For everybody signed in."""
    key = session.get(SealingKey, auction_id)
    if key is None:
        raise NotFound("sealing of auction", auction_id)
    rows = session.scalars(select(SealingShare).where(SealingShare.auction_id == auction_id)).all()
    shares = [SharePlace(row.holder, row.collected_at is not None, row.submitted_at) for row in rows]
    last = sealed_book.last_commitment(session, auction_id)
    return SealingView(
        auction_id=auction_id,
        public=key.public,
        room=key.room,
        books_head=None if last is None else last.head,
        books_committed_at=None if last is None else last.at,
        opened_at=key.opened_at,
        shares=sorted(shares, key=lambda place: place.holder.number),
    )


def erase_uncollected(session: Session, at: datetime) -> int:
    """Erase the shares that nobody collected before bidding opened; return how many. Clockwork."""
    query = (
        select(SealingShare, Auction)
        .join(Auction, Auction.id == SealingShare.auction_id)
        .where(SealingShare.sealed.is_not(None), Auction.opens_at <= listing.auction_time(session))
        .limit(BATCH)
        .with_for_update(of=SealingShare, skip_locked=True)
    )
    rows = session.execute(query).all()
    for share, auction in rows:
        share.sealed = None
        erased = {"holder": share.holder.value}
        audit.record(session, actor=SYSTEM, at=at, subject=auction, verb="erase_share", after=erased)
    session.flush()
    return len(rows)


def _held(
    session: Session, auction_id: uuid.UUID, actor: Actor, *, auditor: bool = True
) -> tuple[Auction, ShareHolder]:
    """Return a sealed auction and which share the actor's organisation holds; raise `NotFound` when it holds none."""
    auction = session.get(Auction, auction_id)
    holder = _HOLDERS.get(actor.organisation_kind)
    sealed = auction is not None and session.get(SealingKey, auction_id) is not None
    may = bool(_KEEPERS & actor.roles) and (auditor or holder is not ShareHolder.AUDITOR)
    if auction is None or not sealed or holder is None or not may:
        raise NotFound("share of auction", auction_id)
    seller = session.get_one(Listing, auction.listing_id).seller_organisation_id
    if holder is ShareHolder.SELLER and seller != actor.organisation_id:
        raise NotFound("share of auction", auction_id)
    return auction, holder


def _context(auction_id: uuid.UUID, holder: ShareHolder) -> str:
    return f"sealing_shares/{auction_id}/{holder.value}"

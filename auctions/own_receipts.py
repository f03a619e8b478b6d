"""A bidder's own receipts: listed from the log, checked in place, downloaded with the keys that prove them.

A refused attempt writes nothing here, so its receipt is where its bidder kept the answer: `check_receipts` takes it
from there. Sealed attempts are listed once they are opened. Nothing tells how many entries the log has.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import log, plays, signing, viewing
from auctions.domain import proofs, receipt_checks
from auctions.domain.proofs import SignedReceipt
from auctions.domain.receipt_checks import Found, PublicKey, Verdict
from auctions.models import Auction, AuctionEvent, Registration
from auctions.proof_models import OpenedBox
from marketplace.actor import Actor
from marketplace.clock import parse_instant
from marketplace.db import Page, UnknownCursor
from marketplace.money import InvalidAmount, Money

MAX_DOWNLOAD: Final = 10_000
"""So many receipts are in one download, the newest."""

MEDIA_TYPE: Final = "application/json"


@dataclass(frozen=True, slots=True)
class OwnReceipt:
    """A receipt with what it says and whether it holds; `sequence` None where attempts may not be counted."""

    verdict: Verdict
    sequence: int | None
    kind: str
    bidder: str
    amount: Money | None
    price: Money | None
    at: datetime
    code: str | None

    @property
    def document(self) -> dict[str, Any]:
        """What the bidder was given."""
        return self.verdict.signed.document


def list_receipts(
    session: Session, *, auction_id: uuid.UUID, cursor: str | None, limit: int, actor: Actor
) -> Page[OwnReceipt]:
    """Return the receipts of the actor's own accepted attempts, newest first, each checked.

    Raises `NotFound`, `UnknownCursor`. Entries of before receipts were signed have none.
    """
    auction = viewing.see(session, auction_id, actor=actor).auction
    skipped = 0 if cursor is None else _number(cursor)
    found = list(_own(session, auction, skipped=skipped, limit=limit + 1, actor=actor))
    verdicts = _verdicts(session, auction, found[:limit])
    more = str(skipped + limit) if len(found) > limit else None
    return Page([_shown(one, auction.currency) for one in verdicts], more)


def _number(cursor: str) -> int:
    """Read a cursor: how many of one's own were shown. A number of the log would tell how long it is."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):  # noqa: PLR2004 - far more than anybody bids
        raise UnknownCursor
    return int(cursor)


def _own(session: Session, auction: Auction, *, skipped: int, limit: int, actor: Actor) -> Iterator[SignedReceipt]:
    """Yield the receipts of the actor's attempts, newest first: of the log, or of what was opened."""
    kept: Any = OpenedBox if plays.is_sealed(auction) else AuctionEvent
    own = select(Registration.id).where(
        Registration.listing_id == auction.listing_id, Registration.organisation_id == actor.organisation_id
    )
    query = select(kept).where(kept.auction_id == auction.id, kept.registration_id.in_(own), kept.receipt.is_not(None))
    if kept is AuctionEvent:
        query = query.where(AuctionEvent.sequence.is_not(None))
    elif auction.outcome is None:
        return
    for row in session.scalars(query.order_by(kept.number.desc()).offset(skipped).limit(limit)):
        signed = _of_box(row) if kept is OpenedBox else log.proof_of(row)
        if signed is not None:
            yield signed


def _of_box(box: OpenedBox) -> SignedReceipt:
    return SignedReceipt.kept(box.receipt, box.signature)


def check_receipts(session: Session, *, auction_id: uuid.UUID, content: bytes, actor: Actor) -> list[OwnReceipt]:
    """Hold the receipts in a file against their auction, key, signature and the log; raise `NotFound`, `NotAReceipt`.

    Whose receipts they are does not matter: whoever has one has what it says.
    """
    auction = viewing.see(session, auction_id, actor=actor).auction
    verdicts = _verdicts(session, auction, receipt_checks.read(content))
    return [_shown(one, auction.currency) for one in verdicts]


def download(session: Session, *, auction_id: uuid.UUID, actor: Actor) -> bytes:
    """Return the actor's own receipts with every published key as a JSON document; raise `NotFound`."""
    auction = viewing.see(session, auction_id, actor=actor).auction
    found = _own(session, auction, skipped=0, limit=MAX_DOWNLOAD, actor=actor)
    return orjson.dumps(
        {
            "auction_id": str(auction.id),
            "rules_hash": auction.rules_hash,
            "keys": [
                {"key_id": key.key_id, "public_key": proofs.encode_base64(key.public)}
                for key in signing.all_keys(session)
            ],
            "receipts": [signed.document for signed in found],
        },
        option=orjson.OPT_INDENT_2,
    )


def _verdicts(session: Session, auction: Auction, receipts: Sequence[SignedReceipt]) -> list[Verdict]:
    keys = {row.key_id: PublicKey(row.public, row.valid_from, row.valid_until) for row in signing.all_keys(session)}
    return [_verdict(session, auction, signed, keys) for signed in receipts]


def _verdict(session: Session, auction: Auction, signed: SignedReceipt, keys: Mapping[str, PublicKey]) -> Verdict:
    verdict = receipt_checks.check(signed, auction_id=str(auction.id), rules_hash=auction.rules_hash, keys=keys)
    if not verdict.holds:
        return verdict
    if not verdict.accepted:
        return receipt_checks.in_log(verdict, Found.NOT_IN_LOG)
    if plays.is_sealed(auction):
        return _in_boxes(session, auction, verdict)
    return _in_log(session, auction, verdict)


def _in_log(session: Session, auction: Auction, verdict: Verdict) -> Verdict:
    """Ask the log for the entry that was made under the receipt's key, and whether the receipt links it to the last."""
    receipt = verdict.signed.receipt
    query = (
        select(AuctionEvent)
        .join(Registration, Registration.id == AuctionEvent.registration_id)
        .where(
            AuctionEvent.auction_id == auction.id,
            Registration.listing_id == auction.listing_id,
            Registration.bidder_code == receipt["event"].get("bidder"),
            AuctionEvent.idempotency_digest == _digest(receipt["idempotency_key_hash"]),
        )
    )
    entry = session.scalars(query).one_or_none()
    if entry is None:
        return receipt_checks.in_log(verdict, Found.WRONG, "the log has no entry of this attempt")
    before = session.scalar(
        select(AuctionEvent.hash).where(AuctionEvent.auction_id == auction.id, AuctionEvent.number == entry.number - 1)
    )
    head = proofs.genesis(auction.rules_hash) if entry.number == 1 or before is None else before
    fault = receipt_checks.links(verdict.signed, before=head, after=entry.hash)
    return receipt_checks.in_log(verdict, Found.WRONG if fault else Found.RIGHT, fault or "")


def _digest(text: str | None) -> bytes:
    """Return the digest of a key as the log keeps it; what is none finds nothing."""
    try:
        return bytes.fromhex((text or "").removeprefix("sha256:"))
    except ValueError:
        return b""


def _in_boxes(session: Session, auction: Auction, verdict: Verdict) -> Verdict:
    """Look for the receipt among what the ceremony opened; before it nobody can tell."""
    if auction.outcome is None:
        return receipt_checks.in_log(verdict, Found.LATER)
    query = select(OpenedBox.number).where(
        OpenedBox.auction_id == auction.id, OpenedBox.receipt == verdict.signed.content.decode()
    )
    if session.scalars(query).first() is not None:
        return receipt_checks.in_log(verdict, Found.RIGHT)
    return receipt_checks.in_log(verdict, Found.WRONG, "it is not among the opened bids")


def _shown(verdict: Verdict, currency: str) -> OwnReceipt:
    """Return what a receipt says; of one that does not hold, as far as it can be read."""
    receipt = verdict.signed.receipt
    event, answer = receipt["event"], receipt["answer"]
    sequence, code = answer.get("sequence"), answer.get("code")
    return OwnReceipt(
        verdict=verdict,
        sequence=sequence if isinstance(sequence, int) else None,
        kind=str(event.get("kind", "")),
        bidder=str(event.get("bidder", "")),
        amount=_money(event.get("amount"), currency),
        price=_money(receipt["price"], currency),
        at=parse_instant(event["at"]),
        code=None if code is None else str(code),
    )


def _money(text: Any, currency: str) -> Money | None:
    try:
        return None if text is None else Money.parse(text, currency)
    except InvalidAmount:
        return None

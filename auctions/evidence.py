"""The evidence of a closed auction: everything that anyone needs to compute and check its result offline.

Bidders appear under their codes alone; an idempotency key only as its hash. Who may have it is who may have the log
(`closing.auction_log`): everybody once the auction is sold, else those who may know the reserve.
"""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import award_views, closing, log, plays, sealed_book, signing
from auctions.domain import bundle, proofs, sealing
from auctions.domain.proofs import SignedReceipt
from auctions.domain.replay import replay, winning_bids
from auctions.models import Auction
from auctions.proof_models import OpenedBox, SealedBook, SealedCommitment, SealingKey, SigningKey
from marketplace.actor import Actor
from marketplace.clock import format_instant
from marketplace.crypto import Vault
from marketplace.documents import Node
from marketplace.errors import NotFound


@dataclass(frozen=True, slots=True)
class Evidence:
    """The members of an auction's bundle as JSON values, by name."""

    auction_id: uuid.UUID
    closed_at: datetime
    members: dict[str, Any]


def gather(session: Session, *, auction_id: uuid.UUID, actor: Actor) -> Evidence:
    """Return the evidence of a closed auction; raise `NotFound`, `ResultPending`."""
    document = closing.auction_log(session, auction_id=auction_id, actor=actor)
    auction = session.get_one(Auction, auction_id)
    if auction.closed_at is None or auction.log_hash is None:
        raise NotFound("evidence of auction", auction_id)
    entries, boxes = list(log.read(session, auction_id)), _boxes(session, auction)
    places = _places([format_instant(row.at) for row in (*entries, *boxes)])
    members = {
        "keys.json": [key_document(row) for row in signing.all_keys(session)],
        "auction.json": _auction(auction),
        "rules.json": json.loads(auction.rules),
        "reserve.json": {
            "commitment": auction.reserve_commitment,
            "currency": auction.currency,
            "reserve_price": log.text(auction.reserve_minor, auction.currency),
            "salt": auction.reserve_salt,
        },
        "replay.json": document,
        "result.json": replay(Node(document)),
        "receipts.json": [_entry(row, place) for row, place in zip(entries, places, strict=False)],
        "awards.json": _awards(session, auction, actor),
    }
    if plays.is_sealed(auction):
        last = sealed_book.last_commitment(session, auction_id)
        members["auction.json"]["books_head"] = None if last is None else proofs.head_text(last.head)
        members["sealed.json"] = _sealed(session, auction, boxes, places[len(entries) :])
    solver = winning_bids(document)
    if solver is not None:
        members["solver.json"] = solver
    return Evidence(auction_id, auction.closed_at, members)


def make_bundle(session: Session, *, auction_id: uuid.UUID, vault: Vault, actor: Actor) -> bytes:
    """Return the signed bundle of a closed auction, the same bytes for the same rows; raise as `gather` does.

    It is signed with the key that was in force when the auction closed.
    """
    evidence = gather(session, auction_id=auction_id, actor=actor)
    signer = signing.signer(session, vault=vault, at=evidence.closed_at)
    made_at = format_instant(evidence.closed_at)
    return bundle.build(evidence.members, auction_id=str(auction_id), made_at=made_at, signer=signer)


def key_document(row: SigningKey) -> dict[str, Any]:
    """Return a key as it is published."""
    return {
        "key_id": row.key_id,
        "algorithm": "Ed25519",
        "public_key": proofs.encode_base64(row.public),
        "valid_from": format_instant(row.valid_from),
        "valid_until": None if row.valid_until is None else format_instant(row.valid_until),
    }


def _auction(auction: Auction) -> dict[str, Any]:
    head = auction.head or proofs.genesis(auction.rules_hash)
    return {
        "auction_id": str(auction.id),
        "package_id": str(auction.package_id),
        "rules_hash": auction.rules_hash,
        "reserve_commitment": auction.reserve_commitment,
        "head": proofs.head_text(head),
        "log_hash": auction.log_hash,
        "closed_at": None if auction.closed_at is None else format_instant(auction.closed_at),
        "outcome": None if auction.outcome is None else auction.outcome.value,
    }


def _boxes(session: Session, auction: Auction) -> list[OpenedBox]:
    query = select(OpenedBox).where(OpenedBox.auction_id == auction.id).order_by(OpenedBox.number)
    return list(session.scalars(query))


def _places(times: list[str]) -> list[int]:
    """Return at which place of the replay each row stands: in order of time, rows of one time as they are given."""
    order = sorted(range(len(times)), key=lambda index: times[index])
    places = [0] * len(times)
    for place, index in enumerate(order):
        places[index] = place
    return places


def _entry(row: Any, place: int) -> dict[str, Any]:
    signed = log.proof_of(row)
    if signed is None:
        return {"event": place, "receipt": None, "signature": None, "hash": row.hash.hex()}
    return {"event": place} | _proof(signed)


def _proof(signed: SignedReceipt) -> dict[str, Any]:
    """Return a receipt as a bidder got it, without the name of its key, which it holds itself."""
    return {name: value for name, value in signed.document.items() if name != "key_id"}


def _sealed(session: Session, auction: Auction, boxes: list[OpenedBox], places: list[int]) -> dict[str, Any]:
    key = session.get_one(SealingKey, auction.id)
    rows = [
        {
            "event": place,
            "box": proofs.encode_base64(row.box),
        }
        | _proof(SignedReceipt.kept(row.receipt, row.signature))
        for row, place in zip(boxes, places, strict=True)
    ]
    return {
        "public": key.public.hex(),
        "private": (key.private or b"").hex(),
        "seed": None if key.seed is None else key.seed.hex(),
        "commitments": _commitments(session, auction.id),
        "books": _books(session, auction.id, key.room + sealing.OVERHEAD),
        "boxes": rows,
    }


def _commitments(session: Session, auction_id: uuid.UUID) -> list[dict[str, Any]]:
    query = select(SealedCommitment).where(SealedCommitment.auction_id == auction_id).order_by(SealedCommitment.number)
    return [{"at": format_instant(row.at), "veiled": row.veiled.hex()} for row in session.scalars(query)]


def _books(session: Session, auction_id: uuid.UUID, length: int) -> list[list[str]]:
    """Return the boxes of every book, dummies included, in the order of the commitments."""
    query = select(SealedBook.boxes).where(SealedBook.auction_id == auction_id).order_by(SealedBook.registration_id)
    return [
        [proofs.encode_base64(boxes[start : start + length]) for start in range(0, len(boxes), length)]
        for boxes in session.scalars(query)
        if boxes is not None
    ]


def _awards(session: Session, auction: Auction, actor: Actor) -> list[dict[str, Any]]:
    """Return the awards with the states that they have now."""
    rows = []
    for view in award_views.views_of_auction(session, auction.id, actor=actor):
        row = {"bidder": view.bidder, "price": view.row.price.text, "state": view.row.state.value}
        rows.append(row | ({"lots": list(view.row.lots)} if view.row.lots else {}))
    return rows

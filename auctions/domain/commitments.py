"""Commitments to the sealed books: at fixed moments the chain takes in what lies in them, and nobody learns what.

A digest of all places of all books, dummies included, is veiled with a pad out of a seed that stays secret until the
opening; the chain begins with the hash of that seed. So a head binds the books of its moment, and two heads do not
even say whether a bid came between them. Heads are published while the auction runs; the seed is revealed with the
bids, and then every moment can be checked: the books opened are those of the last commitment, at or after the end, and
no attempt came at a time between two commitments that saw the same books.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from auctions.domain import proofs
from auctions.domain.canonical import canonical

INTERVAL: Final = timedelta(minutes=1)
MOMENTS: Final = 1440
"""A long auction commits so many times at most: every half hour in thirty days."""


@dataclass(frozen=True, slots=True)
class Commitment:
    """One commitment: `at` as an instant's text, the digest under its pad, and the head of the chain with it."""

    at: str
    veiled: bytes
    head: bytes


def seed_of(book_key: bytes) -> bytes:
    """Return the seed of an auction's pads out of the secret key of its books, which it does not betray."""
    return hmac.digest(book_key, b"commitments", "sha256")


def genesis(rules_hash: str, seed: bytes) -> bytes:
    """Return the head before the first commitment: over the public rules and the hash of the seed."""
    return hashlib.sha256(proofs.genesis(rules_hash) + hashlib.sha256(seed).digest()).digest()


def digest(books: Sequence[Sequence[bytes]]) -> bytes:
    """Return the digest of the boxes of every book, in the order of the books and of their places."""
    return hashlib.sha256(b"".join(hashlib.sha256(b"".join(boxes)).digest() for boxes in books)).digest()


def take(head: bytes, *, number: int, at: str, seed: bytes, books: Sequence[Sequence[bytes]]) -> Commitment:
    """Return commitment `number` (from 1) to the books at an instant, after a head."""
    veiled = _pad(seed, number, digest(books))
    return Commitment(at, veiled, link(head, number=number, at=at, veiled=veiled))


def link(head: bytes, *, number: int, at: str, veiled: bytes) -> bytes:
    """Return the head with one commitment more."""
    return hashlib.sha256(head + canonical({"at": at, "number": number, "veiled": veiled.hex()})).digest()


def unveil(seed: bytes, *, number: int, veiled: bytes) -> bytes:
    """Return the digest that was committed to."""
    return _pad(seed, number, veiled)


def due_at(*, opens_at: datetime, ends_at: datetime, now: datetime) -> datetime | None:
    """Return the latest moment, up to now, at which the books are to be committed to; None before bidding opens.

    Moments depend on the times of the auction alone: every minute from the opening (longer in auctions above a day),
    and the end.
    """
    if now < opens_at:
        return None
    if now >= ends_at:
        return ends_at
    interval = max(INTERVAL, (ends_at - opens_at) / MOMENTS)
    return opens_at + (now - opens_at) // interval * interval


def _pad(seed: bytes, number: int, value: bytes) -> bytes:
    pad = hmac.digest(seed, number.to_bytes(8, "big"), "sha256")
    return bytes(one ^ other for one, other in zip(value, pad, strict=True))

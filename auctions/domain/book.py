"""The book of one registration in a sealed auction: eight places of fixed size, each a sealed attempt or a dummy.

A new attempt enters at the first place and pushes the others on, so no counter exists. A place holds a tag and a memo
(for a request that is sent again) and two boxes for the ceremony: the bid, and the slip with its signed receipt. To
whoever lacks the auction's private half a dummy is like any other place; to whoever lacks the book's key even that
something moved is hidden, because a book is wrapped with a new nonce whenever it is written.
"""

import hashlib
import hmac
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from auctions.domain import sealing
from auctions.domain.canonical import canonical
from auctions.domain.proofs import SIGNATURE_BYTES, SignedReceipt

PLACES: Final = 8
KEY_BYTES: Final = 32
BID_ROOM: Final = 320
"""Bytes that a bid without lots never exceeds."""

_TAG: Final = 32
_NONCE: Final = 12
_SEAL: Final = _NONCE + 16
_MEMO_ROOM: Final = 1024
_SLIP_ROOM: Final = 1280
_LENGTH: Final = 4


@dataclass(frozen=True, slots=True)
class Place:
    """One place: what a retry needs, and what the ceremony needs."""

    tag: bytes
    memo: bytes
    bid: bytes
    slip: bytes

    @property
    def content(self) -> bytes:
        """The place as it stands in the book."""
        return self.tag + self.memo + self.bid + self.slip


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sealed attempt as the ceremony finds it. `event` is that of a replay file; `entered` orders a millisecond."""

    event: dict[str, Any]
    entered: int
    box: bytes
    signed: SignedReceipt
    user_id: str | None
    api_key_id: str | None


@dataclass(frozen=True, slots=True)
class Book:
    """What a book needs to know of its auction and registration."""

    key: bytes
    public: bytes
    room: int
    registration_id: uuid.UUID

    def blank(self) -> bytes:
        """Return a book of dummies."""
        return b"".join(self._dummy().content for _ in range(PLACES))

    def wrap(self, content: bytes) -> bytes:
        """Return the book as it is stored; a new nonce each time, so that no byte stays."""
        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(self.key).encrypt(nonce, content, self.registration_id.bytes)

    def unwrap(self, stored: bytes) -> bytes:
        """Undo `wrap`; raises `cryptography.exceptions.InvalidTag` for another key, registration or changed byte."""
        return AESGCM(self.key).decrypt(stored[:_NONCE], stored[_NONCE:], self.registration_id.bytes)

    def seal_bid(self, event: dict[str, Any]) -> bytes:
        """Return the box of an attempt, whose hash the receipt names."""
        return sealing.seal(self.public, canonical(event), room=self.room)

    def put(self, content: bytes, place: Place) -> bytes:
        """Enter a place first; the last one falls out."""
        return (place.content + content)[: len(content)]

    def place(self, attempt: Attempt, *, idempotency_key: str, request: bytes) -> Place:
        """Return the place of an attempt. `request` is the hash by which the same request is known again."""
        slip = {
            "entered": attempt.entered,
            "receipt": attempt.signed.receipt,
            "signature": attempt.signed.signature.hex(),
            "user_id": attempt.user_id,
            "api_key_id": attempt.api_key_id,
        }
        memo = request + attempt.signed.signature + attempt.signed.content
        if len(memo) > _MEMO_ROOM - _LENGTH:
            raise sealing.TooLong("the receipt is longer than any receipt")
        padded = (len(memo).to_bytes(_LENGTH, "big") + memo).ljust(_MEMO_ROOM, b"\0")
        nonce = os.urandom(_NONCE)
        return Place(
            tag=self._derived(b"tag", idempotency_key),
            memo=nonce + AESGCM(self._derived(b"memo", idempotency_key)).encrypt(nonce, padded, None),
            bid=attempt.box,
            slip=sealing.seal(self.public, canonical(slip), room=_SLIP_ROOM),
        )

    def find(self, content: bytes, idempotency_key: str) -> tuple[SignedReceipt, bytes] | None:
        """Return the receipt given for a key and the hash of its request; None for a key that is not in the book."""
        tag = self._derived(b"tag", idempotency_key)
        for place in self._places(content):
            if hmac.compare_digest(place.tag, tag):
                cipher = AESGCM(self._derived(b"memo", idempotency_key))
                plain = cipher.decrypt(place.memo[:_NONCE], place.memo[_NONCE:], None)
                memo = plain[_LENGTH : _LENGTH + int.from_bytes(plain[:_LENGTH], "big")]
                request, rest = memo[:_TAG], memo[_TAG:]
                return SignedReceipt.kept(rest[SIGNATURE_BYTES:].decode(), rest[:SIGNATURE_BYTES]), request
        return None

    def boxes(self, content: bytes) -> list[bytes]:
        """Return the sealed box of every place, latest first; a dummy's is like any other."""
        return [place.bid for place in self._places(content)]

    def attempts(self, content: bytes, private: bytes) -> Iterator[Attempt]:
        """Yield what is in the book, latest first; raises `sealing.CannotOpen` for a place that was changed."""
        for place in self._places(content):
            bid = sealing.open_box(private, place.bid)
            slip = sealing.open_box(private, place.slip)
            if bid:
                read = orjson.loads(slip)
                yield Attempt(
                    event=orjson.loads(bid),
                    entered=read["entered"],
                    box=place.bid,
                    signed=SignedReceipt.kept(canonical(read["receipt"]).decode(), bytes.fromhex(read["signature"])),
                    user_id=read["user_id"],
                    api_key_id=read["api_key_id"],
                )

    def _dummy(self) -> Place:
        return Place(
            tag=os.urandom(_TAG),
            memo=os.urandom(_MEMO_ROOM + _SEAL),
            bid=sealing.seal(self.public, b"", room=self.room),
            slip=sealing.seal(self.public, b"", room=_SLIP_ROOM),
        )

    def _places(self, content: bytes) -> Iterator[Place]:
        lengths = (_TAG, _MEMO_ROOM + _SEAL, self.room + sealing.OVERHEAD, _SLIP_ROOM + sealing.OVERHEAD)
        for start in range(0, len(content), sum(lengths)):
            parts, position = [], start
            for length in lengths:
                parts.append(content[position : position + length])
                position += length
            yield Place(*parts)

    def _derived(self, purpose: bytes, idempotency_key: str) -> bytes:
        text = purpose + b"\0" + self.registration_id.bytes + idempotency_key.encode()
        return hmac.digest(self.key, text, "sha256")


def request_hash(event: dict[str, Any]) -> bytes:
    """Return the hash of what a bidder asked for: the event without its time."""
    return hashlib.sha256(canonical({name: value for name, value in event.items() if name != "at"})).digest()


def room_for(lots: Sequence[str]) -> int:
    """Return the room of an auction's boxes: enough for a bid on every lot, whatever is bid."""
    return BID_ROOM + (len(canonical(list(lots))) if lots else 0)

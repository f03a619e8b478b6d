"""The ceremony that opens sealed bids: who holds shares, how a share is written, and what two of them give.

The private half of an auction's sealing key is made once, split two of three among seller, operator and auditor, and
thrown away. A share is a line of text that its holder keeps off the system.
"""

import enum
import hashlib
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from auctions.domain import sealing, shamir
from marketplace.errors import Conflict, Invalid

THRESHOLD: Final = 2
PREFIX: Final = "share-1"
_CHECK_DIGITS: Final = 8


class ShareHolder(enum.StrEnum):
    """Who holds a share; the order gives the holder's number in the split."""

    SELLER = "seller"
    OPERATOR = "operator"
    AUDITOR = "auditor"

    @property
    def number(self) -> int:
        """The holder's number: 1, 2, 3."""
        return list(ShareHolder).index(self) + 1


class MistypedShare(Invalid):
    """The text is no share: its form or its check digits are wrong."""

    code = "mistyped_share"

    def __init__(self) -> None:
        super().__init__("This is no share, or a character of it is wrong; copy the whole line as it was collected.")


class WrongShare(Conflict):
    """A well-written share that is not the one given to this holder for this auction."""

    code = "wrong_share"

    def __init__(self, holder: ShareHolder) -> None:
        super().__init__(
            f"This is not the share that the {holder.value} collected for this auction.", holder=holder.value
        )


@dataclass(frozen=True, slots=True)
class Sealing:
    """A new sealing key: its public half, and every holder's share as text. The private half exists nowhere."""

    public: bytes
    shares: Mapping[ShareHolder, str]


def new_sealing(auction_id: uuid.UUID) -> Sealing:
    """Make a key for an auction and split it."""
    pair = sealing.new_key()
    parts = shamir.split(pair.private, holders=len(ShareHolder), threshold=THRESHOLD, random=os.urandom)
    return Sealing(
        pair.public,
        {holder: _write(auction_id, holder, part) for holder, part in zip(ShareHolder, parts, strict=True)},
    )


def commitment(share: str) -> bytes:
    """Return the hash by which a share is recognised; a share has 256 unknown bits, so the hash betrays nothing."""
    return hashlib.sha256(share.encode()).digest()


def check(share: str, *, holder: ShareHolder, committed: bytes) -> None:
    """Raise `MistypedShare`, or `WrongShare` when it is not what `committed` was made of."""
    _read(share)
    if commitment(share) != committed:
        raise WrongShare(holder)


def rejoin(shares: Mapping[ShareHolder, str], *, public: bytes) -> bytes | None:
    """Return the private half from shares that were checked; None as long as there are too few.

    Shares that passed `check` and do not give the key are a fault of ours (ValueError).
    """
    if len(shares) < THRESHOLD:
        return None
    private = shamir.combine({holder.number: _read(share) for holder, share in shares.items()})
    if sealing.public_of(private) != public:
        raise ValueError("the shares do not give the key of the auction")
    return private


def _write(auction_id: uuid.UUID, holder: ShareHolder, part: bytes) -> str:
    body = f"{PREFIX}-{auction_id.hex}-{holder.value}-{part.hex()}"
    return f"{body}-{_check_digits(body)}"


def _read(share: str) -> bytes:
    body, _, digits = share.rpartition("-")
    fields = body.split("-")
    if digits != _check_digits(body) or len(fields) != 5 or not body.startswith(f"{PREFIX}-"):  # noqa: PLR2004 - as written
        raise MistypedShare
    return bytes.fromhex(fields[4])


def _check_digits(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:_CHECK_DIGITS]

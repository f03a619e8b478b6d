"""What bidders send and what they get: attempts, and receipts of those that were accepted."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from auctions import log, sealed_book
from auctions.domain.formats import AttemptKind
from auctions.domain.proofs import Signer
from marketplace import runtime
from marketplace.actor import Actor
from marketplace.clock import parse_instant
from marketplace.errors import Failure
from marketplace.money import Money


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a bidder sends: a kind of attempt of the auction's format, under a key of its own."""

    actor: Actor
    idempotency_key: str
    kind: AttemptKind = AttemptKind.BID
    amount: Money | None = None
    lots: tuple[str, ...] = ()
    confirmed: bool = False
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Know the digest of the key, which is all that the log keeps of it."""
        object.__setattr__(self, "digest", log.key_digest(self.idempotency_key))


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to an accepted attempt: the standing right after it. `at` is the time it entered the system.

    `number` is the entry's number in the log of all events; `proof` the signed receipt as a document. Of a sealed
    attempt there is neither number, sequence nor price.
    """

    auction_id: uuid.UUID
    number: int | None
    sequence: int | None
    kind: AttemptKind
    bidder: str
    amount: Money | None
    price: Money | None
    leader: str | None
    minimum_next: Money | None
    ends_at: datetime
    at: datetime
    proof: dict[str, Any] | None
    repeated: bool = False


def again(row: Any, seat: Any) -> Receipt:
    """Return the receipt of an entry once more; `row` is its auction, `seat` has its columns."""

    def money(minor: int | None) -> Money | None:
        return None if minor is None else Money(minor, row.currency)

    signed = log.proof_of(seat)
    least = None if signed is None else signed.receipt["answer"].get("minimum_next")
    return Receipt(
        auction_id=row.id,
        number=seat.number,
        sequence=seat.sequence,
        kind=AttemptKind(seat.kind),
        bidder=seat.bidder_code,
        amount=money(log.minor_of(seat)),
        price=money(seat.price_minor),
        leader=seat.leader,
        minimum_next=None if least is None else Money.parse(least, row.currency),
        ends_at=seat.ends_at,
        at=seat.at,
        proof=None if signed is None else signed.document,
        repeated=True,
    )


def sealed(session: Session, *, row: Any, seat: Any, attempt: Attempt, signer: Signer) -> Receipt | Failure:
    """Seal an attempt that the rules allow and return its receipt, or why it was not sealed."""
    request = sealed_book.Request(
        registration_id=seat.id,
        bidder=seat.bidder_code,
        kind=attempt.kind,
        amount=attempt.amount,
        lots=attempt.lots,
        idempotency_key=attempt.idempotency_key,
    )
    try:
        signed = sealed_book.put(
            session,
            auction_id=row.id,
            request=request,
            actor=attempt.actor,
            signer=signer,
            vault=runtime.current().vault,
        )
    except Failure as failure:
        return failure
    return Receipt(
        auction_id=row.id,
        number=None,
        sequence=None,
        kind=attempt.kind,
        bidder=seat.bidder_code,
        amount=attempt.amount,
        price=None,
        leader=None,
        minimum_next=None,
        ends_at=row.ends_at,
        at=parse_instant(signed.receipt["event"]["at"]),
        proof=signed.document,
    )

"""Bids through the live door: the same checks in the same order as the route of the threads, a batch at a time.

A request is read on the loop; who sends it, whether it may, and what becomes of its attempt is found in one
transaction with everybody else's of its batch. Credentials are looked up in every batch, so an ended session or a
revoked key bids no more from the next batch on. Answers are made after the commit.
"""

import contextlib
import functools
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import orjson
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from auctions import bid_schemas as schemas
from auctions import bidding, entering
from auctions.domain.formats import AttemptKind
from auctions.receipts import Attempt, Receipt
from marketplace import aio, bodies, db, idempotency
from marketplace.actor import Actor, Role, Scope
from marketplace.aio import Answer, Asked, Reply
from marketplace.clock import format_instant
from marketplace.errors import Failure
from marketplace.lanes import Lanes
from marketplace.money import Money
from marketplace.policies import COOKIE, CrossSite, allow, credential

log = structlog.get_logger(__name__)

POLICY: Final = allow(Role.BUYER_BIDDER, scope=Scope.BID)
"""Who may bid; the route of the threads has the same."""

_IN: Final = schemas.BidIn()

_read_money: Final = functools.lru_cache(maxsize=1024)(Money.parse)
"""In the last minute everybody bids the same least amount."""

_USUAL: Final = re.compile(
    rb"""\s*\{\s*"amount"\s*:\s*\{\s*"amount"\s*:\s*"([0-9.]{1,18})"\s*,\s*"currency"\s*:\s*"([A-Z]{3})"\s*\}\s*\}\s*""".replace(
        rb"\s", rb"[ \t\r\n]"
    )
)
"""`{"amount": {"amount": "1234.56", "currency": "CNY"}}` with the blanks of JSON; anything else goes the long way."""

KNOWN_MOST: Final = 10_000
"""So many tokens are remembered, to guess who bids; who it is, each batch asks anew."""


class Holders(Protocol):
    """Who holds tokens, asked and not yet waited for: `holders(session, tokens, *, at)`."""

    def found(self) -> dict[str, Actor]:
        """Return who holds which token, without those that nobody holds."""


@dataclass(frozen=True, slots=True)
class Bid:
    """One request to bid, as it was read: what it asks, or why it cannot be right. The credential comes first."""

    token: str
    key: str
    values: dict[str, Any]
    fault: Failure | None
    path: str


class Bidding:
    """Reads bids and decides them by the batch."""

    def __init__(
        self,
        sessions: Callable[[], contextlib.AbstractContextManager[Session]],
        *,
        holders: Callable[..., Holders],
        now: Callable[[], datetime],
    ) -> None:
        self._sessions = sessions
        self._holders = holders
        self._now = now
        self._known: dict[str, Actor] = {}

    def read(self, asked: Asked, *, homes: Sequence[str]) -> Bid:
        """Read a request without any look at the database."""
        headers = asked.headers
        fault: Failure | None = None
        token, key, values = "", "", {}
        try:
            authorization = headers.get("authorization", "")
            token = credential(
                authorization=authorization,
                cookie="" if authorization else aio.cookie(headers, COOKIE),
                safe=False,
                origin=headers.get("origin"),
                fetch_site=headers.get("sec-fetch-site"),
                homes=homes if authorization else (asked.home, *homes),
            )
            values = values_of(asked.body, mimetype=aio.mimetype(headers))
            key = idempotency.checked_key(headers.get("idempotency-key", ""))
        except Failure as failure:
            fault = failure
        return Bid(token, key, values, fault, asked.path)

    def decide(self, auction_id: uuid.UUID, bids: Sequence[Bid]) -> list[Answer]:
        """Decide a batch in one transaction; when one bid of it breaks the transaction, each in its own.

        A connection that has gone since its last use decided nothing: the batch is tried on a new one.
        """
        try:
            try:
                answers = self._decide(auction_id, bids)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                answers = self._decide(auction_id, bids)
        except DBAPIError as error:
            if len(bids) == 1 or db.is_busy(error):
                raise
            log.warning("a batch is decided one by one", auction=str(auction_id), exc_info=error)
            answers = [self._alone(auction_id, bid) for bid in bids]
        return answers

    def _alone(self, auction_id: uuid.UUID, bid: Bid) -> Answer:
        """Decide one bid of a batch; what becomes of it is no answer to the others, which may be committed."""
        try:
            return self._decide(auction_id, [bid])[0]
        except (Failure, DBAPIError, PoolTimeout) as error:
            return aio.problem(aio.failure_of(error, path=bid.path), bid.path)

    def _decide(self, auction_id: uuid.UUID, bids: Sequence[Bid]) -> list[Answer]:
        with aio.transaction(self._sessions) as session:
            at = self._now()
            holders = self._holders(session, {bid.token for bid in bids if bid.token}, at=at)
            expected = [self._expected(bid) for bid in bids]
            hint = [one for one in expected if one is not None]
            entered = entering.enter(session, auction_id=auction_id, expected=hint, at=at)
            admitted = self._admitted(bids, expected, holders.found())
            attempts = [one for one in admitted if isinstance(one, Attempt)]
            decided = (
                bidding.decide(session, entered=entered, auction_id=auction_id, attempts=attempts) if attempts else None
            )
        answers = iter(() if decided is None else decided.answers())
        return [
            _rendered(next(answers) if isinstance(one, Attempt) else one, bid.path)
            for one, bid in zip(admitted, bids, strict=True)
        ]

    def _expected(self, bid: Bid) -> Attempt | None:
        """Return what a bid probably asks, if its token was somebody's in an earlier batch."""
        actor = self._known.get(bid.token)
        return None if actor is None or bid.fault is not None else Attempt(actor, bid.key, **bid.values)

    def _admitted(
        self, bids: Sequence[Bid], expected: Sequence[Attempt | None], actors: dict[str, Actor]
    ) -> list[Attempt | Failure]:
        """Return for each bid the attempt that may be decided, or the failure that keeps it out."""
        if len(self._known) > KNOWN_MOST:
            self._known.clear()
        self._known.update(actors)
        return [_admit(bid, one, actors.get(bid.token)) for bid, one in zip(bids, expected, strict=True)]


def _admit(bid: Bid, expected: Attempt | None, actor: Actor | None) -> Attempt | Failure:
    try:
        if isinstance(bid.fault, CrossSite):
            raise bid.fault
        admitted = POLICY.admit(actor, reading=False)
        assert admitted is not None
        if bid.fault is not None:
            raise bid.fault
        if expected is not None and expected.actor is admitted:
            return expected
        return Attempt(actor=admitted, idempotency_key=bid.key, **bid.values)
    except Failure as failure:
        return failure


def _rendered(answer: Receipt | Failure, path: str) -> Answer:
    if isinstance(answer, Failure):
        return aio.problem(answer, path)
    return Answer(201, orjson.dumps(document_of(answer)))


def values_of(content: bytes, *, mimetype: str) -> dict[str, Any]:
    """Return the values of a body as `BidIn` reads them; the usual shape, an amount and no more, without its cost."""
    usual = _USUAL.fullmatch(content) if mimetype == "application/json" else None
    if usual is not None:
        with contextlib.suppress(Failure):
            amount = _read_money(usual[1].decode(), usual[2].decode())
            if amount.minor > 0:
                return {"kind": AttemptKind.BID, "amount": amount, "lots": (), "confirmed": False}
    return bodies.load(_IN, content, mimetype=mimetype)


def document_of(receipt: Receipt) -> dict[str, Any]:
    """Return what `ReceiptOut` writes of a receipt, without its cost."""
    return {
        "auction_id": str(receipt.auction_id),
        "number": receipt.number,
        "sequence": receipt.sequence,
        "kind": receipt.kind.value,
        "bidder": receipt.bidder,
        "amount": _amount(receipt.amount),
        "price": _amount(receipt.price),
        "leader": receipt.leader,
        "minimum_next": _amount(receipt.minimum_next),
        "ends_at": format_instant(receipt.ends_at),
        "server_time": format_instant(receipt.at),
        "receipt": receipt.proof,
    }


def _amount(money: Money | None) -> dict[str, str] | None:
    return None if money is None else {"amount": money.text, "currency": money.currency}


_read_id: Final = functools.lru_cache(maxsize=1024)(uuid.UUID)
"""The same few auctions are asked for again and again."""


class BidRoute:
    """`POST /api/v1/auctions/{id}/bids` on the loop."""

    def __init__(self, bidding_: Bidding, lanes: Lanes[uuid.UUID, Bid, Answer], *, homes: Sequence[str]) -> None:
        self._bidding = bidding_
        self._lanes = lanes
        self._homes = tuple(homes)

    def answer(self, asked: Asked, reply: Reply, *, auction_id: str) -> None:
        """Answer a bid once its batch is committed."""
        bid = self._bidding.read(asked, homes=self._homes)
        self._lanes.put(_read_id(auction_id), bid, reply)

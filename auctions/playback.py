"""The log of an auction played again: against its row before the end is written down, and as a replay file for anyone.

The check is of three things at once: the chain of hashes, the answers of the pure engine, and what the row says.
"""

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import log, plays, veils
from auctions.domain import proofs
from auctions.domain.formats import Answer, Event, Play, Standing
from auctions.domain.lifecycles import EntryKind
from auctions.domain.replay import Transcript, replay
from auctions.models import Auction, Registration
from auctions.proof_models import OpenedBox
from marketplace.clock import format_instant
from marketplace.documents import Node


class LogDisagrees(Exception):
    """The replayed log and the stored row differ: a fault of ours, never closed over."""


def concluded(session: Session, auction: Auction) -> tuple[Standing, dict[str, Any]]:
    """Play the log of a locked auction again; return its standing at the end, and what `replay` says of its document.

    The log is read and played once, and never in memory as a whole. Raises `LogDisagrees`.
    """
    if plays.is_sealed(auction):
        return _at_end(auction, checked(session, auction)), replay(Node(document_of(session, auction)))
    transcript = Transcript(_rules(auction), auction.currency)
    play = checked(session, auction, told=lambda entry, answer: transcript.add(_line(entry, auction.currency), answer))
    return _at_end(auction, play), transcript.conclude(play.outcome(None))


def _at_end(auction: Auction, play: Play) -> Standing:
    return play.standing(max(auction.ends_at, auction.last_event_at or auction.ends_at))


def checked(
    session: Session, auction: Auction, *, told: Callable[[Any, Answer], object] = lambda _entry, _answer: None
) -> Play:
    """Play the log of a locked auction again and hold it against its row; raise `LogDisagrees`.

    `told` hears every entry with its answer.
    """
    play = plays.read_rules(auction.rules, auction.reserve_minor).start()
    head, number, last = proofs.genesis(auction.rules_hash), 0, None
    with contextlib.closing(log.read(session, auction.id)) as entries:
        for number, entry in enumerate(entries, 1):
            answer = play.step(event_of(entry))
            head = log.head_after(head, entry)
            if not answer.accepted or entry.number != number or entry.hash != head:
                raise LogDisagrees(f"auction {auction.id}: entry {entry.number} was {answer}, or breaks the chain")
            told(entry, answer)
            last = entry
    kept = None if auction.play is None else orjson.loads(veils.lift(auction.play))["play"]
    if number and last is not None:
        standing = play.standing(last.at)
        stored = (auction.price_minor, auction.ends_at, auction.extensions, auction.sequence, auction.number)
        played = (standing.price, standing.ends_at, standing.extensions, standing.sequence, number)
        if stored != played or kept not in (None, orjson.loads(orjson.dumps(play.dump()))) or head != auction.head:
            raise LogDisagrees(f"auction {auction.id}: stored {stored}, replayed {played}")
    elif (auction.number, auction.price_minor, auction.head) != (0, None, None):
        raise LogDisagrees(f"auction {auction.id}: the row has entries that the log has not")
    return play


def played(session: Session, row: Any) -> Play:
    """Return the auction of a locked row as its whole log plays it: slower than the row's text, and all of it."""
    play = plays.read_rules(row.rules, row.reserve_minor).start()
    for entry in log.read(session, row.id):
        play.step(event_of(entry))
    return play


def event_of(entry: Any) -> Event:
    """Return an entry of the log as the engine takes it."""
    minor = log.minor_of(entry)
    return Event(
        at=entry.at.astimezone(UTC),
        kind=entry.kind,
        bidder=entry.bidder_code or "",
        amount=minor or 0,
        seen=minor if entry.kind == EntryKind.ACCEPT else None,
        lots=tuple(entry.lots or ()),
    )


def document_of(session: Session, auction: Auction) -> dict[str, Any]:
    """Return an auction as a replay file: complete rules, and its events under bidder codes."""
    rows = [_line(entry, auction.currency) for entry in log.read(session, auction.id)]
    if plays.is_sealed(auction):
        boxes = (_line(box, auction.currency) for box in _boxes(session, auction.id))
        rows = sorted([*rows, *boxes], key=lambda row: row["at"])
    return {"rules": _rules(auction), "events": rows, "as_of": None}


def page_of(session: Session, auction: Auction, *, after: int, limit: int) -> dict[str, Any]:
    """Return a part of the replay file: at most `limit` events behind the first `after`, and where the next begins.

    The log of an open format is read by its numbers, however long it is. That of a sealed one, which boxes are sorted
    into, is bounded by its bidders (each has its last attempts kept) and cut in memory.
    """
    if plays.is_sealed(auction):
        whole = document_of(session, auction)
        rows = whole["events"][after : after + limit + 1]
    else:
        rows = [_line(one, auction.currency) for one in log.read(session, auction.id, after=after, limit=limit + 1)]
    more = after + limit if len(rows) > limit else None
    return {"rules": _rules(auction), "events": rows[:limit], "as_of": None, "next": more}


def _rules(auction: Auction) -> dict[str, Any]:
    return plays.complete(json.loads(auction.rules), auction.reserve_minor)


def _line(entry: Any, currency: str) -> dict[str, Any]:
    line: dict[str, Any] = {"at": format_instant(entry.at), "kind": entry.kind}
    if entry.bidder_code is not None:
        line["bidder"] = entry.bidder_code
    if entry.lots is not None:
        line["lots"] = list(entry.lots)
    minor = log.minor_of(entry)
    if minor is not None:
        line["amount"] = log.text(minor, currency)
    if getattr(entry, "reason", ""):
        line["reason"] = entry.reason
    return line


def _boxes(session: Session, auction_id: uuid.UUID) -> Iterator[Any]:
    query = (
        select(OpenedBox.at, OpenedBox.kind, OpenedBox.amount_minor, OpenedBox.lots, Registration.bidder_code)
        .join(Registration, Registration.id == OpenedBox.registration_id)
        .where(OpenedBox.auction_id == auction_id)
        .order_by(OpenedBox.number)
    )
    return iter(session.execute(query))

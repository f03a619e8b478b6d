"""A whole auction out of one document: rules and ordered events in, result and an answer to every event out.

The document and its answer are those of the file format "auction replay"; the functions that decide are the live ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from auctions.domain.canonical import Chain
from auctions.domain.dutch import DutchFormat
from auctions.domain.english import EnglishFormat
from auctions.domain.formats import (
    Answer,
    AttemptKind,
    Award,
    Event,
    EventKind,
    Format,
    Outcome,
    Play,
    TooMuchWork,
)
from auctions.domain.gong import GongFormat
from auctions.domain.hybrid_dutch import HybridDutchFormat
from auctions.domain.package import MAX_LOTS, Package, PackageFormat
from auctions.domain.proxy import ProxyFormat
from auctions.domain.reading import instant
from auctions.domain.sealed import SealedFormat
from auctions.domain.two_phase import TwoPhaseFormat
from marketplace.clock import format_instant
from marketplace.documents import BadDocument, Node
from marketplace.money import exponent

ENGINE: Final = "auctions-2.1.0"
"""Version of the rules; it changes whenever any document could get another answer."""

FORMATS: Final[Mapping[str, Format]] = {
    "english": EnglishFormat(),
    "proxy": ProxyFormat(),
    "two_phase": TwoPhaseFormat(),
    "sealed_first_price": SealedFormat(second_price=False),
    "sealed_second_price": SealedFormat(second_price=True),
    "dutch": DutchFormat(),
    "hybrid_dutch": HybridDutchFormat(),
    "gong": GongFormat(),
    "package": PackageFormat(),
}
"""The formats that this version plays, by name."""

_COMMON: Final = ("format", "currency", "opens_at")
_OPERATOR: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    EventKind.SUSPEND: ((), ("reason",)),
    EventKind.RESUME: ((), ("reason",)),
    EventKind.VOID: (("bidder",), ("reason",)),
}


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Rules as they were read, immutable: the currency, the format, and the rules as the format takes them."""

    currency: str
    format: Format
    rules: Any

    def start(self) -> Play:
        """Return a new play without events."""
        return self.format.start(self.rules)

    def load(self, dump: Mapping[str, Any]) -> Play:
        """Return the play that `Play.dump` was taken from; it must have been played under these rules."""
        return self.format.load(self.rules, dump)


def read_rules(node: Node) -> Rulebook:
    """Read `rules`; raise `BadDocument`, at `/rules/format` for a format that this version does not play."""
    if not isinstance(node.value, dict) or "format" not in node.value:
        node.object([*_COMMON], _every_key())
    played = FORMATS[node.child("format").one_of(list(FORMATS))]
    members = node.object([*_COMMON, *played.required], played.optional)
    currency = members["currency"].currency()
    return Rulebook(currency=currency, format=played, rules=played.read(members, currency))


def _every_key() -> list[str]:
    return [key for played in FORMATS.values() for key in (*played.required, *played.optional)]


class Transcript:
    """A log and its answers as they are told and hashed, entry by entry: however long the log is, nothing is kept."""

    def __init__(self, rules: Any, currency: str) -> None:
        self._chain = Chain(rules)
        self._currency = currency
        self._count = 0

    def add(self, event: Any, answer: Answer) -> dict[str, Any]:
        """Append an event as the file has it, with its answer; return the answer as the file has it."""
        told = {"event": self._count} | _render_answer(answer, self._currency)
        self._chain.add(event=event, answer=told)
        self._count += 1
        return told

    def conclude(self, outcome: Outcome) -> dict[str, Any]:
        """Return the answer of `replay` without the answers to each event."""
        return _render_outcome(outcome, self._currency) | {"log_hash": self._chain.text, "engine": ENGINE}


def replay(document: Node) -> dict[str, Any]:
    """Play a document `{"rules", "events", "as_of"}` and return its answer; raise `BadDocument`."""
    members = document.object(["rules", "events"], ["as_of"])
    book = read_rules(members["rules"])
    play = book.start()
    nodes = members["events"].list()
    events = _read_events(nodes, book)
    as_of = instant(members["as_of"]) if members["as_of"].given else None
    transcript = Transcript(members["rules"].value, book.currency)
    answers = []
    for event, node in zip(events, nodes, strict=True):
        if as_of is not None and event.at > as_of:
            break
        answers.append(transcript.add(node.value, _step(play, event, node)))
    return transcript.conclude(_outcome(play, as_of, members["events"])) | {"answers": answers}


def winning_bids(document: Any) -> dict[str, Any] | None:
    """Return inputs and both results of a package auction's winner determination; None for every other format."""
    members = Node(document).object(["rules", "events"], ["as_of"])
    book = read_rules(members["rules"])
    play = book.start()
    if not isinstance(play, Package):
        return None
    for event in _read_events(members["events"].list(), book):
        play.step(event)
    found = play.solution()
    return {"inputs": found.inputs, "solver": found.solver, "recheck": found.recheck}


def _step(play: Play, event: Event, node: Node) -> Answer:
    try:
        return play.step(event)
    except TooMuchWork:
        raise BadDocument(node.pointer, event.kind, "fewer voids between so many attempts") from None


def _outcome(play: Play, as_of: datetime | None, node: Node) -> Outcome:
    try:
        return play.outcome(as_of)
    except TooMuchWork:
        found = f"{len(node.value)} events"
        raise BadDocument(node.pointer, found, "so few bids or voids that the best can be proven") from None


def _read_events(nodes: list[Node], book: Rulebook) -> list[Event]:
    events: list[Event] = []
    for node in nodes:
        event = _read_event(node, book)
        if events and event.at < events[-1].at:
            raise node.child("at").refuse("an instant not before that of the event before")
        events.append(event)
    return events


def _read_event(node: Node, book: Rulebook) -> Event:
    kinds = [*book.format.attempts, *EventKind]
    if not isinstance(node.value, dict) or "kind" not in node.value:
        node.object(["at", "kind"], ["bidder", "amount", "lots", "reason"])
    kind = node.child("kind").one_of(kinds)
    required, optional = _OPERATOR.get(kind) or book.format.attempts[kind]
    members = node.object(["at", "kind", *required], optional)
    if "reason" in members and members["reason"].given:
        members["reason"].text(minimum=0)
    amount = members.get("amount")
    given = amount is not None and ("amount" in required or amount.given)
    minor = amount.amount(book.currency).minor if amount is not None and given else None
    seen = kind == AttemptKind.ACCEPT
    return Event(
        at=instant(members["at"]),
        kind=kind,
        bidder=members["bidder"].text() if "bidder" in members else "",
        amount=0 if seen or minor is None else minor,
        seen=minor if seen else None,
        lots=_read_lots(members["lots"]) if "lots" in members else (),
    )


def _read_lots(node: Node) -> tuple[str, ...]:
    lots: dict[str, None] = {}
    for row in node.list(minimum=1, maximum=MAX_LOTS):
        lot = row.text()
        if lot in lots:
            raise row.refuse("each lot once")
        lots[lot] = None
    return tuple(lots)


def _render_answer(answer: Answer, currency: str) -> dict[str, Any]:
    values = {
        "accepted": answer.accepted,
        "code": answer.code and answer.code.value,
        "sequence": answer.sequence,
        "price": _text(answer.price, currency),
        "leader": answer.leader,
        "minimum_next": _text(answer.minimum_next, currency),
        "ends_at": _instant(answer.ends_at),
    }
    return {name: value for name, value in values.items() if value is not None}


def _render_outcome(outcome: Outcome, currency: str) -> dict[str, Any]:
    return {
        "state": outcome.state.value,
        "winner": outcome.winner,
        "price": _text(outcome.price, currency),
        "ends_at": format_instant(outcome.ends_at),
        "extensions": outcome.extensions,
        "accepted": outcome.accepted,
        "ranking": [{"bidder": row.bidder, "amount": _text(row.amount, currency)} for row in outcome.ranking],
        "awards": [_render_award(award, currency) for award in outcome.awards],
    }


def _render_award(award: Award, currency: str) -> dict[str, Any]:
    lots = {"lots": list(award.lots)} if award.lots else {}
    price = _text(award.price, currency)
    return {"bidder": award.bidder, **lots, "price": price, "state": award.state.value}


def _instant(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)


def _text(minor: int | None, currency: str) -> str | None:
    """Write minor units with the currency's decimals; unlike `Money` for figures beyond any amount that can be bid."""
    if minor is None:
        return None
    decimals = exponent(currency)
    digits = str(minor).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits

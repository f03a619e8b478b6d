"""A whole auction out of one document: rules and ordered events in, result and an answer to every event out.

The document and its answer are those of the file format "auction replay"; the functions that decide are the live ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from auctions.domain.canonical import Chain
from auctions.domain.english import EnglishFormat
from auctions.domain.formats import Answer, Event, EventKind, Format, Outcome, Play
from auctions.domain.reading import instant
from marketplace.clock import format_instant
from marketplace.documents import Node
from marketplace.money import exponent

ENGINE: Final = "auctions-1.0.0"
"""Version of the rules; it changes whenever any document could get another answer."""

FORMATS: Final[Mapping[str, Format]] = {"english": EnglishFormat()}
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


def replay(document: Node) -> dict[str, Any]:
    """Play a document `{"rules", "events", "as_of"}` and return its answer; raise `BadDocument`."""
    members = document.object(["rules", "events"], ["as_of"])
    book = read_rules(members["rules"])
    play = book.start()
    nodes = members["events"].list()
    events = _read_events(nodes, book)
    as_of = instant(members["as_of"]) if members["as_of"].given else None
    chain = Chain(members["rules"].value)
    answers = []
    for index, event in enumerate(events):
        if as_of is not None and event.at > as_of:
            break
        answer = {"event": index} | _render_answer(play.step(event), book.currency)
        chain.add(event=nodes[index].value, answer=answer)
        answers.append(answer)
    outcome = _render_outcome(play.outcome(as_of), book.currency)
    return outcome | {"answers": answers, "log_hash": chain.text, "engine": ENGINE}


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
        node.object(["at", "kind"], ["bidder", "amount", "reason"])
    kind = node.child("kind").one_of(kinds)
    required, optional = _OPERATOR.get(kind) or book.format.attempts[kind]
    members = node.object(["at", "kind", *required], optional)
    if "reason" in members and members["reason"].given:
        members["reason"].text(minimum=0)
    return Event(
        at=instant(members["at"]),
        kind=kind,
        bidder=members["bidder"].text() if "bidder" in members else "",
        amount=members["amount"].amount(book.currency).minor if "amount" in members else 0,
    )


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
        "awards": [
            {"bidder": award.bidder, "price": _text(award.price, currency), "state": award.state.value}
            for award in outcome.awards
        ],
    }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)


def _text(minor: int | None, currency: str) -> str | None:
    """Write minor units with the currency's decimals; unlike `Money` for figures beyond any amount that can be bid."""
    if minor is None:
        return None
    decimals = exponent(currency)
    digits = str(minor).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits

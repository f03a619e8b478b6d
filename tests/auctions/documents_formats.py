"""Small replay documents of every format for the tests: one day, 2026-03-02, in CNY."""

from typing import Any

from auctions.domain.replay import replay
from marketplace.documents import Node


def at(time: str) -> str:
    """`09:10` or `09:10:00.001` of the day."""
    hours, minutes, *seconds = time.split(":")
    whole, _, part = (seconds[0] if seconds else "00").partition(".")
    return f"2026-03-02T{hours}:{minutes}:{whole}.{part or '000'}Z"


def rules(format_name: str, **more: Any) -> dict[str, Any]:
    """Complete rules of a format; `more` replaces or adds."""
    ending = {"ends_at": at("10:00")}
    priced = {"start_price": "100.00"}
    fixed = {"increment": {"kind": "fixed", "amount": "10.00"}}
    steps = {"steps": {"count": 5, "seconds": 60, "drop": "10.00", "pause_seconds": 30}}
    phases = {"sealed_seconds": 600, "best_bid_seconds": 300, "pause_seconds": 20}
    keys = {
        "english": ending | priced | fixed,
        "proxy": ending | priced | fixed,
        "two_phase": ending | priced | fixed | {"cycle_seconds": 180},
        "sealed_first_price": ending | priced,
        "sealed_second_price": ending | priced,
        "dutch": priced | steps,
        "hybrid_dutch": priced | steps | phases,
        "gong": priced | fixed | {"pause_seconds": 20, "round_seconds": 180, "stop_at": at("17:00")},
        "package": ending
        | {"lots": [{"lot": name, "reserve": "100.00"} for name in ("L1", "L2", "L3")], "unsold_lots_count": "nothing"},
    }
    common = {"format": format_name, "currency": "CNY", "opens_at": at("09:00")}
    return common | keys[format_name] | more


def event(time: str, kind: str, bidder: str | None = None, amount: str | None = None, **more: Any) -> dict[str, Any]:
    values = {"at": at(time), "kind": kind, "bidder": bidder, "amount": amount} | more
    return {name: value for name, value in values.items() if value is not None}


def play(document: dict[str, Any], *events: dict[str, Any], as_of: str | None = None) -> dict[str, Any]:
    """Replay, as of a time of the day or after everything."""
    moment = None if as_of is None else at(as_of)
    return replay(Node({"rules": document, "events": list(events), "as_of": moment}))


def codes(answer: dict[str, Any]) -> list[str | None]:
    """The refusal code of each answer, None where it was accepted."""
    return [row.get("code") for row in answer["answers"]]


def ranked(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["bidder"], row["amount"]) for row in answer["ranking"]]


def awarded(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(row["bidder"], row["price"], row["state"]) for row in answer["awards"]]

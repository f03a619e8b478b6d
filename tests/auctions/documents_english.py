"""Small pieces of replay documents for the tests."""

from auctions.domain.replay import replay
from marketplace.documents import Node


def english(**more):
    rules = {
        "format": "english", "currency": "CNY", "opens_at": "2026-03-02T09:00:00.000Z",
        "ends_at": "2026-03-02T10:00:00.000Z", "start_price": "1000000.00",
        "increment": {"kind": "fixed", "amount": "50000.00"},
    }  # fmt: skip
    return rules | more


def bid(time, who, value):
    return {"at": f"2026-03-02T{time}Z", "kind": "bid", "bidder": who, "amount": value}


def played(rules, *events, as_of=None):
    return replay(Node({"rules": rules, "events": list(events), "as_of": as_of}))

"""Random auctions of the open formats through the service and PostgreSQL: answers and result are the reference's."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from auctions import bidding, steering
from auctions.domain.formats import AttemptKind
from marketplace.errors import Failure
from marketplace.money import Money
from tests.auctions.arena import arena as arena  # noqa: PLC0414 - a fixture
from tests.auctions.documents_random import Choice, Draft
from tests.auctions.reference_documents import milliseconds

OPEN_FORMATS = ["english", "proxy", "two_phase", "dutch", "hybrid_dutch", "gong"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RUNS = 12


def drafted(source, format_name):
    """Rules in CNY with a reserve of the row's own, of bidders A to C without rights."""
    while True:
        draft = Draft(Choice(source), format_name)
        if draft.rules["currency"] == "CNY" and draft.scale < 2**40 and not draft.rules.get("priority"):
            return draft


def moment(at):
    return EPOCH + timedelta(milliseconds=at)


def attempted(arena, event):
    amount = None if "amount" not in event else Money.parse(event["amount"], "CNY")
    if amount is not None and not amount.minor:
        return "zero"
    key = f"{random.random()}"
    attempt = bidding.Attempt(arena.person(event["bidder"]).actor, key, AttemptKind(event["kind"]), amount, (), False)
    answer = arena.batch(attempt)[0]
    return (answer.code, None) if isinstance(answer, Failure) else (None, answer.ends_at)


def operated(arena, event):
    try:
        arena.steer(event["kind"], **({"name": event["bidder"]} if event["kind"] == "void" else {}))
    except (steering.AlreadySuspended, steering.NotSuspended, steering.BiddingOver, steering.AlreadyVoided):
        return


def play(arena, draft):
    reserve = draft.auction.reserve
    public = {name: value for name, value in draft.rules.items() if name != "reserve_price"}
    arena.open(public, reserve=reserve or None)
    now = milliseconds(draft.rules["opens_at"])
    for _ in range(14):
        now = max(now, draft.moment(now))
        event = draft.event()
        if event.get("bidder") in ("D", "Z") or event.get("amount") == "0.00":
            continue
        arena.at(moment(now))
        expected = draft.auction.take(now, event)
        if event["kind"] in ("suspend", "resume", "void"):
            operated(arena, event)
        else:
            end = moment(expected["ends_at"]) if "ends_at" in expected else None
            assert attempted(arena, event) == (expected.get("code"), end), (event, expected)
    return now


@pytest.mark.parametrize("format_name", OPEN_FORMATS)
def test_the_service_answers_as_the_reference(arena, format_name):
    for seed in range(RUNS):
        draft = drafted(random.Random(seed), format_name)
        if draft.auction.reserve == 0:
            continue
        now = play(arena, draft)
        if draft.auction.stopped is not None:
            continue
        arena.at(moment(max(now, draft.auction.ends_at())))
        arena.close()
        result = draft.auction.result(None)
        row = arena.row()
        assert row.outcome.value == result["state"], seed
        assert row.price_minor == result["price"], seed
        awards = [row for row in result["awards"] if row["state"] != "unsuccessful"]
        if awards:
            assert arena.result()[2] == [(one["bidder"], one["price"] // 100, one["state"]) for one in awards]

"""Amounts beyond 2^31 and 2^53 minor units, from request to bundle; and the end by the millisecond over HTTP."""

import json

import pytest
from sqlalchemy import text

from auctions.domain import bundle, verification
from auctions.domain.replay import replay
from marketplace.documents import Node
from tests.auctions.arena import ENDS, MILLISECOND, OPENS, SECOND, rules
from tests.auctions.arena import arena as arena  # noqa: PLC0414 - a fixture

BEYOND = [2**31 + 1, 2**32 + 1, 2**53 + 1]
"""Minor units; the last is no whole number of any float."""


def bid(api, arena, name, minor, key):
    """Over HTTP: status and answer."""
    path = f"/auctions/{arena.auction_id}/bids"
    body = {"amount": {"amount": f"{minor // 100}.{minor % 100:02d}", "currency": "CNY"}}
    answer = api.as_(arena.person(name)).post(path, json=body, headers={"Idempotency-Key": key})
    return answer.status_code, answer.get_json()


@pytest.mark.parametrize("minor", BEYOND)
def test_great_amounts_are_exact_everywhere(api, arena, minor):
    start, second = f"{minor // 100}.{minor % 100:02d}", minor + 1_001
    written = f"{second // 100}.{second % 100:02d}"
    arena.open(rules(start_price=start), reserve=second)
    assert bid(api, arena, "A", minor - 1, "k0")[1]["code"] == "below_start"
    status, receipt = bid(api, arena, "A", minor, "k1")
    assert (status, receipt["price"]["amount"]) == (201, start)
    arena.at(OPENS + SECOND)
    assert bid(api, arena, "B", minor + 999, "k2")[1]["code"] == "below_minimum"
    status, receipt = bid(api, arena, "B", second, "k3")
    assert (status, receipt["receipt"]["receipt"]["event"]["amount"]) == (201, written)
    assert bid(api, arena, "B", second, "k3")[1] == receipt
    assert bid(api, arena, "A", second, "k4")[1]["minimum_next"]["amount"] == (
        f"{(second + 1_000) // 100}.{second % 100:02d}"
    )
    assert (arena.row().price_minor, [entry.amount_minor for entry in arena.log()]) == (second, [minor, second])
    arena.at(ENDS)
    assert arena.close() == 1
    reader = api.as_(arena.people.buyer)
    path = f"/auctions/{arena.auction_id}"
    shown = reader.ok("GET", f"{path}/result")
    assert (shown["price"]["amount"], shown["awards"][0]["price"]["amount"]) == (written, written)
    assert reader.ok("GET", f"{path}/bids")["items"][0]["amount"]["amount"] == written
    document = reader.ok("GET", f"{path}/log")
    assert replay(Node(document))["price"] == document["events"][1]["amount"] == written
    content = reader.get(f"{path}/bundle").data
    verdict = verification.verify(content)
    assert verdict.findings == []
    members = {name: json.loads(data) for name, data in bundle.unpack(content)[0]}
    assert members["result.json"]["price"] == members["reserve.json"]["reserve_price"] == written
    assert reader.get(f"{path}/protocol.pdf?language=en").data.startswith(b"%PDF")


def test_the_end_by_the_millisecond_over_http(api, arena):
    document = rules()
    del document["soft_close"]
    arena.open(document)
    for number, (moment, code) in enumerate(
        [(ENDS + MILLISECOND, "late"), (ENDS, "late"), (ENDS - MILLISECOND, None), (ENDS, "late")]
    ):
        arena.at(moment)
        status, answer = bid(api, arena, "AB"[number % 2], 10_000 + 1_000 * number, f"k{number}")
        assert (status, answer.get("code")) == ((409, code) if code else (201, None))
    assert arena.close() == 1
    assert [arena.close() for _ in range(3)] == [0, 0, 0]
    with arena.sessions() as session:
        assert session.execute(text("SELECT count(*) FROM awards")).scalar_one() == 1

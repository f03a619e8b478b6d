"""The live door beside the web door: the same answers to the same requests, and a batch decided in order."""

import asyncio
import json
import uuid

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

import live
from auctions import bid_schemas
from auctions.live import bids
from marketplace import aio, bodies, runtime
from marketplace.errors import Failure
from tests.auctions.conftest import cny

JSON = "application/json"
BODIES = [
    (JSON, b""), (JSON, b"{"), (JSON, b"[]"), (JSON, b"null"), (JSON, b'{"amount": NaN}'), (JSON, b"\xff"),
    (JSON, b'{"amount": 1, "amount": 2}'), (JSON, json.dumps({"amount": cny("1.00"), "x": 1}).encode()),
    (JSON, json.dumps({"amount": {"amount": 1, "currency": "CNY"}}).encode()),
    (JSON, json.dumps({"amount": cny("1e5")}).encode()), (JSON, json.dumps({"amount": cny("99999.99")}).encode()),
    ("text/plain", json.dumps({"amount": cny("100000.00")}).encode()),
    (JSON, json.dumps({"amount": {"amount": "100000.00", "currency": "USD"}}).encode()),
]  # fmt: skip


class Told:
    """An answer of the live door."""

    def __init__(self, answer):
        self.status, self.headers, self.answer = answer.status, dict(answer.headers), json.loads(answer.body)


async def send(door, path, body, headers, method="POST"):
    answered = asyncio.get_running_loop().create_future()
    fields = {"host": "localhost", "content-length": str(len(body))} | headers
    door.application.take(aio.Asked(method, path, fields, body), aio.Reply(answered.set_result, path))
    return Told(await answered)


@pytest.fixture
def door(stage, running):
    made = live.Door(running)
    yield made
    made.let_go()


def both(stage, door, path, body, kind, *, token, key):
    """The answers of the web door and of the live door, without times and signatures of their own."""
    headers = {"content-type": kind, "idempotency-key": key}
    if token:
        headers["authorization"] = f"Bearer {token}"
    web = stage.api.app.test_client(use_cookies=False).post(path, data=body, headers=headers)
    ours = asyncio.run(send(door, path, body, headers))
    return (web.status_code, _plain(web.get_json())), (ours.status, _plain(ours.answer))


def _plain(document):
    return {name: value for name, value in document.items() if name not in {"receipt", "server_time"}}


@pytest.mark.parametrize(("kind", "body"), BODIES)
def test_both_doors_refuse_alike(stage, door, kind, body):
    listing = stage.live(stage.people.buyer)
    path = f"/api/v1/auctions/{listing['auction_id']}/bids"
    for token, key in ((stage.people.buyer.token, "k"), (stage.people.buyer.token, ""), ("", "k"), ("nps_no", "k")):
        web, ours = both(stage, door, path, body, kind, token=token, key=key)
        assert ours == web
        assert web[0] >= 400


def test_a_batch_is_decided_in_order_and_a_key_bids_once(stage, door):
    people = stage.people
    listing = stage.live(people.buyer, people.other_buyer, reserve_price=None)
    path = f"/api/v1/auctions/{listing['auction_id']}/bids"

    async def storm():
        def bid(who, amount, key):
            headers = {"content-type": JSON, "idempotency-key": key, "authorization": f"Bearer {who.token}"}
            return send(door, path, json.dumps({"amount": cny(amount)}).encode(), headers)

        return await asyncio.gather(
            bid(people.buyer, "100000.00", "a"), bid(people.other_buyer, "105000.00", "b"),
            bid(people.buyer, "100000.00", "a"), bid(people.seller, "110000.00", "c"),
            bid(people.other_buyer, "100000.00", "d"),
        )  # fmt: skip

    answers = asyncio.run(storm())
    assert [answer.status for answer in answers] == [201, 201, 201, 403, 409]
    assert answers[0].answer == answers[2].answer
    assert stage.auction(listing)["sequence"] == 2
    web = stage.bid(listing, people.buyer, "100000.00", key="a")
    assert web.get_json() == answers[0].answer


def test_an_unknown_auction_and_a_wrong_address(stage, door):
    headers = {"content-type": JSON, "idempotency-key": "k", "authorization": f"Bearer {stage.people.buyer.token}"}
    body = json.dumps({"amount": cny("1.00")}).encode()
    assert asyncio.run(send(door, f"/api/v1/auctions/{uuid.uuid4()}/bids", body, headers)).status == 404
    assert asyncio.run(send(door, "/api/v1/auctions/x/bids", body, headers)).status == 404


def reading(read):
    try:
        return read()
    except Failure as failure:
        return type(failure), failure.errors


@pytest.mark.parametrize("currency", ["CNY", "JPY", "cny", "XXX"])
@pytest.mark.parametrize(
    "amount", ["1", "1.00", "01.5", "1.005", "0", "0.00", "-1", "1.", ".5", "1.2.3", "9" * 15, "9" * 18, ""]
)
@pytest.mark.parametrize(
    "shape", ['{"amount":%s}', ' {\t"amount" :\r\n%s } ', '{"amount":%s,"confirmed":true}', '\x0b{"amount":%s}']
)
def test_the_short_way_of_reading_a_body_reads_what_the_schema_reads(shape, amount, currency):
    body = (shape % json.dumps({"amount": amount, "currency": currency})).encode()
    short = reading(lambda: bids.values_of(body, mimetype=JSON))
    assert short == reading(lambda: bodies.load(bid_schemas.BidIn(), body, mimetype=JSON))


def test_the_door_says_that_it_is_well(stage, door):
    told = asyncio.run(send(door, "/api/v1/health", b"", {}, "GET"))
    assert (told.status, told.answer) == (200, stage.api.ok("GET", "/health"))


def test_bidders_are_told_where_the_live_door_is(stage):
    listing = stage.live(stage.people.buyer)
    assert stage.auction(listing)["live_url"] is None


def test_a_door_whose_connections_were_cut_decides_on_a_new_one(stage, running):
    listing = stage.live(stage.people.buyer, reserve_price=None)
    path = f"/api/v1/auctions/{listing['auction_id']}/bids"
    own = runtime.build(running.settings, (), clock=running.clock, ping=False)
    door = live.Door(own)
    headers = {"content-type": JSON, "authorization": f"Bearer {stage.people.buyer.token}"}

    def bid(amount, key):
        return asyncio.run(
            send(door, path, json.dumps({"amount": cny(amount)}).encode(), headers | {"idempotency-key": key})
        )

    assert bid("1.00", "a").status == 409
    with running.engine.begin() as connection:
        cut = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle'"
        )
        assert connection.scalar(text(cut)) > 0
    assert bid("100000.00", "b").status == 201
    door.let_go()
    own.engine.dispose()
    runtime.install(running)


def test_what_becomes_of_one_bid_decided_alone_is_no_answer_to_the_others(monkeypatch):
    """The batch breaks; alone, the first is committed, of the second nobody knows, the third is committed."""
    bidding = bids.Bidding(None, holders=None, now=None)

    def decide(_auction_id, given):
        if len(given) > 1:
            raise IntegrityError("INSERT", None, ValueError("broken"))
        if given[0].key == "b":
            raise aio.Undecided
        return [aio.Answer(201, b"{}")]

    monkeypatch.setattr(bidding, "_decide", decide)
    given = [bids.Bid("token", key, {}, None, "/") for key in "abc"]
    assert [one.status for one in bidding.decide(uuid.uuid4(), given)] == [201, 503, 201]

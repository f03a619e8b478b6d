"""The feed: what was committed is told once and in order to everybody, and nobody who watches can harm another."""

import asyncio
import contextlib
import json
import socket
import threading
import uuid
from datetime import UTC, datetime, timedelta

import pytest

import feed
from auctions import feed as auction_feed
from marketplace import feeds
from tests.auctions.arena import arena as arena  # noqa: PLC0414 - a fixture
from tests.auctions.arena import rules
from tests.auctions.conftest import OPENS

PATIENCE = 10.0


def events(text):
    """The messages of a stream as (event, id, data)."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if "event" in fields:
            found.append((fields["event"], fields.get("id"), json.loads(fields["data"])))
    return found


class Stream:
    """A watcher with a plain socket."""

    def __init__(self, door, path, token, *, last=None, lines=(), receive=None):
        self.socket = socket.socket()
        if receive:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(door.address)
        fields = [f"GET {path} HTTP/1.1", "Host: localhost", *lines]
        if token:
            fields.append(f"Authorization: Bearer {token}")
        if last is not None:
            fields.append(f"Last-Event-ID: {last}")
        self.socket.sendall(("\r\n".join(fields) + "\r\n\r\n").encode())
        self.text = ""

    def until(self, enough):
        """Read until the messages so far are enough; return them."""
        while not enough(found := events(self.text)):
            part = self.socket.recv(65536)
            assert part, f"the stream ended: {self.text[-500:]}"
            self.text += part.decode()
        return found

    def end(self):
        """Read to the end; return status and problem document."""
        with contextlib.suppress(ConnectionError):
            while part := self.socket.recv(65536):
                self.text += part.decode()
        head, _, body = self.text.partition("\r\n\r\n")
        return int(head.split()[1]), json.loads(body) if body.startswith("{") else body


class Door:
    """A feed process, in a thread."""

    def __init__(self, running, **limits):
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.address = self.sock.getsockname()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run(running, limits)))
        self.thread.start()
        self.ready.wait(PATIENCE)

    async def _run(self, running, limits):
        self.loop, self.stopping = asyncio.get_running_loop(), asyncio.Event()
        self.ready.set()
        await feed.serve(running, self.sock, self.stopping, **limits)

    def stop(self):
        self.loop.call_soon_threadsafe(self.stopping.set)
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


@pytest.fixture
def open_door(running):
    doors, streams = [], []

    def make(**limits):
        doors.append(Door(running, **limits))
        return doors[-1]

    make.streams = streams
    yield make
    for stream in streams:
        stream.socket.close()
    for door in doors:
        if door.thread.is_alive():
            door.stop()


@pytest.fixture
def watch(open_door):
    def make(door, path, token, **more):
        stream = Stream(door, path, token, **more)
        open_door.streams.append(stream)
        return stream

    return make


def path_of(listing):
    return f"/api/v1/auctions/{listing['auction_id']}/feed"


def bids_of(found):
    return [data["number"] for event, _, data in found if event == "bid"]


def numbers(count):
    return lambda found: len(bids_of(found)) >= count and found[-1][0] == "standing"


def test_bids_are_told_in_order_and_what_was_missed_is_told_again(stage, open_door, watch):
    people = stage.people
    listing = stage.live(people.buyer, people.other_buyer, reserve_price=None)
    door = open_door()
    first = watch(door, path_of(listing), people.auditor.token)
    opening = first.until(len)
    assert [event for event, _, _ in opening] == ["standing"]
    assert opening[0][1] == "0"
    assert stage.bid(listing, people.buyer, "100000.00").status_code == 201
    assert stage.bid(listing, people.other_buyer, "105000.00").status_code == 201
    found = first.until(numbers(2))
    assert bids_of(found) == [1, 2]
    last = found[-1][2]
    assert last["price"] == {"amount": "105000.00", "currency": "CNY"}
    assert last["minimum_next"]["amount"] == "110000.00"
    assert all("server_time" in data for _, _, data in found)
    assert not {"rules", "you", "your_maximum", "reserve_commitment"} & set(last)
    again = watch(door, path_of(listing), people.auditor.token, last=1)
    assert bids_of(again.until(numbers(1))) == [2]
    up_to_date = watch(door, path_of(listing), people.auditor.token, last=2)
    assert [event for event, _, _ in up_to_date.until(len)] == ["standing"]


def test_the_web_door_tells_the_same_and_ends(stage):
    people = stage.people
    listing = stage.live(people.buyer, people.other_buyer, reserve_price=None)
    stage.bid(listing, people.buyer, "100000.00")
    stage.bid(listing, people.other_buyer, "105000.00")
    client = stage.api.app.test_client(use_cookies=False)
    headers = {"Authorization": f"Bearer {people.auditor.token}"}
    for last, expected in (("0", [1, 2]), ("1", [2]), ("2", []), (None, []), ("x", []), ("9" * 30, [])):
        more = {} if last is None else {"Last-Event-ID": last}
        answer = client.get(path_of(listing), headers=headers | more)
        assert answer.mimetype == "text/event-stream"
        assert answer.text.startswith("retry: 1000\n\n")
        found = events(answer.text)
        assert bids_of(found) == expected
        assert (found[-1][0], found[-1][1]) == ("standing", "2")
    assert client.get(path_of(listing)).status_code == 401
    assert client.get(f"/api/v1/auctions/{uuid.uuid4()}/feed", headers=headers).status_code == 404


def test_whoever_missed_too_much_is_told_from_where(stage, monkeypatch):
    monkeypatch.setattr(auction_feed, "CATCH_UP", 2)
    people = stage.people
    listing = stage.live(people.buyer, people.other_buyer, reserve_price=None)
    for who, amount in ((people.buyer, 100), (people.other_buyer, 105), (people.buyer, 110)):
        assert stage.bid(listing, who, f"{amount}000.00").status_code == 201
    with stage.sessions() as session:
        for after, expected, skipped in ((0, [2, 3], True), (1, [2, 3], False), (2, [3], False)):
            news = auction_feed.read_news(session, auction_id=uuid.UUID(listing["auction_id"]), after=after)
            assert ([bid.number for bid in news.bids], news.skipped) == (expected, skipped)
            assert ("skipped" in auction_feed.body_of(news).decode()) == skipped


def test_a_suspension_is_told_without_a_bid(stage, open_door, watch):
    people = stage.people
    listing = stage.live(people.buyer)
    stream = watch(open_door(), path_of(listing), people.seller.token)
    stream.until(len)
    path = f"/auctions/{listing['auction_id']}/suspend"
    stage.api.as_(people.compliance).ok("POST", path, json={"reason": "x"})
    found = stream.until(lambda found: found[-1][2]["state"] == "suspended")
    assert bids_of(found) == []


REFUSED = [
    ({"token": ""}, 401), ({"token": "nps_no"}, 401), ({"path": "/api/v1/auctions/x/feed"}, 404),
    ({"path": f"/api/v1/auctions/{uuid.uuid4()}/feed"}, 404), ({"lines": ["Transfer-Encoding: chunked"]}, 400),
    ({"lines": ["Content-Length: 5"]}, 400), ({"lines": ["host: twice"]}, 400), ({"lines": [" folded"]}, 400),
    ({"lines": ["X: " + "y" * 9000]}, 400), ({"lines": ["X: \x01"]}, 400),
    ({"token": "", "lines": ["Cookie: session=nps_x", "Origin: http://evil.example"]}, 403),
]  # fmt: skip


def test_who_may_not_watch_is_told_why(stage, open_door, watch):
    path, door = path_of(stage.live()), open_door()
    for change, status in REFUSED:
        found, problem = watch(door, **({"path": path, "token": stage.people.buyer.token} | change)).end()
        assert (found, problem["status"]) == (status, status), change


def test_another_method_is_refused(stage, open_door):
    door = open_door()
    with socket.create_connection(door.address, PATIENCE) as raw:
        raw.sendall(f"POST {path_of({'auction_id': uuid.uuid4()})} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert raw.recv(4096).startswith(b"HTTP/1.1 405")


def test_pages_of_ours_may_read_with_the_cookie(stage, running, open_door, watch):
    listing = stage.live()
    home = running.settings.public_url
    lines = [f"Cookie: session={stage.people.buyer.token}", f"Origin: {home}"]
    stream = watch(open_door(), path_of(listing), "", lines=lines)
    stream.until(len)
    assert f"Access-Control-Allow-Origin: {home}\r\n" in stream.text
    assert "Access-Control-Allow-Credentials: true" in stream.text


def test_only_so_many_may_watch(stage, open_door, watch):
    people = stage.people
    listing = stage.live()
    door = open_door(watchers=2, each=1)
    watch(door, path_of(listing), people.buyer.token).until(len)
    assert watch(door, path_of(listing), people.buyer.token).end()[0] == 429
    watch(door, path_of(listing), people.seller.token).until(len)
    full = watch(door, path_of(listing), people.auditor.token)
    assert full.end()[0] == 503
    assert "retry-after: 1" in full.text


def test_a_watcher_that_does_not_read_is_dropped_and_harms_nobody(stage, open_door, watch, monkeypatch):
    monkeypatch.setattr(feeds, "SILENCE_SECONDS", 0.001)
    monkeypatch.setattr(feeds, "MAX_BUFFER", 4096)
    people = stage.people
    listing = stage.live(people.buyer, reserve_price=None)
    door = open_door()
    slow = watch(door, path_of(listing), people.seller.token, receive=2048)
    other = watch(door, path_of(listing), people.auditor.token)
    other.until(lambda found: len(found) > 400)
    assert stage.bid(listing, people.buyer, "100000.00").status_code == 201
    other.until(lambda found: bids_of(found) == [1])
    with contextlib.suppress(ConnectionError):
        for _ in range(200):
            if not (part := slow.socket.recv(65536)):
                break
            slow.text += part.decode()
    assert bids_of(events(slow.text)) == []


def test_an_ended_session_ends_the_stream(stage, open_door, watch, monkeypatch):
    monkeypatch.setattr(feeds, "RECHECK_SECONDS", 0.1)
    people = stage.people
    listing = stage.live()
    door = open_door()
    stream = watch(door, path_of(listing), people.buyer.token)
    other = watch(door, path_of(listing), people.auditor.token)
    stream.until(len)
    other.until(len)
    stage.clock.at = datetime(2030, 1, 1, tzinfo=UTC)
    assert stream.end()[0] == 200
    assert other.end()[0] == 200


def test_stopping_lets_everybody_go(stage, open_door, watch):
    listing = stage.live()
    door = open_door()
    stream = watch(door, path_of(listing), stage.people.buyer.token)
    stream.until(len)
    door.stop()
    assert stream.end()[0] == 200


def test_watchers_stay_while_the_database_is_away(stage, running, open_door, watch):
    people = stage.people
    listing = stage.live(people.buyer, reserve_price=None)
    stream = watch(open_door(), path_of(listing), people.auditor.token)
    stream.until(len)
    with running.engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert stage.bid(listing, people.buyer, "100000.00").status_code == 201
    assert bids_of(stream.until(numbers(1))) == [1]


def test_a_sealed_auction_reveals_nothing(arena, open_door, watch, monkeypatch):
    monkeypatch.setattr(feeds, "SILENCE_SECONDS", 0.2)
    arena.open(rules("sealed_first_price")).seal()
    door = open_door()
    path = path_of({"auction_id": arena.auction_id})
    stream = watch(door, path, arena.people.seller.token)
    stream.until(len)
    assert arena.bid("A", 150) is None
    assert arena.bid("B", 160) is None
    heard = len(stream.text)
    again = watch(door, path, arena.people.seller.token, last=0)
    stream.until(lambda _: len(stream.text) > heard + 200)
    for found in (again.until(len), events(stream.text)):
        assert {event for event, _, _ in found[1:]} <= {"time"}
        event, number, told = found[0]
        assert event == "standing"
        assert number == "0"
        hidden = [told[name] for name in ("price", "leader", "sequence", "head")]
        assert hidden == [None] * 4


def test_the_opening_is_told_when_it_comes(stage, open_door, watch):
    listing = stage.publish()
    stage.at(OPENS - timedelta(milliseconds=200))
    stream = watch(open_door(), path_of(listing), stage.people.buyer.token)
    assert stream.until(len)[0][2]["state"] == "scheduled"
    stage.at(OPENS)
    assert stream.until(lambda found: found[-1][0] == "standing" and found[-1][2]["state"] == "open")

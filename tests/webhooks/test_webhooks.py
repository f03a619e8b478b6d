"""Webhooks against a real receiver on loopback: signed, once, again after failures, never to private addresses."""

import base64
import dataclasses
import hashlib
import hmac
import http.server
import json
import multiprocessing
import os
import signal
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from sqlalchemy import text

from marketplace import runtime, tasks
from marketplace.webhooks import domain, sending, service
from marketplace.webhooks.tasks import SEND_DUE
from tests.conftest import make_settings
from tests.mortal import mortal_call

MESSAGE = uuid.UUID(int=1)
FORK = multiprocessing.get_context("fork")


class Receiver:
    """An HTTP server that answers as told and remembers what came."""

    def __init__(self):
        self.status, self.delay, self.heard = 200, 0, []
        self.look = lambda: None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.heard.append((dict(self.headers), body))
                outer.look()
                time.sleep(outer.delay)
                self.send_response(outer.status)
                if outer.status == 302:
                    self.send_header("Location", outer.url)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?x=1"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def settings(database, tmp_path):
    return make_settings(database, tmp_path / "files", WEBHOOKS_TO_PRIVATE="1")


@pytest.fixture
def endpoint(api, people, receiver):
    """A buyer's endpoint at the receiver, with its secret."""
    return api.as_(people.buyer).ok("POST", "/webhook-endpoints", 201, json={"url": receiver.url})


@pytest.fixture
def tell(sessions, people, clock):
    def put(key="k1", kind="auction.awarded"):
        with sessions.begin() as session:
            bodies = {people.buyer.organisation_id: {"bidder": "B-01"}}
            return service.tell(session, kind=kind, event_key=key, bodies=bodies, at=clock.now())

    return put


@pytest.fixture
def send(running):
    def run():
        return tasks.perform(running, "webhooks.send_due") or 0

    return run


def test_the_signature_is_that_of_the_standard():
    signed = domain.signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at=datetime.fromtimestamp(1614265330, UTC), body=b'{"test": 2432232314}',
    )  # fmt: skip
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_message_is_told_once_signed_and_logged(api, people, receiver, endpoint, tell, send):
    assert [tell(), tell()] == [1, 0]
    assert [send(), send()] == [1, 0]
    ((headers, body),) = receiver.heard
    key = base64.b64decode(endpoint["secret"].removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert json.loads(body)["type"] == "auction.awarded"
    assert json.loads(body)["data"] == {"bidder": "B-01"}
    own = api.as_(people.buyer)
    listed = own.ok("GET", f"/webhook-endpoints/{endpoint['endpoint']['id']}/messages")["items"]
    assert [(row["id"], row["attempts"]) for row in listed] == [(headers["webhook-id"], 1)]
    seen = own.ok("GET", f"/webhook-messages/{headers['webhook-id']}")
    assert [attempt["status"] for attempt in seen["attempts"]] == [200]
    assert api.as_(people.other_buyer).get(f"/webhook-messages/{headers['webhook-id']}").status_code == 404
    assert "secret" not in own.get("/webhook-endpoints").text
    own.ok("POST", f"/webhook-messages/{headers['webhook-id']}/send-again")
    assert send() == 1
    assert receiver.heard[1][0]["webhook-id"] == headers["webhook-id"]


def test_what_fails_is_tried_again_later_and_an_endpoint_that_never_answers_is_disabled(
    api, people, receiver, endpoint, tell, send, clock, sessions, monkeypatch
):
    monkeypatch.setattr(domain, "MAX_FAILURES", 3)
    receiver.status = 500
    tell()
    assert [send(), send()] == [1, 0]
    clock.advance(seconds=10)
    receiver.status = 302
    assert send() == 1
    clock.advance(seconds=20)
    receiver.close()
    assert send() == 1
    with sessions() as session:
        found = session.execute(text("SELECT status, error FROM webhook_attempts ORDER BY id")).all()
        state = session.execute(text("SELECT state FROM webhook_endpoints")).scalar_one()
    assert [row.status for row in found] == [500, 302, None]
    assert "ConnectionRefused" in found[2].error
    assert state == "disabled"
    clock.advance(hours=1)
    assert send() == 0
    enabled = api.as_(people.buyer).ok("POST", f"/webhook-endpoints/{endpoint['endpoint']['id']}/enable")
    assert (enabled["state"], enabled["failures"]) == ("enabled", 0)
    assert send() == 1
    assert len(receiver.heard) == 2


def test_a_message_is_given_up_at_last_and_a_receiver_that_is_gone_at_once(
    receiver, endpoint, tell, send, sessions, clock
):
    receiver.status = 410
    tell()
    assert send() == 1
    clock.advance(days=2)
    assert send() == 0
    with sessions() as session:
        assert session.execute(text("SELECT given_up_at IS NOT NULL FROM webhook_messages")).scalar_one()
        assert session.execute(text("SELECT state FROM webhook_endpoints")).scalar_one() == "disabled"
    pauses = [domain.pause(count) for count in range(1, domain.MAX_ATTEMPTS + 1)]
    assert pauses == sorted(pauses)
    assert pauses[0] == timedelta(seconds=10)
    assert pauses[-1] <= timedelta(hours=6)


def test_a_slow_receiver_is_cut_off(receiver, monkeypatch):
    monkeypatch.setattr(sending, "TIMEOUT_SECONDS", 0.3)
    receiver.delay = 2
    secret = domain.new_secret(b"x" * 32)
    one = sending.Call(MESSAGE, 1, receiver.url, secret, b"{}", datetime(2026, 1, 1, tzinfo=UTC), allow_private=True)
    outcome = sending.call(one)
    assert (outcome.status, outcome.heard) == (None, False)
    assert outcome.milliseconds < 1500


def test_two_workers_send_once(receiver, endpoint, tell, send):
    for key in range(3):
        tell(str(key))
    receiver.delay = 0.2
    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({headers["webhook-id"] for headers, _ in receiver.heard}) == len(receiver.heard) == 3


def test_nothing_is_locked_and_no_transaction_open_during_a_call(receiver, endpoint, tell, send, sessions):
    tell()
    seen = []

    def look():
        with sessions.begin() as session:
            session.execute(text("SELECT 1 FROM webhook_messages FOR UPDATE NOWAIT"))
            session.execute(text("SELECT 1 FROM webhook_endpoints FOR UPDATE NOWAIT"))
            others = "state <> 'idle' AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {others}"
            seen.append(session.execute(text(query)).scalar_one())

    receiver.look = look
    assert (send(), seen) == (1, [0])


def message(sessions):
    query = "SELECT attempts, delivered_at IS NOT NULL AS delivered, given_up_at IS NOT NULL AS given_up"
    with sessions() as session:
        row = session.execute(text(query + " FROM webhook_messages")).one()
        tried = session.execute(text("SELECT count(*) FROM webhook_attempts")).scalar_one()
    return row.attempts, tried, row.delivered, row.given_up


def test_a_sender_killed_during_its_call_is_followed_by_another_under_the_same_id(
    receiver, endpoint, tell, send, running, sessions, clock
):
    tell()
    called = threading.Event()
    receiver.delay, receiver.look = 1, called.set

    def body():
        built = runtime.build(running.settings, running.modules, clock=clock)
        runtime.install(built)
        tasks.perform(built, "webhooks.send_due")

    process = FORK.Process(target=body)
    process.start()
    assert called.wait(30)
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    receiver.delay = 0
    assert message(sessions) == (1, 0, False, False)
    assert send() == 0
    clock.advance(seconds=sending.LEASE.total_seconds())
    assert send() == 1
    assert message(sessions) == (2, 1, True, False)
    first, second = (headers["webhook-id"] for headers, _ in receiver.heard)
    assert first == second


@pytest.mark.parametrize(("point", "heard", "first"), [
    ("intent", 0, (0, 0, False, False)), ("call", 0, (1, 0, False, False)), ("answer", 1, (1, 0, False, False)),
    ("outcome", 1, (1, 0, False, False)), ("end", 1, (1, 1, True, False)),
])  # fmt: skip
def test_a_sender_killed_at_each_step_tells_it_again_or_never_under_another_id(
    receiver, endpoint, tell, send, running, sessions, clock, point, heard, first
):
    tell()

    def die(here):
        if here == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def body():
        mortal = [
            dataclasses.replace(
                one, periodic=tuple(mortal_call(work, die) if work is SEND_DUE else work for work in one.periodic)
            )
            for one in running.modules
        ]
        built = runtime.build(running.settings, mortal, clock=clock)
        runtime.install(built)
        tasks.perform(built, "webhooks.send_due")
        die("end")

    process = FORK.Process(target=body)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert (len(receiver.heard), message(sessions)) == (heard, first)
    clock.advance(seconds=sending.LEASE.total_seconds())
    assert send() == int(point != "end")
    assert message(sessions)[1:] == (1, True, False)
    assert len({headers["webhook-id"] for headers, _ in receiver.heard}) == 1
    assert len(receiver.heard) == heard + int(point != "end")


def test_a_message_that_kills_every_sender_is_given_up(receiver, endpoint, tell, send, sessions, clock):
    tell()
    for number in range(1, domain.MAX_ATTEMPTS + 1):
        with sessions.begin() as session:
            (one,) = SEND_DUE.claim(session, clock.now())
            assert one.attempt == number
        clock.advance(seconds=60)
    assert send() == 0
    assert message(sessions) == (domain.MAX_ATTEMPTS, 0, False, True)
    assert receiver.heard == []


@pytest.mark.parametrize(("late", "delivered"), [(500, False), (200, True)])
def test_a_late_outcome_moves_nothing_unless_the_message_was_heard(
    receiver, endpoint, tell, send, sessions, clock, late, delivered
):
    tell()

    def claim():
        with sessions.begin() as session:
            return SEND_DUE.claim(session, clock.now())

    def due():
        with sessions() as session:
            return session.execute(text("SELECT next_attempt_at FROM webhook_messages")).scalar_one()

    first = claim()
    clock.advance(seconds=60)
    second = claim()
    until = due()
    with sessions.begin() as session:
        assert SEND_DUE.record(session, claimed=first, outcome=[sending.Outcome(late, "", 1)], at=clock.now()) == 1
    assert (message(sessions)[2], due()) == (delivered, until)
    with sessions.begin() as session:
        SEND_DUE.record(session, claimed=second, outcome=[sending.Outcome(503, "", 1)], at=clock.now())
    assert message(sessions) == (2, 2, delivered, False)
    assert (due() == until) is delivered


@pytest.mark.parametrize(
    "url",
    ["http://example.com/", "https://10.0.0.1/", "https://[::1]/", "https://localhost/", "https://169.254.169.254/",
     "https://user:pw@example.com/", "https://example.com/#x", "ftp://example.com/", "https://[::ffff:10.0.0.1]/",
     "https://", "https://exa mple.com", "https://100.64.0.1/"],
)  # fmt: skip
def test_unfit_addresses_are_refused(url):
    with pytest.raises(domain.UnfitUrl):
        domain.check_url(url, allow_private=False)


def test_where_private_is_allowed_plain_http_stays_on_loopback():
    assert domain.check_url("http://127.0.0.1:9/x", allow_private=True)
    assert domain.check_url("https://10.0.0.1/", allow_private=True)
    with pytest.raises(domain.UnfitUrl):
        domain.check_url("http://10.0.0.1/", allow_private=True)
    assert not domain.may_call(ip_address("169.254.169.254"), allow_private=True)
    assert not domain.may_call(ip_address("64:ff9b::a00:1"), allow_private=False)


def test_a_name_that_leads_to_a_private_address_is_not_called(monkeypatch):
    monkeypatch.setattr(sending.socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("10.1.2.3", 443))])
    secret = domain.new_secret(b"x" * 32)
    one = sending.Call(
        MESSAGE, 1, "https://example.com/", secret, b"{}", datetime(2026, 1, 1, tzinfo=UTC), allow_private=False
    )
    outcome = sending.call(one)
    assert (outcome.status, "ForbiddenAddress" in outcome.error) == (None, True)


def test_kinds_and_strangers(api, people, receiver, sessions, tell):
    body = {"url": receiver.url, "kinds": ["auction.failed"]}
    made = api.as_(people.buyer).ok("POST", "/webhook-endpoints", 201, json=body)["endpoint"]
    assert [tell("a", "auction.awarded"), tell("b", "auction.failed")] == [0, 1]
    again = api.as_(people.buyer).post("/webhook-endpoints", json=body)
    assert (again.status_code, again.get_json()["code"]) == (409, "webhook_endpoint_known")
    stranger = api.as_(people.other_buyer)
    path = f"/webhook-endpoints/{made['id']}"
    assert stranger.post(f"{path}/disable", json={"reason": "x"}).status_code == 404
    assert stranger.get(f"{path}/messages").status_code == 404
    assert stranger.ok("GET", "/webhook-endpoints")["items"] == []
    assert api.as_(people.buyer_analyst).post("/webhook-endpoints", json=body).status_code == 403


def test_every_event_of_the_house_has_its_own_handler(running):
    names = [subscription.name for subscription in running.subscriptions]
    assert len(names) == len(set(names))

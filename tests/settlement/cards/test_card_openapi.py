"""Every request that we make of Stripe, judged by Stripe's own OpenAPI document: `stripe-mock`, its official mock.

Built by the Go toolchain, where there is one, into the cache folder of whoever runs the tests. It keeps no state; the
double (`tests.stripe_double`) does. What is sent to it are the very requests that the double got from the real SDK.
"""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.settlement.cards.test_card_events import a_busy_day

MODULE = "github.com/stripe/stripe-mock@v0.197.0"
FOLDER = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "npl-marketplace" / MODULE.rpartition("/")[2]
VERSION = "2026-10-28.endive"


@pytest.fixture(scope="session")
def stripe_mock() -> str:
    """Address of a running stripe-mock; skips where it cannot be built."""
    program = FOLDER / "stripe-mock"
    if not program.exists():
        build()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([program, "-http-port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def build() -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("stripe-mock is built by Go, and there is none here")
    FOLDER.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "GOBIN": str(FOLDER), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}
    done = subprocess.run([go, "install", MODULE], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"stripe-mock cannot be built here: {done.stderr.strip().splitlines()[-1:]}")


def wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("stripe-mock does not answer")


def sent(base: str, request) -> tuple[int, dict]:
    """Send a recorded request to stripe-mock; return its status and document."""
    url = f"{base}{request.path}" + (f"?{request.query}" if request.query else "")
    headers = {"Authorization": "Bearer sk_test_123", "Stripe-Version": VERSION}
    if request.key:
        headers["Idempotency-Key"] = request.key
    body = request.body.encode() if request.method == "POST" else None
    asked = urllib.request.Request(url, data=body, headers=headers, method=request.method)
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def general(path: str) -> str:
    """A path without the ids in it."""
    return "/".join("*" if "_" in part and part.split("_")[0] in {"pi", "ch", "re", "du", "po"} else part
                    for part in path.split("/"))  # fmt: skip


ASKED = {
    ("POST", "/v1/customers"), ("GET", "/v1/customers/search"), ("POST", "/v1/payment_intents"),
    ("GET", "/v1/payment_intents"), ("GET", "/v1/payment_intents/*"), ("POST", "/v1/payment_intents/*/cancel"),
    ("GET", "/v1/charges/*"), ("POST", "/v1/refunds"), ("GET", "/v1/refunds"), ("GET", "/v1/refunds/*"),
    ("GET", "/v1/disputes"), ("GET", "/v1/disputes/*"), ("GET", "/v1/payouts/*"), ("GET", "/v1/balance_transactions"),
}  # fmt: skip
"""All that we ever ask of Stripe."""


@pytest.mark.slow
def test_stripes_own_document_allows_every_request_that_we_make(cards, stripe_mock) -> None:
    for path in ("/v1/customers", "/v1/payment_intents"):
        cards.stripe.fail("POST", path, "before")
    cards.request(cards.registration())
    for _ in range(3):
        cards.later()
    first, *_ = a_busy_day(cards)
    cards.stripe.fail("POST", "/v1/refunds", "before")
    cards.release(first)
    cards.deliver()
    for _ in range(2):
        cards.later()
        cards.sweep()
    payment = cards.opened(cards.registration())
    cards.buyer.ok("POST", f"/card-payments/{payment['id']}/client-secret")
    cards.buyer.ok("POST", f"/card-payments/{payment['id']}/cancel", 202)
    cards.run()
    for _ in range(110):
        cards.stripe.take_fee(1_00)
    cards.sweep()
    assert {(one.method, general(one.path)) for one in cards.stripe.requests} == ASKED
    different = {(one.method, general(one.path), tuple(sorted(one.values))): one for one in cards.stripe.requests}
    for (method, path, _), request in sorted(different.items()):
        status, document = sent(stripe_mock, request)
        assert status == 200, (method, path, request.values, document)


def test_stripes_own_document_notices_what_is_wrong(stripe_mock) -> None:
    """So that a check that cannot fail is noticed."""
    from tests.stripe_double import Request

    for body in ("amount=ten&currency=cny", "amount=10&currency=cny&colour=red", "amount=10"):
        request = Request("POST", "/v1/payment_intents", {}, body, "", "")
        assert sent(stripe_mock, request)[0] == 400, body

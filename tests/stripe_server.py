"""The HTTP server of the double of Stripe: forms in, JSON out, and what goes wrong on a line that is not good."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.stripe_double import Request, StripeDouble


def values_of(text: str) -> dict[str, Any]:
    """`a[b]=1&c[0]=x` as nested values: a list where all keys are numbers."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        keys = re.findall(r"[^\[\]]+", name)
        inner = found
        for key in keys[:-1]:
            inner = inner.setdefault(key, {})
        inner[keys[-1]] = value
    return {name: _listed(value) for name, value in found.items()}


def _listed(value: Any) -> Any:
    if isinstance(value, dict) and value and all(key.isdigit() for key in value):
        return list(value.values())
    return value


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    double: StripeDouble


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self.serve("")

    def do_POST(self) -> None:
        self.serve(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())

    def serve(self, body: str) -> None:
        """`before` and `busy` have no effect, `lost` has one and no answer, `slow` answers nobody any more."""
        assert self.headers["Authorization"].startswith("Bearer sk_test_")
        double, parts = self.server.double, urlsplit(self.path)
        values = values_of(parts.query) | values_of(body)
        key = self.headers.get("Idempotency-Key", "")
        request = Request(self.command, parts.path, values, body, parts.query, key)
        how = double.failing(request)
        if how == "before":
            self.answer(500, {"error": {"type": "api_error", "message": "Something went wrong."}})
        elif how == "busy":
            error = {"type": "invalid_request_error", "code": "rate_limit", "message": "Too many requests."}
            self.answer(429, {"error": error}, retry_after=7)
        else:
            status, document = double.once(request)
            if how == "slow":
                time.sleep(double.seconds_slow)
            if how:
                self.close_connection = True
            else:
                self.answer(status, document)

    def answer(self, status: int, document: Any, *, retry_after: int = 0) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if retry_after:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(**settings: Any) -> Iterator[StripeDouble]:
    """A double that answers under its `base` until the end of the block."""
    double = StripeDouble(**settings)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.double = double
    double.base = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""A person at the pages, and a real browser in front of a real server."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

import wsgi
from marketplace import app as application
from marketplace import http, runtime
from marketplace.settings import Settings

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Visitor:
    """Somebody's browser without scripts: a cookie jar and a language."""

    app: Flask
    token: str | None = None
    language: str = "en"
    client: Any = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.app.test_client()
        if self.token:
            self.client.set_cookie(http.COOKIE, self.token)
        self.client.set_cookie("lang", self.language)

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(path, **more)

    def post(self, path: str, **more: Any) -> Any:
        return self.client.post(path, **more)


@pytest.fixture
def visit(app: Flask) -> Callable[..., Visitor]:
    """`visit(people.seller, "zh")`: that person at the pages, in that language."""

    def as_(person: Any = None, language: str = "en") -> Visitor:
        return Visitor(app, person.token if person else None, language)

    return as_


@dataclass(frozen=True)
class Site:
    """A server in a thread of this process, with the machine's own clock."""

    url: str
    running: runtime.Runtime
    app: Flask


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    running = runtime.build(settings, wsgi.MODULES)
    app = application.create_app(running)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Site(f"http://127.0.0.1:{server.server_port}", running, app)
    server.shutdown()
    thread.join()
    server.server_close()
    running.engine.dispose()


@pytest.fixture
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"no browser: {CHROMIUM} is not there")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()

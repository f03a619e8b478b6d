"""Shared fixtures: a real PostgreSQL for the session, a fresh migrated database for each test that asks for one.

`--database-url` (or TEST_DATABASE_URL) uses a server that runs already; otherwise the embedded one is started. Tests
that need `../shared/data` skip and say so when it is absent.
"""

import base64
import functools
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
from alembic import command
from alembic.config import Config
from flask import Flask
from sqlalchemy import Engine, NullPool, create_engine, event, make_url
from sqlalchemy.orm import Session, sessionmaker

import wsgi
from marketplace import app as application
from marketplace import db, embedded, errands, jobs, outbox, runtime, tasks
from marketplace.settings import Settings
from tests.people import People, found

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))
TEMPLATE = "template_marketplace"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
# an example may take as long as a loaded machine makes it: Hypothesis' limit of 200 ms says nothing of the product
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")
KEY = base64.b64encode(bytes(range(32))).decode()


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or config.option.collectonly or config.option.help:
        return
    if "TEST_DATABASE_URL" not in os.environ:
        folder = Path(tempfile.mkdtemp(prefix="npl-tests-", dir=_memory()))
        folder.chmod(0o755)
        engine = embedded.start_postgresql(
            folder,
            options=(
                "-c",
                "fsync=off",
                "-c",
                "full_page_writes=off",
                "-c",
                "wal_level=minimal",
                "-c",
                "max_wal_senders=0",
            ),
        )
        os.environ["TEST_DATABASE_URL"] = engine.url
        config.add_cleanup(lambda: (engine.stop(), shutil.rmtree(folder, ignore_errors=True)))
    _make_template(os.environ["TEST_DATABASE_URL"])


def _memory() -> str | None:
    """A file system in memory with room for the cluster: a database is copied there ten times as fast as on a disk."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 4 * 1024**3 else None


def _make_template(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {TEMPLATE}")
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    migrate(_named(server, TEMPLATE))


def alembic_config() -> Config:
    return Config(str(ROOT / "alembic.ini"))


def migrate(url: str, revision: str = "head") -> None:
    config = alembic_config()
    engine = create_engine(url, poolclass=NullPool)  # a connection left to the template would stop every copy of it
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()


def _named(url: str, database: str) -> str:
    head, _, query = url.partition("?")
    return head.rsplit("/", 1)[0] + "/" + database + ("?" + query if query else "")


@pytest.fixture
def empty_database() -> Iterator[str]:
    """URL of a database without any table."""
    yield from _fresh("")


@pytest.fixture
def database(template: str) -> Iterator[str]:
    """URL of a fresh database with every migration applied, and with what `template` says in it."""
    yield from _fresh(f"TEMPLATE {template} STRATEGY FILE_COPY")


@pytest.fixture
def template(request: pytest.FixtureRequest) -> str:
    """What this test's database is a copy of: one with `people` in it when the test asks for them at the usual time."""
    if "people" in request.fixturenames and request.getfixturevalue("clock").now() == NOW:
        return peopled()[0]
    return TEMPLATE


@functools.cache
def peopled() -> tuple[str, People]:
    """A template with everybody in it, made once a process: to found them for each test takes longer than to copy."""
    name, url = keep_copy(TEMPLATE)
    built = runtime.build(make_settings(url, Path("unused")), wsgi.MODULES)
    with built.sessions.begin() as opened:
        everybody = found(opened, at=NOW)
    built.engine.dispose()
    return name, everybody


def keep_copy(template: str) -> tuple[str, str]:
    """Make a template out of another, to be filled; return its name and its URL."""
    server, name = os.environ["TEST_DATABASE_URL"], f"template_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    return name, _named(server, name)


@pytest.fixture
def people(template: str, sessions: sessionmaker[Session], clock: "MovableClock") -> People:
    """Everybody, committed."""
    if template != TEMPLATE:
        return peopled()[1]
    with sessions.begin() as opened:
        return found(opened, at=clock.now())


def _fresh(options: str) -> Iterator[str]:
    server, name = os.environ["TEST_DATABASE_URL"], f"t_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} {options}")
        yield _named(server, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass
class MovableClock:
    """A clock that tests move by hand."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at

    def advance(self, **units: float) -> datetime:
        self.at += timedelta(**units)
        return self.at


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


def make_settings(database_url: str, folder: Path, **more: Any) -> Settings:
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": "unix:///nonexistent",
        "SECRET_KEY": KEY,
        "IDENTITY_KEY": KEY,
        "MATCHING_KEY": KEY,
        "FILES_PATH": str(folder),
        "DATABASE_POOL_SIZE": "4",
    } | more
    return Settings.from_environment(environment)


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    return make_settings(database, tmp_path / "files", STRIPE_WEBHOOK_SECRET="whsec_test")


@pytest.fixture
def running(settings: Settings, clock: MovableClock) -> Iterator[runtime.Runtime]:
    """The runtime of this test, installed; its clock is `clock`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(db, "make_engine", _engine)
        built = runtime.build(settings, wsgi.MODULES, clock=clock)
    runtime.install(built)
    yield built
    built.engine.dispose()


_make_engine = db.make_engine
_connected: dict[str, Any] = {}
"""Where the connections of `_shared_engine` go: to the database of the test that runs."""


def _engine(settings: Settings, *, ping: bool) -> Engine:
    """An engine over the pool and the compiled statements that one process has, with listeners of this test alone.

    SQLAlchemy keeps what it compiled by engine; with a new one for each test, a sixth of the suite was compiling.
    """
    _connected["dbname"] = make_url(settings.database_url).database
    return _shared_engine(settings.database_pool_size, ping).execution_options()


@functools.cache
def _shared_engine(pool_size: int, ping: bool) -> Engine:
    server = make_settings(os.environ["TEST_DATABASE_URL"], Path("unused"), DATABASE_POOL_SIZE=str(pool_size))
    shared = _make_engine(server, ping=ping)

    @event.listens_for(shared, "do_connect")
    def elsewhere(_dialect: Any, _record: Any, _positional: Any, parameters: dict[str, Any]) -> None:
        parameters |= _connected

    return shared


@pytest.fixture
def sessions(running: runtime.Runtime) -> sessionmaker[Session]:
    return running.sessions


@pytest.fixture
def session(sessions: sessionmaker[Session]) -> Iterator[Session]:
    """A session that the test commits itself if others are to see its rows."""
    with sessions() as opened:
        yield opened


_applications: dict[tuple[Any, ...], Flask] = {}


@pytest.fixture
def app(running: runtime.Runtime) -> Flask:
    """The application over `running`."""
    return app_over(running)


def app_over(running: runtime.Runtime) -> Flask:
    """An application; it finds its runtime anew at each request, so one a process serves every test."""
    settings = running.settings
    kind = (settings.max_upload_bytes, settings.secret_key, settings.trusted_proxies)
    if kind not in _applications:
        _applications[kind] = application.create_app(running)
    return _applications[kind]


@pytest.fixture
def work(running: runtime.Runtime) -> Callable[[], None]:
    """Run jobs and outbox until nothing is due; a job that failed for a reason of ours fails the test."""
    return functools.partial(work_off, running)


def work_off(running: runtime.Runtime) -> None:
    """What the fixture `work` does."""
    for _ in range(50):
        done = jobs.run_due(running.sessions, running.works, clock=running.clock)
        done += outbox.deliver_due(running.sessions, running.subscriptions, clock=running.clock)
        done += errands.run_due(running.sessions, running.errands, clock=running.clock)
        if not done:
            break
    query = "SELECT handler || ': ' || last_error FROM outbox_deliveries WHERE attempts > 0 AND delivered_at IS NULL"
    with running.sessions() as opened:
        broken = opened.connection().exec_driver_sql(query).scalars().all()
    assert not broken, broken


@pytest.fixture
def tick(running: runtime.Runtime, work: Callable[[], None]) -> Callable[[], None]:
    """Run every piece of clockwork once, then jobs and outbox."""

    def run() -> None:
        for name in running.periodic:
            tasks.perform(running, name)
        work()

    return run


@dataclass
class Client:
    """A client of the API: JSON in and out, one credential."""

    app: Flask
    token: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def as_(self, who: Any) -> "Client":
        """The same client with another credential: a token, or anything that has `.token`."""
        return Client(self.app, who if isinstance(who, str) else who.token)

    def request(
        self, method: str, path: str, *, key: str | None = None, headers: dict[str, str] | None = None, **more: Any
    ) -> Any:
        sent = {**self.headers, **(headers or {})}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if method == "POST":
            sent.setdefault("Idempotency-Key", key or uuid.uuid4().hex)
        url = path if path.startswith("/api/") or not path.startswith("/") else f"/api/v1{path}"
        return self.app.test_client(use_cookies=False).open(url, method=method, headers=sent, **more)

    def get(self, path: str, **more: Any) -> Any:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> Any:
        return self.request("POST", path, **more)

    def patch(self, path: str, **more: Any) -> Any:
        return self.request("PATCH", path, **more)

    def delete(self, path: str, **more: Any) -> Any:
        return self.request("DELETE", path, **more)

    def ok(self, method: str, path: str, status: int | None = None, **more: Any) -> Any:
        """Request and return the JSON answer; anything but a 2xx fails the test with the problem shown."""
        response = self.request(method, path, **more)
        assert response.status_code == status if status else response.status_code < 300, (
            response.status_code,
            response.text,
        )
        return response.get_json()


@pytest.fixture
def api(app: Flask) -> Client:
    return Client(app)


@pytest.fixture
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real data absent: {SHARED_DATA} is not there")
    return SHARED_DATA

"""How many bids a second does one hot auction decide over HTTP, beside the obvious way and beside the bare server?

Interleaved short runs of 64 keep-alive connections from 16 bidders, each bidding the least amount of its last answer:
(1) the live door with one process and with two, and the web door (WSGI, 2 workers), on one auction;
(2) the naive peer under gunicorn gthread, 2 processes at several thread counts, of which the best counts;
(3) constant JSON on the live door's server with as many workers: the ceiling.
A decided bid is an accepted one or one refused by a rule of the auction. The auction lets a bidder bid as often as it
likes (`attempt_interval_seconds` 0) and asks for no second confirmation; every other check is on. The load generator
runs beside the servers. Trust the ratios of one run. `python -m benchmarks.hot_auction [SECONDS] [ROUNDS]`
"""

import asyncio
import base64
import os
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

import wsgi
from auctions import models
from auctions.domain import terms
from auctions.domain.canonical import canonical, fingerprint
from auctions.domain.lifecycles import ListingState, RegistrationState
from auctions.domain.references import make_reference
from benchmarks import _engine, admission
from benchmarks import hot_auction_peer as naive
from benchmarks.load import Load
from due_diligence.models import AgreementVersion
from marketplace import embedded
from marketplace.actor import OrganisationKind, Role
from marketplace.crypto import token_hash
from marketplace.packages.domain.package import PackageState
from marketplace.packages.models import Package
from marketplace.parties.domain import OrganisationState, UserState, credentials
from marketplace.parties.models import Organisation, User, UserSession

BIDDERS = 16
WARMING = 0.5
READY_SECONDS = 300
START = 10_000_000
STEP = 100
THREADS = (1, 4, 32)
WORKERS = (1, 2)
KEY = base64.b64encode(bytes(32)).decode()


@dataclass
class Target:
    """A server under load and what was measured of it."""

    name: str
    path: str
    command: list[str]
    environment: dict[str, str]
    tokens: list[str]
    port: int = 0
    runs: list["Run"] = field(default_factory=list)

    @property
    def decided(self) -> float:
        """Median of decided bids per second."""
        return statistics.median(run.decided for run in self.runs)


@dataclass(frozen=True)
class Run:
    """One run: decided and accepted bids per second, latency in milliseconds, everything else that was answered."""

    decided: float
    accepted: float
    p50: float
    p99: float
    others: int


def prepare(url: str) -> tuple[str, list[str]]:
    """Migrate, and open an auction that 16 covered bidders may bid in; return its path and their tokens."""
    engine, now = create_engine(url), datetime.now(UTC)
    assert wsgi.MODULES, "every package's tables are known"
    with engine.connect() as connection:
        config = Config(str(ROOT / "alembic.ini"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    with Session(engine) as session:
        seller = _organisation(session, OrganisationKind.SELLER, 0, now)
        auction = _auction(session, seller.id, now)
        admission.make_key(session, key=base64.b64decode(KEY), at=now)
        agreement = admission.open_room(session, package_id=auction.package_id, seller_id=seller.id, at=now)
        tokens = [_bidder(session, auction.listing_id, number, agreement, now) for number in range(1, BIDDERS + 1)]
        path = f"/api/v1/auctions/{auction.id}/bids"
        session.commit()
    engine.dispose()
    return path, tokens


def _organisation(session: Session, kind: OrganisationKind, number: int, now: datetime) -> Organisation:
    row = Organisation(
        name=f"{kind.value} {number}", kind=kind, state=OrganisationState.ACTIVE, country="CN", created_at=now,
        uscc=f"91110000000000{number:04d}",
    )  # fmt: skip
    session.add(row)
    session.flush()
    return row


def _auction(session: Session, seller_id: uuid.UUID, now: datetime) -> models.Auction:
    package = Package(
        organisation_id=seller_id, name="hot", currency="CNY", criteria={}, state=PackageState.LISTED,
        cut_off_on=date(2026, 1, 31), frozen_at=now, created_at=now,
    )  # fmt: skip
    session.add(package)
    session.flush()
    opens, ends = now - timedelta(minutes=1), now + timedelta(days=1)
    listing = models.Listing(
        package_id=package.id, seller_organisation_id=seller_id, state=ListingState.PUBLISHED, currency="CNY",
        title_zh="热", start_price_minor=START, increment={"kind": "fixed", "amount": "1.00"}, deposit_minor=0,
        registration_closes_at=opens, opens_at=opens, ends_at=ends, created_at=now, published_at=now,
        soft_close_window_seconds=300, soft_close_extension_seconds=300, minimum_bidders=1,
    )  # fmt: skip
    session.add(listing)
    session.flush()
    rules = terms.rules_document(
        terms.Terms(currency="CNY", start_price_minor=START, increment=listing.increment, opens_at=opens, ends_at=ends)
    )
    auction = models.Auction(
        listing_id=listing.id, package_id=package.id, currency="CNY", rules=canonical(rules).decode(),
        rules_hash=fingerprint(rules), reserve_salt="", reserve_commitment="", opens_at=opens, ends_at=ends,
        attempt_interval_seconds=0, confirm_above_percent=None,
    )  # fmt: skip
    session.add(auction)
    session.flush()
    return auction


def _bidder(session: Session, listing_id: uuid.UUID, number: int, agreement: AgreementVersion, now: datetime) -> str:
    organisation = _organisation(session, OrganisationKind.BUYER, number, now)
    user = User(
        organisation_id=organisation.id, login=f"bidder-{number}", name=f"Bidder {number}", state=UserState.ACTIVE,
        roles=[Role.BUYER_BIDDER.value], password_hash="", created_at=now,
    )  # fmt: skip
    session.add(user)
    session.flush()
    admission.admit(session, user, agreement, at=now)
    token = credentials.session_token(secrets.token_bytes(credentials.TOKEN_BYTES))
    expires_at = now + timedelta(hours=12)
    session.add(UserSession(user_id=user.id, token_hash=token_hash(token), created_at=now, expires_at=expires_at))
    session.add(
        models.Registration(
            listing_id=listing_id, organisation_id=organisation.id, state=RegistrationState.APPROVED,
            bidder_code=f"B-{1000 + number}", reference=make_reference(number), deposit_minor=0, currency="CNY",
            applied_at=now, decided_at=now, covered_at=now,
        )
    )  # fmt: skip
    return token


def prepare_peer(url: str) -> list[str]:
    """Make the peer's tables, its auction and its bidders; return their tokens."""
    engine = create_engine(url)
    naive.Base.metadata.create_all(engine)
    with Session(engine) as session:
        ends_at = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)
        session.add(naive.Auction(id=1, price=START, increment=STEP, ends_at=ends_at, sequence=0))
        tokens = [secrets.token_hex(32) for _ in range(BIDDERS)]
        session.add_all(naive.Bidder(token=token) for token in tokens)
        session.commit()
    engine.dispose()
    return tokens


def targets(url: str) -> list[Target]:
    """Return every server that takes part."""
    path, tokens = prepare(url)
    peer_tokens = prepare_peer(url)
    ours = {
        "DATABASE_URL": url, "REDIS_URL": "unix:///nonexistent", "SECRET_KEY": KEY, "IDENTITY_KEY": KEY,
        "MATCHING_KEY": KEY,
    }  # fmt: skip
    granian = [sys.executable, "-m", "granian", "--factory", "--no-log", "--host", "127.0.0.1", "--port", "{port}"]
    wsgi_door = [*granian, "--interface", "wsgi", "--workers", "2", "--blocking-threads", "8", "wsgi:create"]
    ported = ["--port", "{port}", "--processes"]
    live, hello_json = ([sys.executable, "-m", name, *ported] for name in ("live", "benchmarks.hello"))
    gunicorn = [sys.executable, "-m", "gunicorn", "-k", "gthread", "-w", "2", "--keep-alive", "60", "--log-level",
                "error", "-b", "127.0.0.1:{port}", "--worker-connections", "200"]  # fmt: skip
    peers = [
        Target(
            f"naive peer 2 x {count}", "/auctions/1/bids",
            [*gunicorn, "--threads", str(count), "benchmarks.hot_auction_peer:app"], {"PEER_DATABASE_URL": url},
            peer_tokens,
        )
        for count in THREADS
    ]  # fmt: skip
    doors = [Target(f"live door x {n}", path, [*live, str(n)], ours, tokens) for n in WORKERS]
    hello = [Target(f"hello JSON x {n}", "/hello", [*hello_json, str(n)], {}, tokens) for n in WORKERS]
    return [*doors, Target("web door x 2", path, wsgi_door, ours, tokens), *peers, *hello]


@contextmanager
def serving(target: Target) -> Iterator[None]:
    """Run a target's server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        target.port = probe.getsockname()[1]
    arguments = [part.format(port=target.port) for part in target.command]
    process = subprocess.Popen(
        arguments, cwd=ROOT, env={**os.environ, **target.environment}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=embedded.die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - no threads yet
    )  # fmt: skip
    try:
        _await(target.port)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def _await(port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"nothing answers on port {port}")


def _run(target: Target, seconds: float) -> Run:
    load = Load(target.port, target.path, target.tokens, seconds, f"{START // 100}.00".encode())
    asyncio.run(load.run())
    ordered = sorted(load.latencies) or [0.0]
    return Run(
        decided=len(ordered) / seconds,
        accepted=load.accepted / seconds,
        p50=ordered[len(ordered) // 2] * 1000,
        p99=ordered[len(ordered) * 99 // 100] * 1000,
        others=load.others,
    )


def measure(chosen: list[Target], seconds: float, rounds: int) -> None:
    """Run every target once to warm it, then in turn, `rounds` times."""
    for target in chosen:
        _run(target, WARMING)
    for number in range(rounds):
        for target in chosen:
            run = _run(target, seconds)
            target.runs.append(run)
            print(
                f"  {number + 1}/{rounds} {target.name:<18} {run.decided:8.0f} decided/s {run.accepted:8.0f} accepted/s"
                f"  p50 {run.p50:6.1f} ms  p99 {run.p99:6.1f} ms" + (f"  OTHER {run.others}" if run.others else "")
            )


def report(chosen: list[Target]) -> None:
    """Print medians and ratios."""
    named: Callable[[str], list[Target]] = lambda part: [target for target in chosen if part in target.name]  # noqa: E731 - a name for the lines below
    peer = max(named("naive peer"), key=lambda target: target.decided)
    middle: Callable[[Target, str], float] = lambda target, name: statistics.median(  # noqa: E731 - local shorthand
        getattr(run, name) for run in target.runs
    )
    print(f"\n{'':<18} {'decided/s':>10} {'accepted/s':>10} {'p50 ms':>8} {'p99 ms':>8}")
    for target in chosen:
        figures = (target.decided, middle(target, "accepted"), middle(target, "p50"), middle(target, "p99"))
        print(f"{target.name:<18} {figures[0]:>10.0f} {figures[1]:>10.0f} {figures[2]:>8.1f} {figures[3]:>8.1f}")
    for ours, hello in zip(named("live door"), named("hello"), strict=True):
        print(f"\n{ours.name} / best naive peer ({peer.name}): {ours.decided / peer.decided:.2f} x")
        print(f"p99 {ours.name} / best naive peer: {middle(ours, 'p99') / middle(peer, 'p99'):.3f}")
        print(f"{ours.name} / {hello.name}: {ours.decided / hello.decided:.3f}")


def main() -> None:
    """Start PostgreSQL and all servers, measure, report."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    with _engine.postgresql("max_connections=300") as url:
        _serve(targets(url), lambda chosen: measure(chosen, seconds, rounds))


def _serve(chosen: list[Target], work: Callable[[list[Target]], None]) -> None:
    def start(rest: list[Target]) -> None:
        if not rest:
            work(chosen)
            return
        with serving(rest[0]):
            start(rest[1:])

    start(chosen)
    report(chosen)


if __name__ == "__main__":
    main()

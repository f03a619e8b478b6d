"""Is every acknowledged bid there after `kill -9`, 100 times, of PostgreSQL and of the servers, under load?

64 connections bid on one hot auction through the live door (two worker processes), on a PostgreSQL that flushes to
disk. In turn are killed: PostgreSQL with all its processes, the postmaster alone, one backend, one worker of the
server, the server with all its workers. After each recovery, before anybody bids again:

- every acceptance that was ever acknowledged is in the log, with its number, sequence, amount and signed receipt;
- numbers and sequences have no gap, the chain of hashes holds, and the auction's row names the log's end;
- every attempt whose answer was lost is sent again under its key: if it had been committed, the same place in the log
  comes back; sent once more, the same receipt; and so for acknowledged keys.

At the end the whole log is played again by the engine. `python -m benchmarks.durability [KILLS] [SECONDS_BETWEEN]`
"""

import asyncio
import contextlib
import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import orjson
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from auctions import log, playback
from auctions.domain import proofs
from auctions.models import Auction
from benchmarks.durability_bidders import Attempt, Bidder, Room, Told
from benchmarks.hot_auction import KEY, START, prepare
from marketplace import embedded

KINDS: Final = ("postgresql", "postmaster", "backend", "worker", "server")
WORKERS: Final = 2
SAMPLE: Final = 32
"""So many acknowledged keys are sent again after each kill."""

BACK_SECONDS: Final = 120

_ENTRIES = (
    "SELECT number, sequence, amount_minor, idempotency_digest, receipt, signature, inclusion, hash FROM auction_events"
    " WHERE auction_id = %(auction)s AND number > %(after)s ORDER BY number"
)
_ROW = "SELECT number, sequence, head, rules_hash FROM auctions WHERE id = %(auction)s"
_COUNT = "SELECT count(*), count(DISTINCT idempotency_digest) FROM auction_events WHERE auction_id = %(auction)s"
_ACTIVE = (
    "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND state <> 'idle'"
    " AND pid <> pg_backend_pid()"
)
_BACKENDS = (
    "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    " AND datname = current_database()"
)


class Lost(AssertionError):
    """A guarantee did not hold."""


@dataclass
class Audit:
    """The log as far as it was checked: reads on from there, and keeps the place of every key."""

    auction_id: uuid.UUID
    number: int = 0
    head: bytes = b""
    places: dict[bytes, tuple[int, int, int, bytes]] = field(default_factory=dict)
    checked: int = 0

    def read_on(self, connection: Connection) -> None:
        """Read what is new in the log; raise `Lost` for a gap, a broken link, or a row that says otherwise."""
        values = {"auction": self.auction_id, "after": self.number}
        row = connection.exec_driver_sql(_ROW, values).one()
        self.head = self.head or proofs.genesis(row.rules_hash)
        for entry in connection.exec_driver_sql(_ENTRIES, values):
            signed = log.proof_of(entry)
            assert signed is not None
            self.number, self.head = self.number + 1, log.head_after(self.head, entry)
            if (entry.number, entry.sequence, entry.hash) != (self.number, self.number, self.head):
                raise Lost(f"entry {entry.number} breaks the log after {self.number - 1}")
            self.places[entry.idempotency_digest] = (
                entry.number,
                entry.sequence,
                entry.amount_minor,
                _digest(signed.document),
            )
        count, keys = connection.exec_driver_sql(_COUNT, values).one()
        if (row.number, row.sequence, row.head, count, keys) != (*[self.number] * 2, self.head, *[self.number] * 2):
            raise Lost(f"the row says {row.number}, the log has {count} entries of {keys} keys up to {self.number}")

    def find(self, attempts: Sequence[Attempt]) -> None:
        """Hold what was acknowledged against the log; raise `Lost`."""
        for attempt in attempts:
            told, place = orjson.loads(attempt.answer), self.place(attempt)
            if place != (told["number"], told["sequence"], attempt.minor, _digest(told["receipt"])):
                raise Lost(f"acknowledged as {told['number']}, found as {place and place[:3]}: {attempt.key}")
            self.checked += 1

    def place(self, attempt: Attempt) -> tuple[int, int, int, bytes] | None:
        """Return number, sequence, amount and receipt of the entry made with a key."""
        return self.places.get(hashlib.sha256(attempt.key.encode()).digest())


@dataclass
class Machines:
    """PostgreSQL and the live door, as their supervisor sees them."""

    folder: Path
    postgresql: embedded.Engine
    port: int
    server: subprocess.Popen[bytes] | None = None

    def serve(self) -> None:
        """Start the live door and wait until it listens."""
        command = [sys.executable, "-m", "live", "--port", str(self.port), "--processes", str(WORKERS)]
        environment = {
            "DATABASE_URL": self.postgresql.url, "REDIS_URL": "unix:///nonexistent", "SECRET_KEY": KEY,
            "IDENTITY_KEY": KEY, "MATCHING_KEY": KEY,
        }  # fmt: skip
        self.server = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=embedded.die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - no threads yet that it could harm
        )  # fmt: skip
        deadline = time.monotonic() + BACK_SECONDS
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise Lost("the live door did not come back")

    def kill(self, kind: str, connection: Connection) -> None:
        """`kill -9` something of a kind."""
        assert self.server is not None
        if kind == "postgresql":
            _kill([*_children(self.postgresql.process.pid), self.postgresql.process.pid])
        elif kind == "postmaster":
            _kill([self.postgresql.process.pid])
        elif kind == "backend":
            _kill([random.choice(list(connection.exec_driver_sql(_BACKENDS).scalars()))])
        elif kind == "worker":
            _kill([random.choice(_workers(self.server.pid))])
        else:
            _kill([self.server.pid, *_children(self.server.pid)])

    def restore(self, kind: str) -> None:
        """Start again what no longer runs; workers and backends are started again by their own parents."""
        if kind in {"postgresql", "postmaster"}:
            self.postgresql.process.wait(30)
            self.postgresql = embedded.start_postgresql(self.folder, options=OPTIONS)
        if kind == "server":
            assert self.server is not None
            self.server.wait(30)
            self.serve()

    def stop(self) -> None:
        """Stop both."""
        if self.server is not None:
            self.server.terminate()
            try:
                self.server.wait(20)
            except subprocess.TimeoutExpired:
                _kill([*_children(self.server.pid), self.server.pid])
        self.postgresql.stop()


OPTIONS: Final = ("-c", "max_connections=100", "-c", "fsync=on", "-c", "synchronous_commit=on")


def _digest(document: Any) -> bytes:
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).digest()


def _kill(pids: Sequence[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
            os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _workers(pid: int) -> list[int]:
    """Return the server's workers: its children that listen, not the helper that counts shared resources."""
    return [one for one in _children(pid) if b"resource_tracker" not in Path(f"/proc/{one}/cmdline").read_bytes()]


@dataclass
class Tally:
    """What was counted over all kills."""

    kills: Counter[str] = field(default_factory=Counter)
    undecided: Counter[str] = field(default_factory=Counter)
    committed: Counter[str] = field(default_factory=Counter)
    recovery: dict[str, list[float]] = field(default_factory=dict)
    repeated: int = 0


class Trial:
    """Kills, and looks at what is left."""

    def __init__(self, machines: Machines, path: str, tokens: list[str]) -> None:
        self.machines = machines
        self.room = Room(machines.port, path, tokens, START)
        self.audit = Audit(uuid.UUID(path.split("/")[4]))
        self.tally = Tally()
        self.engine = create_engine(machines.postgresql.url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
        self._found = 0

    async def run(self, kills: int, seconds: float) -> None:
        """Kill so many times, with so much load between."""
        tasks = self.room.start()
        self.room.gate.set()
        try:
            await self.room.decided.wait()
            for number in range(kills):
                await asyncio.sleep(seconds * random.uniform(0.5, 1.5))
                await self._once(number, KINDS[number % len(KINDS)])
            await asyncio.sleep(seconds)
            await self.room.quiet()
            await self._resolve(await asyncio.to_thread(self._look))
        finally:
            self.room.ended = True
            self.room.gate.set()
            await asyncio.gather(*tasks)
        if self.room.odd:
            raise Lost(f"{len(self.room.odd)} answers that nobody expects: {self.room.odd[:3]}")

    async def _once(self, number: int, kind: str) -> None:
        room, tally = self.room, self.tally
        with self.engine.connect() as connection:
            killed_at = time.monotonic()
            await asyncio.to_thread(self.machines.kill, kind, connection)
            room.gate.clear()
            connection.invalidate()
        self.machines.restore(kind)  # not in a thread: the kernel stops these children when their thread ends
        await room.quiet()
        committed = await asyncio.to_thread(self._look)
        room.decided.clear()
        lost = len(room.undecided)
        await self._resolve(committed)
        room.gate.set()
        await room.decided.wait()
        took = room.decided_at - killed_at
        tally.kills[kind] += 1
        tally.undecided[kind] += lost
        tally.committed[kind] += len(committed)
        tally.recovery.setdefault(kind, []).append(took)
        print(
            f"  {number + 1:>3} {kind:<11} {len(room.accepted):>8} acknowledged {lost:>4} without an answer, of them"
            f" {len(committed):>3} committed; decides again after {took:6.2f} s", flush=True,
        )  # fmt: skip

    def _look(self) -> dict[str, int]:
        """Check the log against all that was acknowledged; return which undecided keys have a place in it."""
        deadline = time.monotonic() + BACK_SECONDS
        while True:
            try:
                with self.engine.connect() as connection:
                    while connection.exec_driver_sql(_ACTIVE).scalar_one() and time.monotonic() < deadline:
                        time.sleep(0.01)
                    self.audit.read_on(connection)
                break
            except OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self.audit.find(self.room.accepted[self._found :])
        self._found = len(self.room.accepted)
        found = {attempt.key: self.audit.place(attempt) for attempt in self.room.undecided}
        return {key: place[0] for key, place in found.items() if place is not None}

    async def _resolve(self, committed: dict[str, int]) -> None:
        """Send the undecided again, and some that were acknowledged; raise `Lost` if one of them bids twice."""
        asking = Bidder(self.room, "")
        for bidder in self.room.bidders:
            attempt = bidder.pending
            if attempt is None:
                continue
            told = await self._until_decided(asking, attempt)
            self.room.note(attempt, told)
            bidder.pending = None
            if attempt.key in committed and (told.status, told.body.get("number")) != (201, committed[attempt.key]):
                raise Lost(f"committed as {committed[attempt.key]}, answered {told}")
        for attempt in random.sample(self.room.accepted, min(SAMPLE, len(self.room.accepted))):
            again = await self._until_decided(asking, attempt)
            self.tally.repeated += 1
            if (again.status, _digest(again.body)) != (201, _digest(orjson.loads(attempt.answer))):
                raise Lost(f"{attempt.key} got {attempt.answer!r}, and the second time {again}")

    async def _until_decided(self, asking: Bidder, attempt: Attempt) -> Told:
        deadline = time.monotonic() + BACK_SECONDS
        while True:
            told = await asking.send(attempt)
            if told.decided:
                return told
            if told.status not in {0, 503} or time.monotonic() > deadline:
                raise Lost(f"a retry was answered {told}")
            await asyncio.sleep(0.01)

    def replay(self) -> int:
        """Play the whole log again by the engine; return its length."""
        with Session(self.engine.execution_options(isolation_level="READ COMMITTED")) as session:
            playback.checked(session, session.get_one(Auction, self.audit.auction_id))
        return self.audit.number

    def report(self) -> None:
        """Print what was counted."""
        tally, entries = self.tally, self.replay()
        heads = ("killed", "kills", "no answer", "of them committed", "decides again, s: median", "worst")
        print("\n{:<12} {:>5} {:>10} {:>18} {:>25} {:>6}".format(*heads))
        for kind in [one for one in KINDS if tally.kills[one]]:
            took = sorted(tally.recovery[kind])
            print(f"{kind:<12} {tally.kills[kind]:>5} {tally.undecided[kind]:>10} {tally.committed[kind]:>18}"
                  f" {took[len(took) // 2]:>25.2f} {took[-1]:>6.2f}")  # fmt: skip
        print(
            f"\n{tally.kills.total()} kills: {self.audit.checked} acknowledged acceptances, 0 lost; {self.room.refused}"
            f" refusals; {tally.undecided.total()} attempts without an answer, {tally.committed.total()} of them"
            f" committed and given back by their key; {tally.repeated} acknowledged keys sent again, 0 bid twice;"
            f" {entries} entries without a gap, chain and replay agree"
        )


def main() -> None:
    """Start everything, kill it again and again, report; leave with an error when a guarantee does not hold."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    with tempfile.TemporaryDirectory(prefix="npl-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        postgresql = embedded.start_postgresql(folder, options=OPTIONS)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            machines = Machines(folder, postgresql, probe.getsockname()[1])
        try:
            path, tokens = prepare(postgresql.url)
            machines.serve()
            trial = Trial(machines, path, tokens)
            asyncio.run(trial.run(kills, seconds))
            trial.report()
        finally:
            machines.stop()


if __name__ == "__main__":
    main()

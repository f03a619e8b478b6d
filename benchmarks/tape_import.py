"""How far is our tape import from the ceiling, and from the obvious way?

One run, interleaved, on one machine: (1) bare COPY of the same text into a table without constraints, the ceiling;
(2) our whole import job: read, validate every cell, encrypt identities, stage, insert into three constrained tables;
(3) the naive peer: csv.DictReader, a marshmallow schema per row, ORM add_all, on fewer rows, scaled linearly. The naive
peer does less: no encryption, one table. Only ratios are worth keeping.

    .venv/bin/python -m benchmarks.tape_import [ROWS] [ROUNDS]
"""

import base64
import csv
import io
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import marshmallow as ma
from alembic import command
from alembic.config import Config
from sqlalchemy import BigInteger, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from benchmarks import _engine
from demo import tape as demo_tape
from marketplace import runtime
from marketplace.actor import SYSTEM, Actor, OrganisationKind, Role
from marketplace.cases import service
from marketplace.cases.domain.case import OnError
from marketplace.parties import service as parties
from marketplace.settings import Settings

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
NAIVE_ROWS = 3_000
ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def database() -> Iterator[str]:
    """Yield a migrated database: DATABASE_URL, or a private engine that is thrown away."""
    if os.environ.get("DATABASE_URL"):
        yield os.environ["DATABASE_URL"]
        return
    with _engine.postgresql() as url:
        yield url


def prepare(url: str, folder: Path) -> runtime.Runtime:
    """Migrate and build a runtime."""
    import wsgi  # noqa: PLC0415 - imports every package

    engine = create_engine(url)
    with engine.connect() as connection:
        config = Config(str(ROOT / "alembic.ini"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    engine.dispose()
    key = base64.b64encode(os.urandom(32)).decode()
    environment = {"DATABASE_URL": url, "REDIS_URL": "unix:///nonexistent", "FILES_PATH": str(folder)}
    environment |= dict.fromkeys(("SECRET_KEY", "IDENTITY_KEY", "MATCHING_KEY"), key)
    return runtime.build(Settings.from_environment(environment), wsgi.MODULES)


def seller(running: runtime.Runtime, number: int) -> Actor:
    """Make an organisation of its own for each round, so that every import is a first one."""
    with running.sessions.begin() as session:
        made = parties.create_organisation(
            session, name=f"Seller {number}", kind=OrganisationKind.SELLER, country="CN",
            uscc=demo_tape.company_code(number), province="33", actor=SYSTEM, at=AT,
        )  # fmt: skip
        return Actor(made.id, OrganisationKind.SELLER, frozenset({Role.SELLER_MANAGER}), "bench")


def ours(running: runtime.Runtime, content: bytes, actor: Actor) -> float:
    """Time the import job alone, commit included."""
    delivery = service.Delivery(content, "tape.csv", None, OnError.KEEP_GOOD, "CNY", demo_tape.AS_OF_ON)
    with running.sessions.begin() as session:
        tape = service.deliver_tape(session, delivery=delivery, store=running.files, actor=actor, at=AT)
    started = time.perf_counter()
    with running.sessions.begin() as session:
        done = service.import_tape(
            session, tape_id=tape.id, store=running.files, vault=running.vault, progress=lambda *_: None, at=AT
        )
    elapsed = time.perf_counter() - started
    assert done.added == done.rows, (done.added, done.rows, done.problem)
    return elapsed


def _driver(connection: Any) -> Any:
    """The driver's own connection, for COPY."""
    return connection.connection.driver_connection


def bare_copy(running: runtime.Runtime, content: bytes) -> float:
    """Time COPY of the same bytes into text columns, commit included."""
    columns = ", ".join(f"c{index} text" for index in range(len(demo_tape.HEADERS)))
    with running.engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS bare"))
        connection.execute(text(f"CREATE TABLE bare ({columns})"))
    started = time.perf_counter()
    copied = "COPY bare FROM STDIN (FORMAT csv, HEADER)"
    with running.engine.begin() as connection, _driver(connection).cursor() as cursor, cursor.copy(copied) as stream:
        for position in range(0, len(content), 1 << 20):
            stream.write(content[position : position + (1 << 20)])
    return time.perf_counter() - started


class Naive(DeclarativeBase):
    """Metadata of the naive peer."""


class NaiveCase(Naive):
    """The one table of the naive peer."""

    __tablename__ = "naive_cases"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    case_key: Mapped[str]
    borrower: Mapped[str]
    identity: Mapped[str]
    product: Mapped[str]
    principal: Mapped[int] = mapped_column(BigInteger)
    interest: Mapped[int] = mapped_column(BigInteger)
    other: Mapped[int] = mapped_column(BigInteger)
    days_past_due: Mapped[int]


class NaiveSchema(ma.Schema):
    """What a tutorial would write, for a third of our columns."""

    class Meta:
        """Leave the other columns out."""

        unknown = ma.EXCLUDE

    case_key = ma.fields.String(required=True, data_key="合同编号")
    borrower = ma.fields.String(required=True, data_key="借款人")
    identity = ma.fields.String(required=True, data_key="证件号码")
    product = ma.fields.String(required=True, data_key="产品类型")
    principal = ma.fields.Decimal(required=True, places=2, data_key="未偿本金")
    interest = ma.fields.Decimal(required=True, places=2, data_key="未偿利息")
    other = ma.fields.Decimal(required=True, places=2, data_key="其他费用")
    days_past_due = ma.fields.Integer(required=True, data_key="逾期天数")
    default_on = ma.fields.Date(required=True, data_key="违约日期", load_only=True)
    originated_on = ma.fields.Date(required=True, data_key="放款日期", load_only=True)


def naive(running: runtime.Runtime, content: bytes) -> float:
    """Time a schema per row and ORM rows, commit included."""
    Naive.metadata.drop_all(running.engine)
    Naive.metadata.create_all(running.engine)
    started = time.perf_counter()
    schema = NaiveSchema()
    with Session(running.engine) as session:
        for row in csv.DictReader(io.StringIO(content.decode())):
            loaded = schema.load(row)
            del loaded["default_on"], loaded["originated_on"]
            for name in ("principal", "interest", "other"):
                loaded[name] = int(loaded[name] * 100)
            session.add(NaiveCase(**loaded))
        session.commit()
    return time.perf_counter() - started


def main(rows: int, rounds: int) -> None:
    """Run the three interleaved and print medians and ratios."""
    content = demo_tape.make_tape(rows)
    small = demo_tape.make_tape(NAIVE_ROWS)
    times: dict[str, list[float]] = {"bare COPY": [], "ours": [], "naive (scaled)": []}
    with tempfile.TemporaryDirectory() as files, database() as url:
        running = prepare(url, Path(files))
        start = int.from_bytes(os.urandom(2), "big")
        for round_ in range(rounds):
            times["bare COPY"].append(bare_copy(running, content))
            times["ours"].append(ours(running, content, seller(running, start + round_)))
            times["naive (scaled)"].append(naive(running, small) * rows / NAIVE_ROWS)
        running.engine.dispose()
    size = f"{len(content) / 1e6:.1f} MB, {len(demo_tape.HEADERS)} columns"
    print(f"{rows} rows, {size}, medians of {rounds} interleaved rounds")
    ceiling = statistics.median(times["bare COPY"])
    for name, measured in times.items():
        median = statistics.median(measured)
        print(f"{name:16} {median:8.2f} s  {rows / median:10,.0f} rows/s  {median / ceiling:6.1f} x bare COPY")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 100_000, int(sys.argv[2]) if sys.argv[2:] else 3)

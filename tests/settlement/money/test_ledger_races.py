"""Raw SQL on two real connections at the same instant: PostgreSQL itself lets one through, whatever we do."""

import threading
import uuid

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from settlement.domain.ledger import BOOKS_ZONE
from tests.settlement.money.test_ledger_raw import ENTRY, LINES, OPEN_DAY, World, world  # noqa: F401 - a fixture

TWO_LINES = "('{new}', 1, '{one}', 'CNY', {amount}, '{day}'), ('{new}', 2, '{other}', 'CNY', -1 * {amount}, '{day}')"


def statement(given: dict[str, object], **more: object) -> str:
    values = {"currency": "CNY", "day": OPEN_DAY, "zone": BOOKS_ZONE, "reverses": "NULL", "new": uuid.uuid4()} | more
    text_ = "WITH e AS (" + ENTRY.replace("gen_random_uuid()", "'{source}'") + ")" + LINES + TWO_LINES
    return text_.format(**(given | {"source": uuid.uuid4()} | values))


def both(engine: Engine, statements: list[str]) -> list[str]:
    """Begin both, run them at the same time, then commit each; return `posted` or the constraint of each."""
    together = threading.Barrier(len(statements))
    outcomes: list[str] = []

    def run(statement_: str) -> None:
        try:
            with engine.connect() as connection, connection.begin():
                together.wait()
                connection.execute(text(statement_))
            outcomes.append("posted")
        except DBAPIError as error:
            outcomes.append(error.orig.diag.constraint_name or str(error.orig))

    threads = [threading.Thread(target=run, args=(one,)) for one in statements]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


def balance(world: World, name: str) -> int:  # noqa: F811 - a fixture
    with world.engine.connect() as connection:
        query = text("SELECT sum(amount_minor) FROM postings WHERE account_id = :id")
        return int(connection.execute(query, {"id": world.names[name]}).scalar_one())


@pytest.mark.parametrize("attempt", range(3))
def test_one_source_is_one_entry(world: World, attempt: int) -> None:  # noqa: F811 - a fixture
    source = uuid.uuid4()
    given = world.names | {"one": world.names["bank"], "other": world.names["deposits"], "amount": 5}
    outcomes = both(world.engine, [statement(given, source=source) for _ in range(2)])
    assert outcomes == ["posted", "uq_entries_source_kind_source_id"]
    assert balance(world, "deposits") == -105


@pytest.mark.parametrize("attempt", range(3))
def test_an_account_of_a_hundred_pays_seventy_once(world: World, attempt: int) -> None:  # noqa: F811 - a fixture
    given = world.names | {"one": world.names["deposits"], "other": world.names["bank"], "amount": 70}
    assert both(world.engine, [statement(given) for _ in range(2)]) == ["accounts_limit", "posted"]
    assert balance(world, "deposits") == -30


def test_an_entry_is_reversed_once(world: World) -> None:  # noqa: F811 - a fixture
    given = world.names | {"one": world.names["bank"], "other": world.names["deposits"], "amount": -100}
    reverses = f"'{world.names['old']}'"
    outcomes = both(world.engine, [statement(given, reverses=reverses) for _ in range(2)])
    assert outcomes[1:] == ["posted"] or outcomes[:1] == ["posted"], outcomes
    assert set(outcomes) - {"posted"} <= {"uq_entries_reverses_id", "accounts_limit"}
    assert len(set(outcomes)) == 2
    assert balance(world, "deposits") == 0

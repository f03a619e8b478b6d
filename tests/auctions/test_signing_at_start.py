"""A new installation signs its first bid: the key is there as soon as a door is open, one key for all doors."""

import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from auctions import signing
from marketplace import runtime
from tests.conftest import KEY, make_settings

ROOT = Path(__file__).resolve().parents[2]
DOORS = {"web": "import wsgi; wsgi.create()", "live": "import live; live.opened()", "worker": "import worker"}
PROGRAM = (
    "import os, pathlib, sys, time\n"
    "import live, wsgi\n"  # so that all are ready to begin at the same moment
    "pathlib.Path(sys.argv[1]).touch()\n"
    "while not pathlib.Path(sys.argv[2]).exists(): time.sleep(0.005)\n"
)


@pytest.fixture
def doors(database, tmp_path):
    """Start doors at once: every process is loaded and waits for the same file."""

    def start(*names):
        environment = {
            "DATABASE_URL": database, "REDIS_URL": "unix:///nonexistent", "SECRET_KEY": KEY, "IDENTITY_KEY": KEY,
            "MATCHING_KEY": KEY, "FILES_PATH": str(tmp_path), "PATH": "",
        }  # fmt: skip
        loaded = [tmp_path / f"loaded-{place}" for place, _ in enumerate(names)]
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM + DOORS[name], str(path), str(tmp_path / "go")],
                cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True,
            )
            for name, path in zip(names, loaded, strict=True)
        ]  # fmt: skip
        while not all(path.exists() for path in loaded):
            assert all(one.poll() is None for one in processes)
            threading.Event().wait(0.05)
        (tmp_path / "go").touch()
        faults = [one.communicate(timeout=120)[1] for one in processes]
        assert [one.returncode for one in processes] == [0] * len(names), faults

    return start


def keys(url):
    running = runtime.build(make_settings(url, ROOT / "var"), ())
    try:
        with running.sessions() as session:
            rows = session.execute(text("SELECT key_id FROM signing_keys")).scalars().all()
            made = session.execute(text("SELECT count(*) FROM audit_records WHERE verb = 'make'")).scalar_one()
            return rows, made, signing.signer(session, vault=running.vault, at=datetime.now(UTC)).key_id
    finally:
        running.engine.dispose()


@pytest.mark.slow
def test_all_doors_opening_at_once_make_one_key(doors, database):
    doors("web", "live", "worker", "web", "live")
    rows, made, in_force = keys(database)
    assert (rows, made) == ([in_force], 1)


@pytest.mark.parametrize("threads", [8])
def test_many_at_once_make_one_key_and_again_changes_nothing(running, threads):
    begin = threading.Barrier(threads)

    def start():
        begin.wait()
        signing.make_ready(running)

    started = [threading.Thread(target=start) for _ in range(threads)]
    for one in started:
        one.start()
    for one in started:
        one.join()
    with running.sessions() as session:
        (key,) = session.execute(text("SELECT key_id FROM signing_keys")).scalars().all()
        assert signing.signer(session, vault=running.vault, at=running.clock.now()).key_id == key
    signing.make_ready(running)
    with running.sessions() as session:
        assert session.execute(text("SELECT count(*) FROM signing_keys")).scalar_one() == 1


def test_a_door_opens_before_the_database_is_migrated_or_there(empty_database, tmp_path):
    for url in (empty_database, "postgresql://nobody@127.0.0.1:1/nothing"):
        built = runtime.build(make_settings(url, tmp_path), ())
        signing.make_ready(built)
        built.engine.dispose()

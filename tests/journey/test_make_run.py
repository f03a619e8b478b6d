"""What `make run` does, in processes of its own: the journey over HTTP, with workers and engines killed on the way."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import pytest
import rules

pytestmark = pytest.mark.slow
PATIENCE = 420


class Running:
    """A launcher in a folder of its own; its output is collected."""

    def __init__(self, folder: Path, **environment: str) -> None:
        kept = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
        self.folder = folder
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "marketplace.launch"],
            cwd=rules.ROOT, env=kept | {"VAR_PATH": str(folder), "PORT": "8400"} | environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout))
        self.reader.start()

    def until(self, text: str) -> str:
        """Wait for a line; fail with everything said so far when the launcher ends before it."""
        deadline = time.monotonic() + PATIENCE
        while not any(text in line for line in self.lines):
            assert self.process.poll() is None, "".join(self.lines)
            assert time.monotonic() < deadline, "".join(self.lines) + self.logs()
            time.sleep(0.1)
        return "".join(self.lines)

    def logs(self) -> str:
        return "".join(f"\n== {log.name}\n{log.read_text()[-2000:]}" for log in (self.folder / "log").glob("*.log"))

    def children(self) -> list[int]:
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in found.stdout.split()]

    def kill_child(self, words: str) -> None:
        """kill -9 the child whose command line contains these words."""
        victims = [pid for pid in self.children() if words in _command(pid)]
        assert victims, words
        os.kill(victims[0], signal.SIGKILL)

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(60)
        self.reader.join()
        self.process.stdout.close()
        return code


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


@pytest.fixture
def folder():
    """A folder that PostgreSQL's user can reach; not one of pytest's, which any pytest that starts closes to others."""
    with tempfile.TemporaryDirectory(prefix="npl-run-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


def _get(url, token=None):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def _sign_in(url, state):
    body = json.dumps({"login": "auditor", "password": state["credentials"]["auditor"]}).encode()
    request = urllib.request.Request(f"{url}/api/v1/sessions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)["token"]


def test_the_journey_survives_kills_and_a_second_start(folder):
    first = Running(folder)
    try:
        first.until("8/11")
        first.kill_child("-Q celery")
        said = first.until("It stays up")
        assert re.search(r"difference\s+0\.00", said), said
        url = re.search(r"runs at (\S+)", said).group(1)
        state = json.loads((folder / "demo.json").read_text())
        token = _sign_in(url, state)
        (deal,) = _get(f"{url}/api/v1/deals", token)["items"]
        assert deal["state"] == "settled"
        figures = _get(f"{url}/api/v1/deals/{deal['id']}/reconciliation", token)
        assert figures["agrees"] is True
        assert _get(f"{url}/api/v1/auctions/{state['auction_id']}", token)["state"] == "open"
        assert (folder / "demo" / "reconciliation.pdf").read_bytes().startswith(b"%PDF-")
        second = Running(folder)
        assert second.process.wait(60) == 0
        second.end()
        assert "already running" in "".join(second.lines)
    finally:
        first.end(signal.SIGKILL)
    again = Running(folder)
    try:
        said = again.until("It stays up")
        url = re.search(r"runs at (\S+)", said).group(1)
        token = _sign_in(url, state)
        assert _get(f"{url}/api/v1/deals/{deal['id']}/reconciliation", token)["agrees"] is True
        assert again.end() == 0
    finally:
        again.end(signal.SIGKILL)
    assert not (folder / "run.json").exists()

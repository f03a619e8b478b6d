"""What was acknowledged survives `kill -9` of everything; `python -m benchmarks.durability` kills 100 times."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_kind_of_kill_once_under_load():
    """PostgreSQL, its postmaster, a backend, a worker of the live door and all of the door, on a disk that flushes."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.durability", "5", "0.5"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=590,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    assert "5 kills" in run.stdout

"""Which planted faults the state machines of the auctions find: each is planted in a copy of the repository.

    python benchmarks/machine_faults.py             the pure engine's machine, seconds each
    python benchmarks/machine_faults.py --service   the machine over the service and PostgreSQL, a minute each

A fault that stays unfound is printed as MISSED, and the exit code is 1. What only a race shows names its `tests`.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FAULTS = json.loads(Path(__file__).with_suffix(".json").read_text())
PURE = """
from hypothesis import Phase, settings
settings.register_profile("faults", phases=[Phase.generate])
settings.load_profile("faults")
from hypothesis.stateful import run_state_machine_as_test
from tests.auctions import test_machine as played
for script in played.SCRIPTS:
    script().close()
for machine in (played.Machine, played.TwoPhaseMachine, played.ProxyMachine):
    run_state_machine_as_test(machine, settings=played.LIMITS)
"""


def found(place: Path, command: list[str]) -> bool:
    """Whether the command fails in a copy of the repository."""
    return subprocess.run(command, cwd=place, capture_output=True, check=False).returncode != 0


def planted(text: str, fault: dict[str, Any]) -> str:
    """Return a file with a fault in it; end when the file has changed so that there is no place for it."""
    for edit in (fault, *fault.get("also", ())):
        if edit["old"] not in text:
            raise SystemExit(f"nothing to replace in {fault['file']}: {edit['old']}")
        text = text.replace(edit["old"], edit["new"], 1)
    return text


def command(tests: str | None = None, *, service: bool) -> list[str]:
    """Return what is run against a fault."""
    whole = [tests or "tests/auctions/test_machine_service.py", "-q", "-n", "0", "-x"]
    return [sys.executable, *(["-m", "pytest", *whole] if service else ["-c", PURE])]


def main() -> int:
    """Plant one fault after another."""
    service = "--service" in sys.argv
    faults = FAULTS["service" if service else "engine"]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        subprocess.run(f"git ls-files -z | xargs -0 cp --parents -t {place}", cwd=ROOT, shell=True, check=True)
        for fault in faults:
            path = place / fault["file"]
            whole = path.read_text()
            path.write_text(planted(whole, fault))
            caught = found(place, command(fault.get("tests"), service=service))
            path.write_text(whole)
            missed += not caught
            print(f"{'found ' if caught else 'MISSED'}  {fault['name']}", flush=True)
        whole = "FAILS" if found(place, command(service=service)) else "passes"
        print(f"{len(faults) - missed} of {len(faults)} found; without a fault the machine {whole}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Which planted faults the state machines of the auctions find: each is planted in a copy of the repository.

    python benchmarks/machine_faults.py             the pure engine's machine, seconds each
    python benchmarks/machine_faults.py --service   the machine over the service and PostgreSQL, a minute each

A fault that stays unfound is printed as MISSED, and the exit code is 1.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

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


def main() -> int:
    """Plant one fault after another."""
    service = "--service" in sys.argv
    faults = FAULTS["service" if service else "engine"]
    tests = ["-m", "pytest", "tests/auctions/test_machine_service.py", "-q", "-n", "0", "-x"]
    command = [sys.executable, *(tests if service else ["-c", PURE])]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        subprocess.run(f"git ls-files -z | xargs -0 cp --parents -t {place}", cwd=ROOT, shell=True, check=True)
        for fault in faults:
            path = place / fault["file"]
            whole = path.read_text()
            if fault["old"] not in whole:
                raise SystemExit(f"nothing to replace in {fault['file']}: {fault['old']}")
            path.write_text(whole.replace(fault["old"], fault["new"], 1))
            caught = found(place, command)
            path.write_text(whole)
            missed += not caught
            print(f"{'found ' if caught else 'MISSED'}  {fault['name']}", flush=True)
        whole = "FAILS" if found(place, command) else "passes"
        print(f"{len(faults) - missed} of {len(faults)} found; without a fault the machine {whole}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

"""A worker of jobs in a process of its own that is killed (SIGKILL) when a job reports a note.

Arguments: database, folder of files, instant, note ("" for a worker that lives). Started by tests; see `run`.
"""

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def run(database: str, files: Path, *, at: datetime, note: str) -> int:
    """Run such a worker until it ends; return its exit code, -9 when it was killed."""
    arguments = [sys.executable, str(Path(__file__)), database, str(files), at.isoformat(), note]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    return subprocess.run(arguments, cwd=ROOT, env=environment, check=False).returncode


def main(database: str, files: str, at: str, note: str) -> None:
    """Run what is due."""
    from conftest import make_settings

    import wsgi
    from marketplace import jobs, runtime
    from marketplace.clock import FixedClock

    built = runtime.build(
        make_settings(database, Path(files)), wsgi.MODULES, clock=FixedClock(datetime.fromisoformat(at))
    )
    runtime.install(built)

    def mortal(work: jobs.Work) -> jobs.Work:
        def worked(session: Any, arguments: dict[str, Any], progress: jobs.Progress, now: datetime) -> dict[str, Any]:
            def told(done: int, total: int, what: str) -> None:
                progress(done, total, what)
                if what == note:
                    os.kill(os.getpid(), 9)

            return work(session, arguments, told, now)

        return worked

    jobs.run_due(built.sessions, {name: mortal(work) for name, work in built.works.items()}, clock=built.clock)


if __name__ == "__main__":
    main(*sys.argv[1:])

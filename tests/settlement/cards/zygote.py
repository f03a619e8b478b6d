"""A process that has imported the product; each line on its input is one worker, a fork, that dies where it is told.

Input: {"settings", "kind", "point", "at"}. The worker runs the errands that are due at `at` and is killed (SIGKILL) at
a point of the first errand of `kind`: `intent` (before its claim is committed), `call` (before the call), `answer`
(after the call), `outcome` (before the outcome is committed), `end` (after it is). Output: the signal that ended it.
"""

import json
import os
import sys
from datetime import datetime
from typing import Any

import wsgi
from marketplace import errands, runtime
from marketplace.clock import FixedClock
from marketplace.settings import Settings
from tests.mortal import mortal


def work(order: dict[str, Any]) -> None:
    clock = FixedClock(datetime.fromisoformat(order["at"]))
    built = runtime.build(Settings.from_environment(order["settings"]), wsgi.MODULES, clock=clock)
    runtime.install(built)
    done: list[str] = []

    def die(here: str) -> None:
        done.append(here)
        if here == order["point"]:
            os.kill(os.getpid(), 9)

    kinds = built.errands | {order["kind"]: mortal(built.errands[order["kind"]], die)}
    while errands.run_one(built.sessions, kinds, clock=clock):
        if "outcome" in done:
            die("end")


for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        work(json.loads(line))
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    sys.stdout.write(f"{os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)}\n")
    sys.stdout.flush()

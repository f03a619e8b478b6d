"""The child process: takes its limits before it looks at anything, does one task, writes one JSON answer, ends.

`python -m due_diligence.pdf.child TASK MEMORY CPU WALL FILE_BYTES FD…`, started by `sandbox` only.
"""

import importlib
import json
import os
import resource
import signal
import sys
from typing import Any, Final

TOO_LITTLE_MEMORY: Final = 3
MODULES: Final = {"read": "reader", "stamp": "stamp", "verify": "verify"}


def limit(*, memory_bytes: int, cpu_seconds: int, wall_seconds: int, file_bytes: int) -> None:
    """Take the limits on, for good. The alarm ends this process even when the parent is gone."""
    for kind, soft, hard in (
        (resource.RLIMIT_AS, memory_bytes, memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 2),
        (resource.RLIMIT_FSIZE, file_bytes, file_bytes),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, 64, 64),
        (resource.RLIMIT_NPROC, 0, 0),
    ):
        resource.setrlimit(kind, (soft, hard))
    signal.alarm(wall_seconds)


def main(arguments: list[str]) -> int:
    """Do the task named; return the exit code."""
    task, *numbers = arguments
    memory_bytes, cpu_seconds, wall_seconds, file_bytes, *descriptors = map(int, numbers)
    limit(memory_bytes=memory_bytes, cpu_seconds=cpu_seconds, wall_seconds=wall_seconds, file_bytes=file_bytes)
    try:
        answer = json.dumps(_do(task, descriptors)).encode()
    except MemoryError:
        return TOO_LITTLE_MEMORY
    sys.stdout.buffer.write(answer)
    return 0


def _do(task: str, descriptors: list[int]) -> Any:
    if task == "stamp":
        with os.fdopen(descriptors[2], "wb") as target:
            return _module(task).stamp(*map(_content, descriptors[:2]), target)
    return _module(task).answer(*map(_content, descriptors))


def _module(task: str) -> Any:
    """Import what the task needs: after the limits are taken, and nothing else."""
    return importlib.import_module(f"due_diligence.pdf.{MODULES[task]}")


def _content(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The child process: takes its limits before it looks at any input, does one task, writes one JSON answer, ends.

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
    """Do the task named; return the exit code. Our own modules are loaded first, the input is touched under limits."""
    task, *numbers = arguments
    memory_bytes, cpu_seconds, wall_seconds, file_bytes, *descriptors = map(int, numbers)
    module = _module(task)
    limit(memory_bytes=memory_bytes, cpu_seconds=cpu_seconds, wall_seconds=wall_seconds, file_bytes=file_bytes)
    try:
        answer = json.dumps(_do(module, descriptors)).encode()
    except MemoryError:
        return TOO_LITTLE_MEMORY
    sys.stdout.buffer.write(answer)
    return 0


def _module(task: str) -> Any:
    """Load what the task needs, without the libraries for images and fonts that pypdf would use: less to attack."""
    sys.modules.update({"PIL": None, "fontTools": None})  # type: ignore[dict-item]  # None makes an import fail
    return importlib.import_module(f"due_diligence.pdf.{MODULES[task]}")


def _do(module: Any, descriptors: list[int]) -> Any:
    if len(descriptors) == len(("original", "mark", "target")):
        with os.fdopen(descriptors[2], "wb") as target:
            return module.stamp(*map(_content, descriptors[:2]), target)
    return module.answer(*map(_content, descriptors))


def _content(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Children of the sandbox as forks of one process that has loaded the reader: a start costs no interpreter.

For tests of very many files. The fork takes its limits and does its task as the real child does; that a real child
starts, and what it inherits, the other tests of the sandbox show.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from due_diligence.pdf import sandbox
from marketplace.settings import ROOT

PROGRAM = """
import json, os, socket, sys
from due_diligence.pdf import child
child._module("read")
line = socket.socket(fileno=int(sys.argv[1]))
while True:
    order, descriptors, _, _ = socket.recv_fds(line, 4096, 8)
    if not order:
        break
    pid = os.fork()
    if pid == 0:
        line.close()
        os.setsid()
        os.dup2(descriptors.pop(), 1)
        task, *numbers = json.loads(order)
        code = child.main([task, *map(str, numbers + descriptors)])
        sys.stdout.flush()
        os._exit(code)
    for descriptor in descriptors:
        os.close(descriptor)
    line.sendall(pid.to_bytes(8, "big"))
    line.sendall((os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) + 256).to_bytes(8, "big"))
"""


class Child:
    """What the sandbox asks of a process: its number, its output, its end."""

    def __init__(self, line: socket.socket, output: int) -> None:
        self.line, self.stdout, self.code = line, os.fdopen(output, "rb"), None
        self.pid = int.from_bytes(line.recv(8), "big")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code, or less a signal's number; raise `TimeoutExpired`."""
        if self.code is None:
            self.line.settimeout(timeout)
            try:
                self.code = int.from_bytes(self.line.recv(8), "big") - 256
            except TimeoutError:
                raise subprocess.TimeoutExpired("child", timeout) from None
            finally:
                self.line.settimeout(None)
        return self.code


@contextmanager
def open_nursery(monkeypatch) -> Iterator[None]:
    """Let the sandbox start its children here."""
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, "-s", "-c", PROGRAM, str(theirs.fileno())],
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=[theirs.fileno()], cwd="/",
        env={"PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"},
    )  # fmt: skip
    theirs.close()

    def start(task: str, descriptors: list[int], limits: sandbox.Limits) -> Child:
        numbers = [limits.memory_bytes, limits.cpu_seconds, limits.wall_seconds, limits.file_bytes]
        reading, writing = os.pipe()
        socket.send_fds(ours, [json.dumps([task, *numbers]).encode()], [*descriptors, writing])
        os.close(writing)
        return Child(ours, reading)

    monkeypatch.setattr(sandbox, "_start", start)
    try:
        yield
    finally:
        ours.close()
        process.wait(30)

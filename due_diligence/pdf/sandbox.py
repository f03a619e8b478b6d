"""A child process with limits: address space, processor time, wall time, file size, no core, no children, own session.

A fresh interpreter (about 0.25 s with pypdf) and not a fork: the worker and the web server have threads. The child gets
an empty environment, so neither keys nor addresses, and its input as unlinked temporary files. Its answer comes through
a pipe and is read up to a bound. Whatever happens in the child, the parent gets an answer or `ChildDied`.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Final

from marketplace.settings import ROOT

MEBIBYTE: Final = 1024 * 1024
TOO_LITTLE_MEMORY: Final = 3
"""Exit code of a child that ran out of memory and could still say so."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use. `answer_bytes` bounds what it says, `file_bytes` the file that it writes."""

    memory_bytes: int
    cpu_seconds: int
    wall_seconds: int
    answer_bytes: int
    file_bytes: int = 0

    @classmethod
    def of(cls, size: int, *, answer_bytes: int, file_bytes: int = 0) -> "Limits":
        """Return the limits for an input of `size` bytes: the library holds it a few times over."""
        memory = min(512 * MEBIBYTE + 6 * size, 2048 * MEBIBYTE)
        return cls(memory, cpu_seconds=40, wall_seconds=120, answer_bytes=answer_bytes, file_bytes=file_bytes)


class ChildDied(Exception):
    """The child gave no answer. `cause`: `time`, `memory`, `answer` (said too much) or `signal` (crashed)."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class ChildBroken(RuntimeError):
    """The child's own program failed: a bug, never a verdict on a file."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a child said and, when it was asked for a file, wrote."""

    said: bytes
    written: bytes


def run(task: str, inputs: Sequence[bytes], *, limits: Limits) -> Answer:
    """Run one task of `due_diligence.pdf.child` over the inputs; raise `ChildDied`. No child is left behind."""
    with contextlib.ExitStack() as files:
        handles = [_file(files, content) for content in inputs]
        if limits.file_bytes:
            handles.append(_file(files, b""))
        with _start(task, [handle.fileno() for handle in handles], limits) as child:
            said = _listen(child, limits)
        return Answer(said, _written(handles[-1], limits) if limits.file_bytes else b"")


def _file(files: contextlib.ExitStack, content: bytes) -> IO[bytes]:
    handle = files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack is the context manager
    handle.write(content)
    handle.flush()
    handle.seek(0)
    return handle


def _written(handle: IO[bytes], limits: Limits) -> bytes:
    handle.seek(0)
    return handle.read(limits.file_bytes + 1)


def _start(task: str, descriptors: list[int], limits: Limits) -> subprocess.Popen[bytes]:
    numbers = [limits.memory_bytes, limits.cpu_seconds, limits.wall_seconds, limits.file_bytes, *descriptors]
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module, numbers for arguments
        [sys.executable, "-s", "-m", "due_diligence.pdf.child", task, *map(str, numbers)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=descriptors,
        start_new_session=True,
        cwd="/",
        env={"PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"},
    )


def _listen(child: subprocess.Popen[bytes], limits: Limits) -> bytes:
    deadline = time.monotonic() + limits.wall_seconds
    try:
        said = _read(child, deadline, limits.answer_bytes)
        code = child.wait(timeout=max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise ChildDied("time") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if code != 0:
        raise ChildDied(_cause(code))
    return said


def _read(child: subprocess.Popen[bytes], deadline: float, bound: int) -> bytes:
    assert child.stdout is not None
    said = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                raise ChildDied("time")
            block = os.read(child.stdout.fileno(), 65_536)
            if not block:
                return bytes(said)
            said += block
            if len(said) > bound:
                raise ChildDied("answer")


def _cause(code: int) -> str:
    if code in {-signal.SIGXCPU, -signal.SIGALRM, -signal.SIGKILL}:
        return "time"
    if code == TOO_LITTLE_MEMORY:
        return "memory"
    if code > 0:  # Python ended with a traceback: a fault of ours, not of the file
        raise ChildBroken(code)
    return "signal"

"""Several processes on one port: forked, looked after, and ended together.

Each has a socket of its own on the port (SO_REUSEPORT, so the kernel spreads connections), made before the fork: a
process that dies leaves its socket to the one that takes its place.
"""

import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from marketplace import embedded

log = structlog.get_logger(__name__)

PAUSE_SECONDS: Final = 1.0  # no money: seconds
"""Between two starts of one process, so that one that cannot start does not burn a core."""

STOP_SECONDS: Final = 20.0  # no money: seconds
"""So long the processes have to end before they are killed."""

_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})


def listen(host: str, port: int, processes: int) -> list[socket.socket]:
    """Return a listening socket for each process; raise `OSError` when somebody else has the port."""
    socket.create_server((host, port)).close()
    return [socket.create_server((host, port), backlog=1024, reuse_port=processes > 1) for _ in range(processes)]


@dataclass
class Crew:
    """The processes, by their number, and when each may be started again."""

    work: Callable[[socket.socket], None]
    sockets: list[socket.socket]
    processes: dict[int, int] = field(default_factory=dict)
    not_before: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Keep one process on each socket until told to end."""
        self.not_before = [0.0] * len(self.sockets)
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        while True:
            self._start()
            told = signal.sigtimedwait(_SIGNALS, PAUSE_SECONDS)
            if told is not None and told.si_signo != signal.SIGCHLD:
                break
            self._bury()
        self._end()

    def _start(self) -> None:
        running = set(self.processes.values())
        for place, sock in enumerate(self.sockets):
            if place not in running and time.monotonic() >= self.not_before[place]:
                self.not_before[place] = time.monotonic() + PAUSE_SECONDS
                self.processes[self._fork(sock)] = place

    def _fork(self, sock: socket.socket) -> int:
        parent = os.getpid()
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            end_with_parent = embedded.die_with_parent(signal.SIGTERM)
            if end_with_parent is not None:
                end_with_parent()
            for other in self.sockets:
                if other is not sock:
                    other.close()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            if os.getppid() == parent:
                self.work(sock)
                status = 0
        except Exception:
            log.exception("a process of the crew failed")
        finally:
            os._exit(status)

    def _bury(self) -> None:
        """Forget those that have ended."""
        while self.processes:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                return
            self.processes.pop(child, None)
            log.warning("a process of the crew ended", process=child, status=os.waitstatus_to_exitcode(status))

    def _end(self) -> None:
        """Tell all to end, and end those that do not."""
        for child in self.processes:
            os.kill(child, signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        while self.processes and time.monotonic() < until:
            signal.sigtimedwait({signal.SIGCHLD}, 0.1)
            self._bury()
        for child in self.processes:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

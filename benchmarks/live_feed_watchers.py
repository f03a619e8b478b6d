"""The light processes of `benchmarks.live_feed`: thousands of watchers on one epoll, and the bare writer.

The watchers share the machine with what they measure, so they do no more than note when the bytes of an event came:
what they spend is told with their result.
"""

import asyncio
import gc
import json
import os
import re
import select
import socket
import sys
import time
from dataclasses import dataclass, field

READ = 65536
_NUMBER = re.compile(rb"id: (\d+)\nevent: bid\n")


@dataclass
class Watchers:
    """Sockets by number, what is left of an unfinished message, and the arrivals of each event in nanoseconds."""

    poll: select.epoll = field(default_factory=select.epoll)
    sockets: dict[int, socket.socket] = field(default_factory=dict)
    parts: dict[int, bytes] = field(default_factory=dict)
    standing: set[int] = field(default_factory=set)
    arrivals: dict[int, list[int]] = field(default_factory=dict)
    heard_bytes: int = 0

    def add(self, port: int, path: str, token: str) -> None:
        """Begin to watch."""
        sock = socket.create_connection(("127.0.0.1", port))
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        sock.setblocking(False)
        self.sockets[sock.fileno()] = sock
        self.poll.register(sock.fileno(), select.EPOLLIN)

    def hear(self, until: float) -> None:
        """Read whatever comes until an instant of the steady clock."""
        while (left := until - time.monotonic()) > 0:
            for number, _ in self.poll.poll(min(left, 0.2), maxevents=4096):
                self._read(number)

    def _read(self, number: int) -> None:
        try:
            part = os.read(number, READ)
        except BlockingIOError:
            return
        at = time.monotonic_ns()
        if not part:
            self.poll.unregister(number)
            return
        left = self.parts.pop(number, None)
        if left is not None:
            part = left + part
        if not part.endswith(b"\n\n"):
            whole, found, rest = part.rpartition(b"\n\n")
            self.parts[number], part = rest, whole + found
        events = _NUMBER.findall(part)
        for event in events:
            self.arrivals.setdefault(int(event), []).append(at)
        if events:
            self.heard_bytes += len(part)
        elif number not in self.standing and b"event: standing" in part:
            self.standing.add(number)


def watch(port: int, path: str, tokens: list[str], count: int, seconds: float) -> None:
    """Be the watchers, in a process of their own: print one line when all listen, then what each message was late."""
    watchers = Watchers()
    for number in range(count):
        watchers.add(port, path, tokens[number % len(tokens)])
        if number % 50 == 0:
            watchers.hear(time.monotonic() + 0.001)
    deadline = time.monotonic() + 60
    while len(watchers.standing) < count and time.monotonic() < deadline:
        watchers.hear(time.monotonic() + 0.2)
    print(json.dumps({"listening": len(watchers.standing)}), flush=True)
    gc.freeze()
    gc.disable()
    began, spent = time.monotonic(), time.process_time()
    watchers.hear(began + seconds)
    cores = (time.process_time() - spent) / (time.monotonic() - began)
    heard = sum(len(times) for times in watchers.arrivals.values())
    told = {"arrivals": watchers.arrivals, "cores": cores, "bytes": watchers.heard_bytes // max(1, heard)}
    print(json.dumps(told), flush=True)


async def bare(port: int, length: int) -> None:
    """The limit: write a message as long as ours to everybody for each line that comes in on the standard input."""
    watchers: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nevent: standing\n\n")
        watchers.append(writer)

    await asyncio.start_server(connected, "127.0.0.1", port, backlog=4096)
    pipe = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(pipe), sys.stdin)
    while line := await pipe.readline():
        message = b"id: %d\nevent: bid\ndata: %s\n\n" % (int(line), b"x" * length)
        for writer in watchers:
            writer.transport.write(message)


if __name__ == "__main__":
    if sys.argv[1] == "watch":
        watch(int(sys.argv[2]), sys.argv[3], json.loads(os.environ["TOKENS"]), int(sys.argv[4]), float(sys.argv[5]))
    else:
        asyncio.run(bare(int(sys.argv[2]), int(sys.argv[3])))

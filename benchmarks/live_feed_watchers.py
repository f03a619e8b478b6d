"""The light processes of `benchmarks.live_feed`: thousands of watchers on one selector, and the bare writer."""

import asyncio
import json
import os
import selectors
import socket
import sys
import time


def watch(port: int, path: str, tokens: list[str], count: int, seconds: float) -> None:
    """Be the watchers, in a process of their own: print one line when all listen, then what each message was late.

    A message is known by its `id`; the line printed at the end has the arrivals of each id as nanoseconds.
    """
    chosen = selectors.EpollSelector()
    arrivals: dict[int, list[int]] = {}
    for number in range(count):
        sock = socket.create_connection(("127.0.0.1", port))
        token = tokens[number % len(tokens)]
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        sock.setblocking(False)
        chosen.register(sock, selectors.EVENT_READ, [b"", 0])
    heard, deadline = 0, time.monotonic() + 60
    while heard < count and time.monotonic() < deadline:
        heard += _hear(chosen, arrivals, 0.2)
    print(json.dumps({"listening": heard}), flush=True)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        _hear(chosen, arrivals, 0.05)
    print(json.dumps({"arrivals": arrivals}), flush=True)


def _hear(chosen: selectors.BaseSelector, arrivals: dict[int, list[int]], wait: float) -> int:
    """Read whatever came; return how many heard their first message."""
    first = 0
    for entry, _ in chosen.select(wait):
        try:
            part = entry.fileobj.recv(65536)  # type: ignore[union-attr]  # present by how it was opened
        except BlockingIOError:
            continue
        at = time.monotonic_ns()
        if not part:
            chosen.unregister(entry.fileobj)
            continue
        state = entry.data
        *whole, state[0] = (state[0] + part).split(b"\n\n")
        for message in whole:
            if b"event: standing" in message and not state[1]:
                state[1] = 1
                first += 1
            if b"event: bid" in message:
                number = int(message.partition(b"id: ")[2].partition(b"\n")[0])
                arrivals.setdefault(number, []).append(at)
    return first


async def bare(port: int) -> None:
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
        message = b"id: %d\nevent: bid\ndata: %s\n\n" % (int(line), b"x" * 700)
        for writer in watchers:
            writer.transport.write(message)


if __name__ == "__main__":
    if sys.argv[1] == "watch":
        watch(int(sys.argv[2]), sys.argv[3], json.loads(os.environ["TOKENS"]), int(sys.argv[4]), float(sys.argv[5]))
    else:
        asyncio.run(bare(int(sys.argv[2])))

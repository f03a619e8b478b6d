"""Constant JSON on the live door's server: the ceiling of what HTTP and the loop allow (`--port`, `--processes`)."""

import argparse
import asyncio
import signal
import socket

import orjson
import uvloop

from marketplace import crew
from marketplace.aio import Answer, Asked, Reply
from marketplace.http1 import Listener


def greet(_asked: Asked, reply: Reply) -> None:
    """Answer constant JSON, encoded each time."""
    document = {"minimum_next": {"amount": "0.00", "currency": "CNY"}, "code": "hello"}
    reply.set_result(Answer(409, orjson.dumps(document)))


async def _serve(sock: socket.socket) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await Listener(greet).serve(sock, stop)


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(prog="benchmarks.hello", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    sockets = crew.listen("127.0.0.1", arguments.port, arguments.processes)
    if len(sockets) == 1:
        uvloop.run(_serve(sockets[0]))
    else:
        crew.Crew(lambda sock: uvloop.run(_serve(sock)), sockets).run()


if __name__ == "__main__":
    main()

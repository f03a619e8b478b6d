"""The live door: bids decided in lanes (`python -m live --port 8001`), beside the web door, over the same rows.

One thread decides the batches of a lane while the loop reads the next; PostgreSQL's row lock keeps several processes,
and the web door, in one order.
"""

import argparse
import asyncio
import gc
import os
import re
import signal
import socket
import sys
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import orjson
import uvloop

from auctions import signing
from auctions.live.bids import Bid, Bidding, BidRoute
from marketplace import crew, direct, runtime
from marketplace.aio import Answer, Application, Asked, Reply, Route, transaction
from marketplace.health import health
from marketplace.http1 import Listener
from marketplace.lanes import Lanes
from marketplace.parties import service as parties
from marketplace.settings import Settings

UUID: Final = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
HEALTH: Final = re.compile("/api/v1/health")
BIDS: Final = re.compile(rf"/api/v1/auctions/(?P<auction_id>{UUID})/bids")

GARBAGE_THRESHOLD: Final = 50_000
"""Requests leave no cycles to be collected; looking for some after every 700 objects took a twentieth of the time."""

SWITCH_SECONDS: Final = 0.0005
"""A lane waits no longer than this for the loop to let go of the interpreter after each answer of PostgreSQL."""


class Door:
    """The live door over a runtime, on the loop of this process."""

    def __init__(self, running: runtime.Runtime) -> None:
        runtime.install(running)
        self._threads = ThreadPoolExecutor(running.settings.database_pool_size, "lane")
        self._pipelines = direct.Pipelines(running.sessions)
        bidding = Bidding(self._pipelines, holders=parties.ask_holders, now=running.clock.now)
        self._lanes: Lanes[uuid.UUID, Bid, Answer] = Lanes(bidding.decide, executor=self._threads)
        route = BidRoute(bidding, self._lanes, homes=(running.settings.public_url.rstrip("/"),))
        self.application = Application([Route("POST", BIDS, route.answer), Route("GET", HEALTH, self._healthy)])
        self._health: Lanes[str, None, Answer] = Lanes(self._look, executor=self._threads)

    def _healthy(self, _asked: Asked, reply: Reply) -> None:
        self._health.put("health", None, reply)

    def _look(self, _key: str, asked: Sequence[None]) -> list[Answer]:
        with transaction(self._pipelines) as session:
            direct.end_pipeline(session)
            answer = Answer(200, orjson.dumps(health(session)))
        return [answer for _ in asked]

    async def close(self) -> None:
        """Answer whoever still waits, and let the database go."""
        await self._lanes.stop()
        await self._health.stop()
        self.let_go()

    def let_go(self) -> None:
        """Let threads and connections go, whoever waits."""
        self._threads.shutdown()
        self._pipelines.close()


async def serve(running: runtime.Runtime, sock: socket.socket, stop: asyncio.Event) -> None:
    """Serve on a socket that listens, until told to stop."""
    door = Door(running)
    try:
        await Listener(door.application.take).serve(sock, stop)
    finally:
        await door.close()


async def _until_told(running: runtime.Runtime, sock: socket.socket) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(running, sock, stop)


def opened() -> runtime.Runtime:
    """Return the runtime of this door from the environment, with what it takes to answer the first bid."""
    running = runtime.build(Settings.from_environment(os.environ), (), ping=False)
    signing.make_ready(running)
    return running


def _work(sock: socket.socket) -> None:
    """Serve on a socket, as one process."""
    running = opened()
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    uvloop.run(_until_told(running, sock))
    running.engine.dispose()


def main() -> None:
    """Run the door from the environment and the command line."""
    parser = argparse.ArgumentParser(prog="live", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--processes", type=int, default=1, help="one is right for most; they share the port")
    arguments = parser.parse_args()
    sockets = crew.listen(arguments.host, arguments.port, arguments.processes)
    if len(sockets) == 1:
        _work(sockets[0])
    else:
        crew.Crew(_work, sockets).run()


if __name__ == "__main__":
    main()

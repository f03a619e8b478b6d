"""The feed door: server-sent events of auctions (`python -m feed --port 8050`), a process of its own.

It reads what was committed and tells it; it writes nothing, and nothing that counts waits for it.
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
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from auctions import feed as auction_feed
from auctions.live.feed import Pump
from marketplace import runtime
from marketplace.actor import Actor
from marketplace.feeds import Doors, Listener
from marketplace.lanes import Lanes
from marketplace.parties import service as parties
from marketplace.policies import signed_in
from marketplace.settings import Settings

UUID: Final = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
FEED: Final = re.compile(rf"/api/v1/auctions/(?P<auction_id>{UUID})/feed")


class Credentials:
    """Who holds a token: everybody who asks at the same time is looked up together."""

    def __init__(self, running: runtime.Runtime) -> None:
        self._running = running
        self._threads = ThreadPoolExecutor(1, "credentials")
        self._lanes: Lanes[str, str, Actor | None] = Lanes(self._decide, executor=self._threads)

    async def holder(self, token: str) -> Actor | None:
        """Return who holds a token."""
        return await self._lanes.ask("tokens", token)

    async def good(self, tokens: Collection[str]) -> Collection[str]:
        """Return which of these tokens are still held by somebody."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: set(self._found(tokens)))

    def _decide(self, _key: str, tokens: Sequence[str]) -> list[Actor | None]:
        found = self._found(set(tokens))
        return [found.get(token) for token in tokens]

    def _found(self, tokens: Collection[str]) -> dict[str, Actor]:
        with self._running.sessions() as session:
            return parties.authenticate_all(session, tokens, at=self._running.clock.now())

    def close(self) -> None:
        """End the thread."""
        self._threads.shutdown()


def _key(path: str) -> uuid.UUID | None:
    found = FEED.fullmatch(path)
    return uuid.UUID(found["auction_id"]) if found else None


async def serve(
    running: runtime.Runtime, sock: socket.socket, stop: asyncio.Event, *, watchers: int = 10_000, each: int = 50
) -> None:
    """Serve on a socket that listens, until told to stop."""
    pump, credentials = Pump(running.engine, running.sessions), Credentials(running)
    doors = Doors(
        key=_key,
        channel=pump.channel,
        leave=pump.leave,
        authenticate=credentials.holder,
        good=credentials.good,
        after=auction_feed.last_event,
        policy=signed_in(),
        homes=(running.settings.public_url.rstrip("/"),),
        watchers=watchers,
        each=each,
    )
    pump.start()
    try:
        await Listener(doors).serve(sock, stop)
    finally:
        await pump.stop()
        credentials.close()


SWITCH_SECONDS: Final = 0.0005
"""Neither thread waits longer than this for the other to let go of the interpreter."""


def _settle() -> None:
    """Keep what was imported out of the collector's sight, and let it look seldom: a full look stops everybody."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _main(running: runtime.Runtime, arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    sock = socket.create_server((arguments.host, arguments.port), backlog=4096)
    await serve(running, sock, stop, watchers=arguments.watchers, each=arguments.each)


def main() -> None:
    """Run the door from the environment and the command line."""
    parser = argparse.ArgumentParser(prog="feed", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8050)
    parser.add_argument("--watchers", type=int, default=10_000, help="how many may watch at once")
    parser.add_argument("--each", type=int, default=50, help="how many streams one credential may have")
    running = runtime.build(Settings.from_environment(os.environ), ())
    runtime.install(running)
    _settle()
    asyncio.run(_main(running, parser.parse_args()))
    running.engine.dispose()


if __name__ == "__main__":
    main()

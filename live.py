"""The live door: bids on granian's RSGI, decided in lanes (`live:create()`), beside the web door, over the same rows.

One thread decides the batches of a lane while the loop reads the next; PostgreSQL's row lock keeps several processes,
and the web door, in one order. `granian --interface rsgi --factory live:create`.
"""

import asyncio
import gc
import os
import re
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import orjson

from auctions import signing
from auctions.live.bids import Bid, Bidding, BidRoute
from marketplace import runtime
from marketplace.health import health
from marketplace.lanes import Lanes
from marketplace.parties import service as parties
from marketplace.rsgi import Answer, Application, Asked, Route, transaction
from marketplace.settings import Settings

UUID: Final = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
HEALTH: Final = re.compile("/api/v1/health")
BIDS: Final = re.compile(rf"/api/v1/auctions/(?P<auction_id>{UUID})/bids")


GARBAGE_THRESHOLD: Final = 50_000
"""Requests leave no cycles to be collected; looking for some after every 700 objects took a twentieth of the time."""

SWITCH_SECONDS: Final = 0.0005
"""A lane waits no longer than this for the loop to let go of the interpreter after each answer of PostgreSQL."""


def application(running: runtime.Runtime) -> Application:
    """Return the RSGI application over a runtime."""
    runtime.install(running)
    sys.setswitchinterval(SWITCH_SECONDS)
    threads = ThreadPoolExecutor(running.settings.database_pool_size, "lane")
    bidding = Bidding(running.sessions, authenticate=parties.authenticate_all, now=running.clock.now)
    lanes: Lanes[uuid.UUID, Bid, Answer] = Lanes(bidding.decide, executor=threads)
    route = BidRoute(bidding, lanes, homes=(running.settings.public_url.rstrip("/"),))

    def started(_loop: asyncio.AbstractEventLoop) -> None:
        """Nothing to begin: lanes are made when they are needed."""

    def look() -> dict[str, str]:
        with transaction(running.sessions) as session:
            return health(session)

    async def healthy(_asked: Asked) -> Answer:
        return Answer(200, orjson.dumps(await asyncio.get_running_loop().run_in_executor(threads, look)))

    async def stopped() -> None:
        await lanes.stop()
        threads.shutdown()
        running.engine.dispose()

    routes = [Route("POST", BIDS, route.answer), Route("GET", HEALTH, healthy)]
    return Application(routes, started=started, stopped=stopped)


def create() -> Application:
    """Build the application from the environment."""
    running = runtime.build(Settings.from_environment(os.environ), (), ping=False)
    signing.make_ready(running)
    made = application(running)
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    return made

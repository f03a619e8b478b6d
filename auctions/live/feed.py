"""The feed of auctions: one thread looks for what was committed, the loop tells it to everybody who watches.

Every `LOOK_SECONDS` one statement asks for the marks of all watched auctions; only those whose mark moved, or whose
clock has something to say, are read in full, once for all their watchers. What is found this way is committed, whoever
wrote it, in whichever process; bidding knows nothing of it and never waits for it. While PostgreSQL is away watchers
stay, and are told what they missed.
"""

import asyncio
import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from auctions import feed
from auctions.domain.lifecycles import LiveState
from auctions.feed import Mark, News
from marketplace import db
from marketplace.errors import Failure
from marketplace.feeds import Channel

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 0.01  # no money: seconds
IDLE_LOOK_SECONDS: Final = 0.25  # no money: seconds
"""Between two looks while no watched auction runs."""

READ_SECONDS: Final = 0.05  # no money: seconds
"""Between two readings of one auction: faster bidding is told together."""

CLOCK_SECONDS: Final = 0.25  # no money: seconds
"""Between two readings of an auction whose price or phase moves with the clock."""

QUIET_SECONDS: Final = 5
HIDDEN_SECONDS: Final = 5
"""So long it is not asked again which terms the preset hides; whoever corrects the terms may not change the preset."""

AWAY_SECONDS: Final = 0.5  # no money: seconds
_STILL: Final = frozenset({"english", "proxy", "sealed_first_price", "sealed_second_price", "package"})
"""Formats in which nothing moves with the clock but opening and end."""

_OVER: Final = frozenset({LiveState.SOLD, LiveState.UNSOLD, LiveState.WITHDRAWN})


@dataclass
class Watched:
    """One watched auction. `channel` belongs to the loop, everything else to the thread that looks."""

    auction_id: uuid.UUID
    channel: Channel
    mark: Mark | None = None
    after: int = 0
    standing: dict[str, Any] = field(default_factory=dict)
    running: bool = True
    not_before: float = 0
    due: float = 0
    opened: bool = False
    hidden: frozenset[str] | None = None
    hidden_until: float = 0


class Pump:
    """Looks at the watched auctions in a thread and hands what is new to their channels."""

    def __init__(self, engine: Engine, sessions: sessionmaker[Session]) -> None:
        self._engine = engine
        self._sessions = sessions
        self._loop = asyncio.get_running_loop()
        self._watched: dict[uuid.UUID, Watched] = {}
        self._wanted = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    async def stop(self) -> None:
        """Look no more."""
        self._stopping = True
        self._wanted.set()
        await asyncio.to_thread(self._thread.join)

    def channel(self, auction_id: uuid.UUID) -> Channel:
        """Return the channel of an auction; on the loop."""
        watched = self._watched.get(auction_id)
        if watched is None:
            watched = Watched(auction_id, Channel(feed.CATCH_UP))
            self._watched = {**self._watched, auction_id: watched}
            self._wanted.set()
        return watched.channel

    def leave(self, auction_id: uuid.UUID) -> None:
        """Forget an auction that nobody watches any more; on the loop."""
        watched = self._watched.get(auction_id)
        if watched is not None and watched.channel.ready.done() and not watched.channel.watchers:
            self._forget(watched)

    def _forget(self, watched: Watched) -> None:
        if self._watched.get(watched.auction_id) is watched:
            self._watched = {key: one for key, one in self._watched.items() if one is not watched}

    def _run(self) -> None:
        while not self._stopping:
            try:
                with self._engine.connect() as looking, self._engine.connect() as reading:
                    looking.execution_options(isolation_level="AUTOCOMMIT")
                    reading.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                    with self._sessions(bind=looking) as session:
                        while not self._stopping:
                            self._look(session, reading)
            except SQLAlchemyError as error:
                log.warning("the feed sees no database", error=str(error)[:200])
                time.sleep(AWAY_SECONDS)

    def _look(self, session: Session, reading: Connection) -> None:
        started = time.monotonic()
        watched = list(self._watched.values())
        if not watched:
            self._wanted.wait(1)
            self._wanted.clear()
            return
        found = feed.marks(session, auction_ids=[one.auction_id for one in watched])
        for one in watched:
            mark = found.get(one.auction_id)
            if started >= one.not_before and (mark != one.mark or started >= one.due or not one.opened):
                self._read(reading, one, mark, started)
        pause = LOOK_SECONDS if any(one.running for one in watched) else IDLE_LOOK_SECONDS
        time.sleep(max(0, started + pause - time.monotonic()))

    def _read(self, reading: Connection, one: Watched, mark: Mark | None, started: float) -> None:
        one.not_before = started + READ_SECONDS
        try:
            with self._sessions(bind=reading) as session:
                hidden = one.hidden if started < one.hidden_until else None
                news = feed.read_news(session, auction_id=one.auction_id, after=one.after, hidden=hidden)
        except Failure as failure:
            self._call(self._refuse, one, failure)
            return
        except SQLAlchemyError as error:
            if isinstance(error, DBAPIError) and db.is_busy(error):
                raise
            log.exception("an auction could not be read for its watchers", auction=str(one.auction_id))
            one.not_before = started + QUIET_SECONDS
            return
        if hidden is None:
            one.hidden, one.hidden_until = news.hidden, started + HIDDEN_SECONDS
        one.mark, one.due = mark, started + _next_reading(news)
        one.running = news.view.state not in _OVER
        self._tell(one, news)

    def _tell(self, one: Watched, news: News) -> None:
        standing = feed.standing_of(news.view)
        if one.opened and not news.bids and standing == one.standing:
            return
        at, number = news.view.server_time, max(news.number, one.after)
        bids = [(bid.number, feed.bid_message(bid, server_time=at)) for bid in news.bids]
        tell = _Tell(standing, number, at, time.monotonic(), bids, skipped=news.skipped)
        one.after, one.standing, one.opened = number, standing, True
        self._call(tell.on, one.channel)

    def _refuse(self, one: Watched, failure: Failure) -> None:
        one.channel.refuse(failure)
        self._forget(one)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            self._loop.call_soon_threadsafe(function, *arguments)


@dataclass(frozen=True, slots=True)
class _Tell:
    """News on its way to a channel; the time it tells is PostgreSQL's, carried on by this machine's steady clock."""

    standing: dict[str, Any]
    number: int
    server_time: datetime
    read_at: float
    bids: list[tuple[int, bytes]]
    skipped: bool

    def on(self, channel: Channel) -> None:
        """Tell it; on the loop."""
        channel.greet = self._standing
        channel.beat = lambda: feed.time_message(self._now())
        channel.skipped = lambda before: feed.skipped_message(before=before, server_time=self._now())
        channel.remember(self.bids)
        if self.skipped:
            channel.complete = False
        if channel.ready.done():
            skipped = [channel.skipped(self.bids[0][0])] if self.skipped else []
            channel.publish(b"".join([*skipped, *(message for _, message in self.bids), self._standing()]))
        channel.opened()

    def _standing(self) -> bytes:
        return feed.standing_message(self.standing, number=self.number, server_time=self._now())

    def _now(self) -> datetime:
        return self.server_time + timedelta(seconds=time.monotonic() - self.read_at)


def _next_reading(news: News) -> float:
    """Return after how many seconds an auction is read again although nobody bid."""
    view = news.view
    if view.state in _OVER:
        return 60
    if view.state is LiveState.OPEN and view.rules["format"] not in _STILL:
        return CLOCK_SECONDS
    ahead = [(at - view.server_time).total_seconds() for at in (view.opens_at, view.ends_at)]
    return min([QUIET_SECONDS, *(seconds for seconds in ahead if seconds > 0)])

"""Ordered lanes: what is asked of one thing is decided in order, and what queued meanwhile is decided together.

One lane for each key and process. While a batch is decided in a thread, whatever arrives waits; all of it, up to
`batch`, is the next batch. A disk flush is then shared by everybody who waited for the one before. Whoever got an
answer may ask again at once: for as many the lane waits a moment before it begins anew, so that they share a batch too.
Lanes are made when needed and dropped when empty; they hold no truth, and other processes may decide beside them.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from marketplace.errors import Failure, Unavailable

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Answer = TypeVar("Answer")
Given_contra = TypeVar("Given_contra", contravariant=True)

RETRY_AFTER_SECONDS: Final = 1

GATHER_SHARE: Final = 0.5  # no money: a share of time
GATHER_SECONDS: Final = 0.005  # no money: seconds
"""A lane waits for those who may ask again no longer than this, nor than this share of what their batch took."""


class Full(Unavailable):
    """So many wait already that one more would wait in vain."""

    code = "busy"

    def __init__(self) -> None:
        super().__init__("Too many are at this just now; nothing was done. Try again.")


class Stopping(Unavailable):
    """The process ends; another one takes over."""

    code = "busy"

    def __init__(self) -> None:
        super().__init__("This server is going down; nothing was done. Try again.")


class Waiting(Protocol[Given_contra]):
    """Who waits for an answer: a future, or as much of one as is needed. Used on the loop."""

    def done(self) -> bool:
        """Whether it has its answer, or waits no more."""

    def set_result(self, answer: Given_contra, /) -> None:
        """Give the answer."""

    def set_exception(self, error: BaseException, /) -> None:
        """Give what was raised instead."""


@dataclass(slots=True)
class _Queued(Generic[Item, Answer]):
    item: Item
    until: float
    answer: Waiting[Answer]


@dataclass(slots=True)
class _Lane(Generic[Item, Answer]):
    queue: deque[_Queued[Item, Answer]] = field(default_factory=deque)
    turn: asyncio.Task[None] | None = None
    awaited: int = 0
    gathered: asyncio.Future[None] | None = None

    def gather(self) -> None:
        """Begin the next batch now."""
        if self.gathered is not None and not self.gathered.done():
            self.gathered.set_result(None)


class Lanes(Generic[Key, Item, Answer]):
    """Lanes by key over one function that decides a batch in a thread of `executor` and answers in the same order.

    `waiting` is how many may wait in one lane, `patience` for how many seconds an item is worth deciding. What `decide`
    raises is the answer to everybody in its batch.
    """

    def __init__(
        self,
        decide: Callable[[Key, Sequence[Item]], Sequence[Answer]],
        *,
        executor: Executor,
        batch: int = 256,
        waiting: int = 4096,
        patience: float = 5.0,
    ) -> None:
        self._decide = decide
        self._executor = executor
        self._batch = batch
        self._limit = waiting
        self._patience = patience
        self._lanes: dict[Key, _Lane[Item, Answer]] = {}
        self._stopping = False
        self.waiting = 0

    async def ask(self, key: Key, item: Item) -> Answer:
        """Queue an item and return its answer; raise `Full` or `Stopping` without having done anything."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.put(key, item, answer)
        return await answer

    def put(self, key: Key, item: Item, answer: Waiting[Answer]) -> None:
        """Queue an item for whoever waits for its answer; raise `Full` or `Stopping` without having done anything."""
        if self._stopping:
            raise Stopping
        if self.waiting >= self._limit:
            raise Full
        loop = asyncio.get_running_loop()
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane()
        lane.queue.append(_Queued(item, loop.time() + self._patience, answer))
        self.waiting += 1
        if lane.turn is None:
            lane.turn = loop.create_task(self._run(key, lane))
        elif lane.gathered is not None and len(lane.queue) >= lane.awaited:
            lane.gather()

    async def stop(self) -> None:
        """Take nothing more and return when everything that waits has its answer."""
        self._stopping = True
        turns = [lane.turn for lane in self._lanes.values() if lane.turn is not None]
        await asyncio.gather(*turns, return_exceptions=True)

    async def _run(self, key: Key, lane: _Lane[Item, Answer]) -> None:
        loop = asyncio.get_running_loop()
        while lane.queue:
            batch = self._next(lane, loop.time())
            if not batch:
                continue
            items, began = [waiting.item for waiting in batch], loop.time()
            try:
                answers = await loop.run_in_executor(self._executor, self._decide, key, items)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer to everybody in the batch
                for waiting in batch:
                    if not waiting.answer.done():
                        waiting.answer.set_exception(error)
            else:
                for waiting, answer in zip(batch, answers, strict=True):
                    if not waiting.answer.done():
                        waiting.answer.set_result(answer)
            await self._gather(loop, lane, len(batch), loop.time() - began)
        del self._lanes[key]

    async def _gather(
        self, loop: asyncio.AbstractEventLoop, lane: _Lane[Item, Answer], awaited: int, took: float
    ) -> None:
        """Wait until as many wait again as were answered, or for a moment in proportion to what that took."""
        await asyncio.sleep(0)
        if awaited == 1 or self._stopping or len(lane.queue) >= awaited:
            return
        lane.awaited, lane.gathered = awaited, loop.create_future()
        timer = loop.call_later(min(took * GATHER_SHARE, GATHER_SECONDS), lane.gather)
        await lane.gathered
        timer.cancel()
        lane.gathered = None

    def _next(self, lane: _Lane[Item, Answer], now: float) -> list[_Queued[Item, Answer]]:
        """Take the next batch: without those who went away, and refusing those who waited too long."""
        batch: list[_Queued[Item, Answer]] = []
        while lane.queue and len(batch) < self._batch:
            waiting = lane.queue.popleft()
            self.waiting -= 1
            if waiting.answer.done():
                continue
            if now >= waiting.until:
                waiting.answer.set_exception(Full())
            else:
                batch.append(waiting)
        return batch


def retry_after(failure: Failure) -> str | None:
    """Return the seconds after which it makes sense to try again, None when it does not."""
    return str(RETRY_AFTER_SECONDS) if isinstance(failure, Unavailable) else None

"""Bodies that do not arrive: told apart from a cancelled request, and cheap for those that do."""

import asyncio

import pytest

from marketplace import rsgi


class Protocol:
    """A request whose body arrives after some seconds."""

    def __init__(self, seconds):
        self.seconds = seconds

    async def __call__(self):
        await asyncio.sleep(self.seconds)
        return b"body"


def test_a_body_that_does_not_arrive_in_time_is_refused_and_the_others_are_read():
    async def run():
        deadlines = rsgi.Deadlines(0.2)
        waits = (30, 0, 0.1, 30)
        asked = [rsgi.read_body(Protocol(one), {"content-length": "4"}, deadlines) for one in waits]
        return await asyncio.gather(*asked, return_exceptions=True)

    slow, now, soon, slower = asyncio.run(run())
    assert (now, soon) == (b"body", b"body")
    assert {type(slow), type(slower)} == {rsgi.TooSlow}


def test_a_request_that_is_cancelled_is_not_too_slow():
    async def run():
        task = asyncio.create_task(rsgi.read_body(Protocol(30), {"content-length": "4"}, rsgi.Deadlines(10)))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())

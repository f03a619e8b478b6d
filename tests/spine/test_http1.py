"""HTTP/1.1 on the loop, over real sockets: order, bounds, and what is no request."""

import asyncio
import contextlib
import re
import socket

import pytest

from marketplace import aio, http1
from marketplace.aio import Answer, Application, Route
from marketplace.http1 import Listener

HOST = b"Host: here\r\n"


class Echo:
    """Answers `POST /echo` with the body, `/later` when told, `/broken` by raising."""

    def __init__(self):
        self.replies = []
        self.asked = []
        routes = [("POST", "/echo", self.echo), ("GET", "/later", self.later), ("GET", "/broken", self.broken)]
        self.take = Application([Route(method, re.compile(path), handler) for method, path, handler in routes]).take

    def echo(self, asked, reply):
        self.asked.append(asked)
        reply.set_result(Answer(200, asked.body))

    def later(self, _asked, reply):
        self.replies.append(reply)

    def broken(self, _asked, _reply):
        raise RuntimeError("broken")


@contextlib.asynccontextmanager
async def connected(address):
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def served(talk, *, limit=4096, echo=None):
    """What `talk(address, listener, echo, stop)` returns, with a listener running."""

    async def run():
        sock = socket.create_server(("127.0.0.1", 0))
        taker, stop = echo or Echo(), asyncio.Event()
        listener = Listener(taker.take, limit=limit)
        serving = asyncio.create_task(listener.serve(sock, stop))
        await asyncio.sleep(0)
        try:
            return await asyncio.wait_for(talk(sock.getsockname(), listener, taker, stop), 10)
        finally:
            stop.set()
            await serving

    return asyncio.run(run())


def said(*parts, **options):
    """What is answered until the connection closes, when `parts` are sent one after the other."""

    async def talk(address, _listener, _echo, _stop):
        async with connected(address) as (reader, writer):
            for part in parts:
                writer.write(part)
                await asyncio.sleep(0.002)
            return await reader.read()

    return served(talk, **options)


def statuses(answer):
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def post(body, *more, path=b"/echo"):
    lines = b"".join(more)
    return b"POST %b HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b" % (path, HOST, lines, len(body), body)


def get(path, *more):
    return b"GET %b HTTP/1.1\r\n%b%b\r\n" % (path, HOST, b"".join(more))


CLOSE = b"Connection: close\r\n"


def test_a_request_is_answered_with_its_length_and_the_date():
    answer = said(post(b"hello", CLOSE))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b"hello"
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert (fields[b"content-length"], fields[b"connection"]) == (b"5", b"close")
    assert fields[b"date"].endswith(b"GMT")
    assert fields[b"x-content-type-options"] == b"nosniff"


def test_requests_sent_at_once_are_answered_in_order():
    async def talk(address, _listener, echo, _stop):
        async with connected(address) as (reader, writer):
            writer.write(get(b"/later") + post(b"second") + post(b"third", CLOSE))
            await asyncio.sleep(0.05)
            assert echo.asked == []
            echo.replies[0].set_result(Answer(200, b"first"))
            return await reader.read()

    answer = served(talk)
    assert [part[-5:] for part in re.split(rb"HTTP/1.1 200 OK", answer)[1:]] == [b"first", b"econd", b"third"]


def test_thousands_of_requests_at_once_are_read_no_further_ahead_than_the_bound():
    async def talk(address, _listener, echo, _stop):
        async with connected(address) as (reader, writer):
            writer.write(get(b"/later") + post(b"x") * 3000 + post(b"y", CLOSE))
            await asyncio.sleep(0.05)
            echo.replies[0].set_result(Answer(200, b"first"))
            return await reader.read()

    assert served(talk).count(b"HTTP/1.1 200 OK") == 3002


def test_bytes_that_come_one_by_one_and_chunks_are_a_request():
    whole = b"POST /echo HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    whole += b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    answer = said(*(whole[place : place + 1] for place in range(len(whole))))
    assert answer.endswith(b"\r\n\r\nabcde")


def test_who_expects_to_be_asked_for_the_body_is_asked():
    answer = said(
        b"POST /echo HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n",
        b"ok",
    )
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


def test_a_path_is_decoded_and_its_query_left_aside():
    echo = Echo()
    said(post(b"", CLOSE, path=b"/%65cho?x=1"), echo=echo)
    said(post(b"", CLOSE, path=b"http://here/echo?x=1"), echo=echo)
    assert [(asked.path, asked.home) for asked in echo.asked] == [("/echo", "http://here")] * 2


def test_the_first_of_several_fields_counts():
    echo = Echo()
    said(post(b"", b"X-Key: a\r\n", b"X-Key: b\r\n", CLOSE), echo=echo)
    assert echo.asked[0].headers["x-key"] == "a"


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, b"bad_request"),
        (b"GET / HTTP/1.1\r\nHost : here\r\n\r\n", 400, b"bad_request"),
        (b"POST /echo HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, b"bad_request"),
        (b"POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, b"bad_request"),
        (b"POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, b"bad_request"),
        (get(b"/", b"Upgrade: websocket\r\nConnection: upgrade\r\n") + get(b"/"), 404, b"not_found"),
        (b"CONNECT here:1 HTTP/1.1\r\nHost: here\r\n\r\n", 404, b"not_found"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, b"bad_request"),
        (get(b"/nowhere", CLOSE), 404, b"not_found"),
        (get(b"/echo", CLOSE), 405, b"method_not_allowed"),
        (get(b"/broken", CLOSE), 500, b"internal"),
        (b"POST /echo HTTP/1.1\r\nContent-Length: 70000\r\n\r\n", 413, b"request_entity_too_large"),
        (get(b"/", b"X: " + b"a" * 20_000 + b"\r\n"), 413, b"request_entity_too_large"),
        (get(b"/" + b"a" * 100_000), 413, b"request_entity_too_large"),
        (get(b"/", b"X: a\r\n" * 9000), 413, b"request_entity_too_large"),
    ],
)
def test_what_is_no_request_or_not_for_this_server_is_told(request_, status, code):
    answer = said(request_)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b'"code":"%b"' % code in answer
    assert statuses(answer) == [status]


def test_a_chunked_body_without_end_is_cut_off():
    head = b"POST /echo HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"4000\r\n" + b"a" * 0x4000 + b"\r\n"
    answer = said(head, *[chunk] * 6)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_the_answer_to_head_has_no_body():
    answer = said(b"HEAD /echo HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert answer.endswith(b"\r\n\r\n")
    assert b"allow: POST" in answer


def test_http_1_0_closes_unless_asked_to_stay():
    assert said(b"POST /echo HTTP/1.0\r\nContent-Length: 1\r\n\r\nx").endswith(b"x")


def test_what_was_read_before_nonsense_is_answered_first():
    answer = said(post(b"good") + b"nonsense\r\n\r\n")
    assert statuses(answer) == [200, 400]


def test_too_many_connections_are_sent_away():
    async def talk(address, _listener, _echo, _stop):
        async with connected(address) as (first, kept), connected(address) as (second, _):
            kept.write(post(b"in"))
            await first.readuntil(b"in")
            refused = await second.read()
            kept.write(post(b"still", CLOSE))
            return refused, await first.read()

    refused, answer = served(talk, limit=1)
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in refused
    assert answer.endswith(b"still")


def test_a_request_that_does_not_arrive_and_an_idle_connection_are_closed(monkeypatch):
    monkeypatch.setattr(http1, "MESSAGE_SECONDS", 0.5)
    monkeypatch.setattr(http1, "IDLE_SECONDS", 0.5)

    async def talk(address, _listener, _echo, _stop):
        async with connected(address) as (slow, writer), connected(address) as (idle, _):
            writer.write(b"POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nab")
            return await slow.read(), await idle.read()

    slow, idle = served(talk)
    assert slow.startswith(b"HTTP/1.1 408 ")
    assert idle == b""


def test_when_it_stops_whoever_asked_is_answered_and_the_idle_are_closed():
    async def talk(address, _listener, echo, stop):
        async with connected(address) as (asking, writer), connected(address) as (idle, _):
            writer.write(get(b"/later"))
            await asyncio.sleep(0.05)
            stop.set()
            assert await idle.read() == b""
            echo.replies[0].set_result(Answer(200, b"last"))
            return await asking.read()

    answer = served(talk)
    assert b"connection: close" in answer
    assert answer.endswith(b"last")


def test_an_answer_for_somebody_who_went_away_is_dropped():
    async def talk(address, listener, echo, _stop):
        async with connected(address) as (_, writer):
            writer.write(get(b"/later"))
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.05)
        assert not listener.connections
        done = echo.replies[0].done()
        echo.replies[0].set_result(Answer(200, b"nobody"))
        return done

    assert served(talk) is True


def test_a_reader_that_does_not_read_is_not_served_without_end():
    async def talk(address, _listener, echo, _stop):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, address)
        sending = asyncio.create_task(loop.sock_sendall(sock, post(b"a" * 60_000) * 400))
        await asyncio.sleep(0.5)
        served_ = len(echo.asked)
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
        sock.close()
        return served_

    assert served(talk) < 200


@pytest.mark.parametrize("requests", [1, 8])
def test_who_never_reads_its_answers_keeps_no_place(monkeypatch, requests):
    """Neither one that still has requests waiting, nor one whose last answer does not leave."""
    monkeypatch.setattr(http1, "IDLE_SECONDS", 0.5)
    monkeypatch.setattr(http1, "SEND_SECONDS", 0.5)
    big = Answer(200, b"a" * 8_000_000)

    async def talk(address, listener, echo, _stop):
        async with connected(address) as (reader, writer):
            reader._transport.pause_reading()
            writer.write(get(b"/later") * requests)
            await asyncio.sleep(0.05)
            echo.replies[0].set_result(big)
            await asyncio.sleep(0.05)
            assert len(listener.connections) == 1
            await asyncio.sleep(4)
            return len(listener.connections)

    assert served(talk) == 0


def test_a_reply_is_given_once():
    given = []
    reply = aio.Reply(given.append, "/x")
    reply.set_exception(aio.NoRoute())
    reply.set_result(Answer(200, b"again"))
    assert [answer.status for answer in given] == [404]
    assert b'"instance":"/x"' in given[0].body

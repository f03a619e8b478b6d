"""Processes that share a port: each answers, a killed one is replaced, all end together."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from marketplace import crew

SERVER = """
import os, socket, sys
from marketplace import crew

def work(sock):
    while True:
        connection, _ = sock.accept()
        connection.recv(1000)
        body = str(os.getpid()).encode()
        connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + body)
        connection.close()

crew.Crew(work, crew.listen("127.0.0.1", int(sys.argv[1]), 2)).run()
"""


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


@pytest.fixture
def server(port):
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], stderr=subprocess.DEVNULL)
    yield process
    process.kill()
    process.wait(10)


def who(port, *, until):
    """The processes that answer, asked until `until(them)`."""
    found = set()
    for _ in range(400):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
                found.add(int(answer.read()))
        except OSError:
            time.sleep(0.05)
        if until(found):
            return found
    raise AssertionError(found)


def test_two_answer_a_killed_one_is_replaced_and_all_end_together(server, port):
    two = who(port, until=lambda found: len(found) == 2)
    assert server.pid not in two
    killed = min(two)
    os.kill(killed, signal.SIGKILL)
    three = who(port, until=lambda found: len(found - two) == 1)
    server.terminate()
    assert server.wait(10) == 0
    for process in two | three:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_when_the_first_process_is_killed_the_others_end(server, port):
    two = who(port, until=lambda found: len(found) == 2)
    server.kill()
    server.wait(10)
    deadline = time.monotonic() + 10
    while any(_lives(process) for process in two):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _lives(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_port_that_somebody_has_is_refused():
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken, pytest.raises(OSError, match="in use"):
        crew.listen("127.0.0.1", taken.getsockname()[1], 2)

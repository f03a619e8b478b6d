"""Two launchers of one machine never share a port, whether or not the web server of either listens yet."""

import socket
import sys

from marketplace import launch
from marketplace.launch import take_port


def test_a_port_taken_by_a_launcher_is_not_given_to_another_before_its_server_listens():
    first, hold = take_port(8460)
    second, other = take_port(8460)
    assert second > first
    hold.close()
    again, hold = take_port(8460)
    assert again == first
    hold.close()
    other.close()


def test_a_port_stays_taken_while_a_server_of_its_launcher_lives(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "VAR", tmp_path)
    port, hold = launch.take_port(8660)
    server = launch.Child("server", [sys.executable, "-c", "import time; time.sleep(60)"], {}, holds=(hold.fileno(),))
    server.start()
    hold.close()
    other, passed_over = launch.take_port(port)
    server.process.kill()
    server.process.wait(20)
    again, free = launch.take_port(port)
    passed_over.close()
    free.close()
    assert (other > port, again) == (True, port)


def test_a_port_on_which_something_listens_is_passed_over():
    port, hold = take_port(8560)
    hold.close()
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        found, hold = take_port(port)
        hold.close()
    assert found > port

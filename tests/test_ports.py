"""Ports for the servers that tests start."""

import socket

import pytest

from benchmarks import ports
from tests.ports import free_port, free_ports


def test_ports_differ_and_are_free() -> None:
    """Each can be listened on, all of them at once."""
    found = free_ports(20)
    assert len(set(found)) == 20
    for port in found:
        socket.create_server(("127.0.0.1", port)).close()


def test_no_server_that_asks_for_any_port_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """They lie below those that the system gives to connections and to other servers."""
    monkeypatch.setattr(ports, "_end", lambda: 20_100)
    assert all(20_000 <= port < 20_100 for port in free_ports(10))


def test_where_the_system_gives_away_all_any_port_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port of the system's choice is better than none."""
    monkeypatch.setattr(ports, "_end", lambda: 1024)
    assert free_port() > 0

"""Waiting for sockets."""

import contextlib
import select
import socket
from collections.abc import Iterator

import pytest

from roboto_dagster.fs.curl.poller import READ, WRITE, EpollPoller, Poller, SelectorPoller


@pytest.fixture(params=["epoll", "selectors"])
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    """Each kind of poller in turn."""
    if request.param == "epoll" and not hasattr(select, "epoll"):
        pytest.skip("Linux's alone")
    with contextlib.closing(
        EpollPoller() if request.param == "epoll" else SelectorPoller()
    ) as each:
        yield each


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two sockets, connected; the first has something to read."""
    near, far = socket.socketpair()
    far.send(b"x")
    with near, far:
        yield near, far


def test_a_socket_is_reported_for_what_it_is_watched_for(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    """Also when that changes."""
    fd = pair[0].fileno()
    poller.watch(fd, READ)
    assert poller.wait(1.0) == [(fd, READ)]
    poller.watch(fd, WRITE)
    assert poller.wait(1.0) == [(fd, WRITE)]


def test_a_forgotten_socket_ends_no_wait(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    """What comes on it is not what libcurl waits for."""
    poller.watch(pair[0].fileno(), READ)
    poller.forget(pair[0].fileno())
    assert poller.wait(0.01) == []


def test_a_socket_that_was_forgotten_is_watched_again(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    """As libcurl does with a connection that is used again."""
    fd = pair[0].fileno()
    poller.watch(fd, READ)
    poller.forget(fd)
    poller.watch(fd, READ)
    assert poller.wait(1.0) == [(fd, READ)]


def test_another_socket_of_the_same_number_is_watched(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    """A closed socket's number is given to the next one."""
    old = pair[1].dup()
    fd = old.fileno()
    poller.watch(fd, READ)
    poller.forget(fd)
    old.close()
    new = pair[0].dup()
    assert new.fileno() == fd
    with new:
        poller.watch(fd, READ)
        assert poller.wait(1.0) == [(fd, READ)]

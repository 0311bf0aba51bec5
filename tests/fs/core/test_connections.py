"""How the loops of a store share its connections, and how callers wait."""

import threading

from roboto_dagster.fs.admission import AdmissionLimit
from roboto_dagster.fs.core.connections import Connections
from roboto_dagster.fs.core.throttle import Throttle


def test_a_loop_alone_at_work_has_all_connections() -> None:
    """What the other leaves may be used."""
    connections = Connections(Throttle(10), 2)
    assert connections.room(0) == 10


def test_a_loop_that_wants_its_share_gets_it() -> None:
    """The other starts nothing new until there is room for both."""
    connections = Connections(Throttle(10), 2)
    connections.use(0, 10)
    connections.want(1, more=True)
    assert (connections.room(0), connections.room(1)) == (5, 0)
    connections.use(0, 7)
    assert connections.room(1) == 3


def test_the_loops_never_have_more_than_the_bound() -> None:
    """Whoever starts first, the sum holds."""
    connections = Connections(Throttle(9), 2)
    used = [0, 0]
    for turn in range(40):
        loop = turn % 2
        connections.want(loop, more=True)
        if used[loop] < connections.room(loop):
            used[loop] += 1
            connections.use(loop, used[loop])
    assert sum(used) <= 9
    assert min(used) >= 4


def test_with_fewer_connections_than_loops_nobody_waits_for_ever() -> None:
    """After many refusals by the store, each loop still has one."""
    throttle = Throttle(8)
    throttle.shrink_to(1)
    connections = Connections(throttle, 2)
    connections.want(0, more=True)
    connections.want(1, more=True)
    assert (connections.room(0), connections.room(1)) == (1, 1)


def test_the_gate_opens_when_enough_have_left() -> None:
    """Callers wait while it is full, and go on when a quarter has left."""
    gate = AdmissionLimit(4)
    for _ in range(4):
        gate.acquire()
    caller = threading.Thread(target=gate.acquire)
    caller.start()
    gate.release(1)
    caller.join(60)
    assert not caller.is_alive()

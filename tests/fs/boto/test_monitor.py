"""The lock of the boto3 driver."""

import threading

from roboto_dagster.fs.boto.monitor import Monitor


def test_what_is_put_in_runs_at_once_where_nobody_holds_it() -> None:
    """A call to a free monitor is done when it returns."""
    ran: list[str] = []
    Monitor().call(lambda: ran.append("now"))
    assert ran == ["now"]


def test_what_is_put_in_under_it_runs_before_it_is_free() -> None:
    """Its holder does not wait for itself, and leaves nothing behind."""
    monitor, ran = Monitor(), list[str]()
    with monitor:
        monitor.call(lambda: ran.append("later"))
        assert ran == []
    assert ran == ["later"]


def test_nobody_waits_for_a_holder() -> None:
    """A call returns while another thread holds the monitor, which runs it on leaving."""
    monitor, ran = Monitor(), list[str]()
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with monitor:
            held.set()
            go_on.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(30)
    monitor.call(lambda: ran.append("left to the holder"))
    assert ran == []
    go_on.set()
    holder.join(30)
    assert ran == ["left to the holder"]


def test_nothing_that_is_put_in_is_lost() -> None:
    """Calls from many threads all run, one at a time."""
    monitor, counted, inside = Monitor(), [0], [0]

    def count() -> None:
        inside[0] += 1
        assert inside[0] == 1
        counted[0] += 1
        inside[0] -= 1

    def put_in() -> None:
        for _ in range(500):
            monitor.call(count)
            with monitor:
                count()

    threads = [threading.Thread(target=put_in) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert counted == [4000]

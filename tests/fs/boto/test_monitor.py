"""The lock of the boto3 driver's threads, and its door."""

import threading

from roboto_dagster.fs.boto.monitor import Monitor


def test_a_caller_wakes_somebody_and_goes_on() -> None:
    """What is put in is not run by who puts it in."""
    ran: list[str] = []
    woken: list[str] = []
    monitor = Monitor(lambda: woken.append("woken"))
    monitor.call(lambda: ran.append("ran"))
    assert (woken, ran) == (["woken"], [])


def test_a_holder_runs_what_was_put_in_before_its_own() -> None:
    """On entering."""
    ran: list[str] = []
    monitor = Monitor(lambda: None)
    monitor.call(lambda: ran.append("put in"))
    with monitor:
        ran.append("its own")
    assert ran == ["put in", "its own"]


def test_a_holder_runs_what_it_put_in_itself_when_it_leaves() -> None:
    """It never waits for itself."""
    ran: list[str] = []
    monitor = Monitor(lambda: None)
    with monitor:
        monitor.call(lambda: ran.append("put in"))
        ran.append("its own")
    assert ran == ["its own", "put in"]


def test_nobody_waits_for_a_holder() -> None:
    """A call returns while another thread holds the monitor, which runs it on leaving."""
    monitor, ran = Monitor(lambda: None), list[str]()
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with monitor:
            held.set()
            go_on.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(60)
    monitor.call(lambda: ran.append("left to the holder"))
    assert ran == []
    go_on.set()
    holder.join(60)
    assert ran == ["left to the holder"]


def test_what_is_put_in_runs_one_at_a_time() -> None:
    """Calls from many threads all run, none beside another."""
    counted, inside = [0], [0]
    monitor = Monitor(lambda: None)

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
        thread.join(60)
    assert counted == [4000]

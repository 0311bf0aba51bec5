"""The bound on bytes per second, by a clock that is set by hand."""

import pytest

from roboto_dagster.fs.core.bandwidth import Bandwidth

MIB = 1024 * 1024


def test_bytes_come_at_the_rate_whatever_the_chunks() -> None:
    """However large what is read at once, the sum follows the bound."""
    bandwidth, now, received = Bandwidth(10 * MIB), 100.0, 0
    for chunk in (1 * MIB, 64, 5 * MIB, 128 * 1024) * 25:
        now += bandwidth.pause_seconds(now)
        bandwidth.take(chunk)
        received += chunk
    assert received / (now - 100.0) == pytest.approx(10 * MIB, rel=0.05)


def test_idle_time_is_not_saved_up() -> None:
    """After an hour without a byte, no more than a moment's worth comes at once."""
    bandwidth = Bandwidth(10 * MIB)
    bandwidth.pause_seconds(0.0)
    assert bandwidth.pause_seconds(3600.0) == 0.0
    bandwidth.take(2 * MIB)
    assert bandwidth.pause_seconds(3600.0) == pytest.approx(0.1)


@pytest.mark.parametrize(("mib_per_second", "connections"), [(0.1, 1), (1, 4), (100, 400)])
def test_few_connections_share_little(mib_per_second: float, connections: int) -> None:
    """So that none of them seems to hang."""
    assert Bandwidth(mib_per_second * MIB).connections == connections

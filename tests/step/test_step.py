"""Partitions side by side in one step: order, failures beside each other, interrupts, bounds."""

import contextlib
import os
import pathlib
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from roboto_dagster import ConfigurationError, RobotoResource, build_roboto_dataset_asset
from roboto_dagster.testing import LocalRoboto, faults
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.conftest import Materializer


@pytest.fixture
def keys(local: LocalRoboto) -> list[str]:
    """Eight datasets of one file."""
    found = []
    for number in range(8):
        found.append(local.add_dataset(f"flight {number}"))
        local.add_file(found[-1], "x.csv", f"{number}".encode())
    return found


def materialized(materialize: "Materializer", result: dg.ExecuteInProcessResult) -> list[Any]:
    """Return the partitions that a run has materialized, in order."""
    return [partition for partition, _ in materialize.materializations(result)]


def test_events_come_in_the_order_of_the_keys(
    materialize: "Materializer", local: LocalRoboto, keys: list[str]
) -> None:
    """Though the first partition is the last to be complete."""
    others = threading.Semaphore(0)

    def wait_for_the_others() -> None:
        for _ in keys[1:]:
            assert others.acquire(timeout=60)

    local.faults.add(faults.call(wait_for_the_others), key=f"*{keys[0]}/*")
    for key in keys[1:]:
        local.faults.add(faults.call(others.release), key=f"*{key}/*")
    result = materialize(materialize.range_asset(keys), partition_range=(keys[0], keys[-1]))
    assert (result.success, materialized(materialize, result)) == (True, keys)


@pytest.mark.parametrize("limit", [1, 3, 32])
def test_every_limit_delivers_the_same(
    materialize: "Materializer", keys: list[str], limit: int
) -> None:
    """Files, events and metadata do not depend on how many partitions are under way."""
    asset = materialize.range_asset(keys, max_concurrent_partitions=limit)
    result = materialize(asset, partition_range=(keys[0], keys[-1]))
    found = materialize.materializations(result)
    assert [(key, each["roboto/files_fetched"]) for key, each in found] == [
        (key, 1) for key in keys
    ]
    assert all((materialize.destination / key / "x.csv").exists() for key in keys)


def test_a_broken_and_a_throttled_partition_hold_back_no_other(
    materialize: "Materializer", local: LocalRoboto, keys: list[str]
) -> None:
    """One is not complete, one comes late, one is unknown to the platform; all others are materialized."""
    local.remove_object(keys[1], "x.csv")
    local.faults.add(faults.status(503, "SlowDown"), key=f"*{keys[2]}/*", times=2)
    local.faults.add(faults.status(404), route=f"/v1/datasets/{keys[3]}*")
    local.faults.add(faults.status(403), route=f"*{keys[4]}/credentials")
    asset = materialize.range_asset(keys)
    result = materialize(asset, partition_range=(keys[0], keys[-1]))
    assert materialized(materialize, result) == [keys[0], keys[2], *keys[5:]]
    failed = [each.partition for each in materialize.observations(result)]
    assert failed == [keys[1], keys[3], keys[4]]
    (event,) = result.get_step_failure_events()
    failure = event.event_specific_data.user_failure_data  # type: ignore[union-attr]  # a step failure's
    assert str(failure.description).startswith("3 of 8 partitions are not complete")  # type: ignore[union-attr]


def test_an_interrupt_leaves_what_is_complete(
    materialize: "Materializer", local: LocalRoboto, keys: list[str]
) -> None:
    """Those partitions are materialized, nothing goes on, and no thread is left."""
    rest = keys[3:]
    release = threading.Event()
    manifests = [
        materialize.destination / ".roboto" / "logs" / f"{key}.parquet" for key in keys[:3]
    ]

    def interrupt() -> None:
        wait_until(lambda: all(path.exists() for path in manifests))
        os.kill(os.getpid(), signal.SIGINT)
        threading.Timer(1.0, release.set).start()

    waiting = threading.Barrier(len(rest), action=interrupt)

    def hang() -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            waiting.wait(60)
        release.wait(60)

    for key in rest:
        local.faults.add(faults.call(hang), key=f"*{key}/*")
    asset = materialize.range_asset(keys)
    result = materialize(asset, partition_range=(keys[0], keys[-1]))
    release.set()
    (event,) = result.get_step_failure_events()
    assert "Interrupt" in event.event_specific_data.error.to_string()  # type: ignore[union-attr]
    records = materialize.instance.fetch_materializations(asset.key, limit=100).records
    assert {str(record.partition_key) for record in records} >= set(keys[:3])
    for record in records:
        assert (materialize.destination / str(record.partition_key) / "x.csv").exists()
    assert not [each for each in threading.enumerate() if each.name.startswith("roboto-partition")]
    local.faults.clear()
    after = materialize(asset, partition_range=(keys[0], keys[-1]))
    assert after.success


def test_an_interrupt_ends_waits_for_the_platform(
    materialize: "Materializer", local: LocalRoboto, keys: list[str]
) -> None:
    """A partition that was asked to come back in twenty seconds holds the end of the run up no more than others do."""
    throttle = faults.answer(b"{}", status=429, headers={"Retry-After": "20"})
    local.faults.add(throttle, route=f"*/{keys[0]}/files/query", times=1)
    others = [materialize.destination / ".roboto" / "logs" / f"{key}.parquet" for key in keys[1:]]
    interrupted: list[float] = []

    def interrupt() -> None:
        wait_until(lambda: all(path.exists() for path in others))
        interrupted.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    roboto = RobotoResource(api_key=local.api_key, endpoint=local.api_url, max_attempts=3)
    asset, ends = materialize.range_asset(keys), (keys[0], keys[-1])
    result = materialize(asset, partition_range=ends, roboto=roboto)
    thread.join()
    assert time.monotonic() - interrupted[0] < 10
    assert (result.success, materialized(materialize, result)) == (False, keys[1:])


def test_a_range_without_a_partition_fails(materialize: "Materializer", keys: list[str]) -> None:
    """One whose end comes before its start; Dagster would record a success of nothing."""
    asset = materialize.range_asset(keys)
    result = materialize(asset, partition_range=(keys[2], keys[0]))
    assert (result.success, materialized(materialize, result)) == (False, [])
    (event,) = result.get_step_failure_events()
    assert "start comes before its end" in event.event_specific_data.error.to_string()  # type: ignore[union-attr]


@pytest.mark.parametrize("limit", [0, 33, -1, True, "4", 2.0, None])
def test_a_limit_that_cannot_be_is_refused(tmp_path: pathlib.Path, limit: Any) -> None:
    """When the asset is defined."""
    with pytest.raises(ConfigurationError, match=r"max_concurrent_partitions must be .* 1 to 32"):
        build_roboto_dataset_asset(
            "logs", destination=tmp_path, dataset_id="ds_a", max_concurrent_partitions=limit
        )


def test_partitions_overlap(
    materialize: "Materializer", local: LocalRoboto, keys: list[str]
) -> None:
    """All eight are listed at once: each listing waits for the others."""
    together = threading.Barrier(len(keys))
    local.faults.add(
        faults.call(lambda: together.wait(60) and None), route="*/files/query", times=len(keys)
    )
    started = time.monotonic()
    result = materialize(materialize.range_asset(keys), partition_range=(keys[0], keys[-1]))
    assert result.success
    assert time.monotonic() - started < 30


def test_many_failures_take_little_memory() -> None:
    """Beyond a hundred partitions the failure keeps counts, not files."""
    from roboto_dagster.step.failed_partitions import FailedPartitions
    from roboto_dagster.sync.report import SyncReport
    from tests.reports import failure, report

    class Context:
        """Takes events."""

        def log_event(self, event: Any) -> None:
            """Take an event."""

    failed: Any = FailedPartitions(Context(), dg.AssetKey("logs"), lambda: None)  # type: ignore[arg-type]  # nothing more is needed
    for number in range(150):
        failed.add(str(number), report([failure(number)]))
    kept = [each for each in failed.outcomes.values() if isinstance(each, SyncReport)]
    assert [bool(each.failures) for each in kept] == [True] * 100 + [False] * 50
    assert sum(each.files_failed for each in kept) == 150

"""Steps of many partitions: every event once, and few partitions that are not recorded yet."""

import contextlib
import dataclasses
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from roboto_dagster.outcomes import Outcome
from roboto_dagster.step.cycles import Cycles
from roboto_dagster.step.failed_partitions import FailedPartitions
from roboto_dagster.step.recording import Recorder
from roboto_dagster.step.step import LogOf, Step, StepAsset
from roboto_dagster.step.unchanged import OnUnchanged
from roboto_dagster.sync.collector import rare_garbage_collection
from roboto_dagster.sync.report import SyncReport
from tests.reports import report

pytestmark = pytest.mark.slow

KEYS = [f"ds_{number:04}" for number in range(150)]


class Work:
    """Reports every partition as complete at once."""

    def __init__(self) -> None:
        self.context: Any = None

    def outcomes(self, partition_key: str | None, log_of: LogOf) -> Iterator[Any]:
        """Yield a report, which nothing has changed."""
        found: Outcome = report(
            dataset_ids=[str(partition_key)], files_fetched=0, files_removed=0, data_version="1"
        )
        log_of(self.context.asset_key)(10, "done")
        yield self.context.asset_key, found

    @contextlib.contextmanager
    def sharing(self) -> Iterator[None]:
        """Share nothing."""
        yield

    def cancel(self) -> None:
        """Do nothing."""


def run(
    work: Work, instance: dg.DagsterInstance, limit: int, on_unchanged: OnUnchanged = "materialize"
) -> dg.ExecuteInProcessResult:
    """Materialize all partitions in one step."""

    @dg.asset(
        code_version="1",
        partitions_def=dg.StaticPartitionsDefinition(KEYS),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def logs(context: dg.AssetExecutionContext) -> Any:
        work.context = context
        asset = StepAsset(
            context.asset_key,
            Recorder(context, context.asset_key, on_unchanged, is_range=True),
            FailedPartitions(context, context.asset_key, lambda: None),
        )
        yield from Step(context, [asset], work, limit).materialize(context.partition_keys)

    tags = {
        "dagster/asset_partition_range_start": KEYS[0],
        "dagster/asset_partition_range_end": KEYS[-1],
    }
    return dg.materialize([logs], instance=instance, tags=tags)


def test_each_partition_has_one_event() -> None:
    """In order, however many there are."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(Work(), instance, 4)
    found = [each.partition for each in result.get_asset_materialization_events()]
    assert (result.success, found) == (True, KEYS)


def test_what_is_observed_at_the_end_is_observed_once() -> None:
    """Observations wait until the step succeeds; then they come in order, with all of their metadata."""
    with dg.DagsterInstance.ephemeral() as instance:
        first = run(Work(), instance, 4)
        second = run(Work(), instance, 4, "observe")
    assert (second.success, second.get_asset_materialization_events()) == (True, [])
    found = [
        each.asset_observation_data.asset_observation
        for each in second.get_asset_observation_events()
    ]
    assert [each.partition for each in found] == KEYS
    materialized = first.get_asset_materialization_events()[0].materialization
    assert found[0].metadata == materialized.metadata
    keys = zip(found[0].metadata, found[1].metadata, strict=True)
    assert [one for one, other in keys if one is not other] == []


class WatchedReport(SyncReport):
    """A report whose end can be watched."""

    __slots__ = ("__weakref__",)


def test_no_report_outlives_its_event() -> None:
    """What a step keeps of a partition until its end are Dagster's events alone."""
    reports: list[weakref.ref[Any]] = []
    alive: list[int] = []

    class WatchedWork(Work):
        def outcomes(self, partition_key: str | None, log_of: LogOf) -> Iterator[Any]:
            if partition_key == KEYS[-1]:
                gc.collect()  # the traceback of Dagster's last insertion that failed refers to them
                alive.append(sum(each() is not None for each in reports))
            for key, outcome in super().outcomes(partition_key, log_of):
                values = {
                    each.name: getattr(outcome, each.name) for each in dataclasses.fields(outcome)
                }
                watched = WatchedReport(**values)
                reports.append(weakref.ref(watched))
                yield key, watched

    with dg.DagsterInstance.ephemeral() as instance:
        run(WatchedWork(), instance, 1)
    assert alive[0] < 10  # those that are under way


def test_events_of_a_step_share_what_is_equal() -> None:
    """Keys and numbers of thousands of partitions are there once: Dagster keeps their events until the step ends."""
    with dg.DagsterInstance.ephemeral() as instance:
        events = run(Work(), instance, 4).get_asset_materialization_events()
    first, second = (each.materialization.metadata for each in events[:2])
    keys = zip(first, second, strict=True)
    assert [one for one, other in keys if one is not other] == []
    number = "roboto/files_unchanged"
    assert first[number] is second[number]


def test_cycles_are_freed_while_syncs_overlap() -> None:
    """A sync that sets older objects aside would keep the cycles of the partitions before it, did the step not do so first."""
    cycles: list[weakref.ref[Any]] = []
    alive: list[int] = []

    class OverlappingWork(Work):
        syncs = contextlib.ExitStack()

        def outcomes(self, partition_key: str | None, log_of: LogOf) -> Iterator[Any]:
            cycle = Work()
            cycle.context = cycle
            cycles.append(weakref.ref(cycle))
            if partition_key == KEYS[50]:
                self.syncs.enter_context(rare_garbage_collection())
            if partition_key == KEYS[120]:
                alive.append(sum(each() is not None for each in cycles[:50]))
                self.syncs.close()
            yield from super().outcomes(partition_key, log_of)

    gc.disable()  # what Python collects by itself depends on all that was made before
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            run(OverlappingWork(), instance, 1)
    finally:
        gc.enable()
    assert alive == [0]


@pytest.mark.parametrize("on_unchanged", ["materialize", "observe"])
def test_a_collection_looks_only_at_what_is_new(on_unchanged: OnUnchanged) -> None:
    """Also while observations are recorded at the end: all that Dagster has loaded would take far longer."""
    has_set_aside: list[bool] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if (phase, info["generation"]) == ("start", 2):
            has_set_aside.append(gc.get_freeze_count() > 0)

    gc.disable()  # only what the step collects counts
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            run(Work(), instance, 1)
            gc.callbacks.append(note)
            run(Work(), instance, 1, on_unchanged)
    finally:
        gc.callbacks.remove(note)
        gc.enable()
    assert has_set_aside == [True] * (2 if on_unchanged == "observe" else 1)


def test_cycles_are_collected_now_and_then() -> None:
    """Once every hundred partitions: each partition leaves some in Dagster's storage."""
    garbage = Work()
    garbage.context, found = garbage, weakref.ref(garbage)
    del garbage
    cycles = Cycles()
    for _ in range(100):
        cycles.after_partition()
    assert found() is None

"""One step of dataset assets: their partitions are synced side by side, and each has its own outcome.

```
keys ─► sync each ─┬─ complete ──► recorded in the order of the keys (`recording`)
                   └─ not ───────► observed, in the same order
                                        all complete ──► the results
                                        some are not ──► evaluations of the run's checks, then one dagster.Failure
```
"""

import contextlib
import dataclasses
import functools
from collections.abc import Iterable, Sequence

import dagster as dg

from roboto_dagster.outcomes import Outcome, Unit, is_complete, run_error, run_failure
from roboto_dagster.step.failed_partitions import FailedPartitions
from roboto_dagster.step.partition_sync import (
    PartitionSync,
    sharing_engine,
    sync_cancellable,
    sync_together,
)
from roboto_dagster.step.recording import Recorder, Results
from roboto_dagster.step.run_lines import RunLines
from roboto_dagster.step.run_log import Lines, RunLog, log_outcome
from roboto_dagster.step.side_by_side import SideBySide


@dataclasses.dataclass(frozen=True, slots=True)
class StepAsset:
    """One asset of a step, and how its outcomes are recorded.

    Attributes:
        sync: Delivers its partitions.
        recorder: Records those that are complete.
        failed: Records the others.
    """

    sync: PartitionSync
    recorder: Recorder
    failed: FailedPartitions

    @property
    def name(self) -> str:
        """Its key as a text."""
        return self.sync.asset_key.to_user_string()

    def record(self, key: str | None, outcome: Outcome) -> None:
        """Record the outcome of a partition.

        Args:
            key: The partition; None where there are none.
            outcome: Of its sync.
        """
        if is_complete(outcome):
            self.failed.has_reports = True
            self.recorder.add(key, outcome)
        else:
            self.failed.add(key, outcome)


class Step:
    """One run of the op: any number of partitions of one or several assets, each with its own outcome.

    Args:
        context: Of the op.
        assets: The assets.
        limit: How many partitions are synced side by side, at most.
    """

    def __init__(
        self, context: dg.AssetExecutionContext, assets: Sequence[StepAsset], limit: int
    ) -> None:
        self._context = context
        self._limit = limit
        self._assets = {each.sync.asset_key: each for each in assets}
        self._has_several = len(assets) > 1

    def materialize(self, partition_keys: Sequence[str | None]) -> Results:
        """Sync every partition, and record the outcome of each in Dagster.

        Args:
            partition_keys: The partitions; the key None where there are none.

        Yields:
            The results of the step.

        Raises:
            dagster.Failure: A partition is not complete; those that are have been materialized.
        """
        try:
            if min(len(partition_keys), self._limit) > 1:
                self._sync_side_by_side(partition_keys)
            else:
                self._sync_in_turn(partition_keys)
            if not self._failed():
                for asset in self._assets.values():
                    yield from asset.recorder.succeed()
                return
        except BaseException:  # an interrupt: what is complete by now stays materialized
            self._record_complete()
            raise
        self._record_complete()
        for asset in self._assets.values():
            asset.failed.evaluate_checks()
        total = len(partition_keys) * len(self._assets)
        raise run_failure(self._failed(), total) from run_error(self._failed().values())

    def _sync_in_turn(self, partition_keys: Sequence[str | None]) -> None:
        """Sync in the step's own thread, which an interrupt reaches wherever it is."""
        is_range = len(partition_keys) > 1
        is_one = not (self._has_several or is_range)
        with contextlib.nullcontext() if is_one else sharing_engine(self._syncs):
            for key in partition_keys:
                log_of = functools.partial(self._log, self._context.log, key, is_range=is_range)
                for sync, outcome in sync_together(self._syncs, key, log_of):
                    self._assets[sync.asset_key].record(key, outcome)
                    log_outcome(log_of(sync), key, outcome, is_one=is_one)

    def _sync_side_by_side(self, partition_keys: Sequence[str | None]) -> None:
        """Sync in several threads; all that is recorded, logged or raised is by the step's own."""
        lines = RunLines(self._context.log, len(partition_keys))
        log_of = functools.partial(self._log, lines, is_range=True)
        work = functools.partial(sync_cancellable, self._syncs, log_of=log_of)
        results = SideBySide(
            partition_keys, work, self._limit, on_cancel=self._cancel, on_idle=lines.write
        )
        try:
            with sharing_engine(self._syncs), results:
                for key, outcomes in results:
                    self._record(key, outcomes, lines)
        except BaseException:
            for key, outcomes in results.finished():
                self._record(key, [each for each in outcomes if is_complete(each[1])], lines)
            raise

    def _record(
        self, key: str | None, outcomes: Iterable[tuple[PartitionSync, Outcome]], lines: RunLines
    ) -> None:
        for sync, outcome in outcomes:
            self._assets[sync.asset_key].record(key, outcome)
            log_outcome(self._log(lines, key, sync, is_range=True), key, outcome, is_one=False)
            lines.count(is_complete=is_complete(outcome))
        lines.write()

    def _cancel(self) -> None:
        for sync in self._syncs:
            sync.cancellation.cancel()

    @property
    def _syncs(self) -> list[PartitionSync]:
        return [each.sync for each in self._assets.values()]

    def _failed(self) -> dict[Unit, Outcome]:
        return {
            Unit(key, asset.name if self._has_several else None): outcome
            for asset in self._assets.values()
            for key, outcome in asset.failed.outcomes.items()
        }

    def _log(self, lines: Lines, key: str | None, sync: PartitionSync, *, is_range: bool) -> RunLog:
        name = self._assets[sync.asset_key].name if self._has_several else None
        return RunLog(lines, name, key if is_range else None)

    def _record_complete(self) -> None:
        for asset in self._assets.values():
            asset.recorder.fail()

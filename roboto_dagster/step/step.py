"""One step: the partitions of its assets are worked on side by side, and each has its own outcome.

```
keys ─► work on each ─┬─ complete ──► recorded in the order of the keys (`recording`)
                      └─ not ───────► observed, in the same order
                                           all complete ──► the results
                                           some are not ──► evaluations of the run's checks, then one dagster.Failure
```

What is done for a partition is up to a `Work`: datasets are synced (`partition_sync`), or logs are decoded.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import dagster as dg

from roboto_dagster.outcomes import Outcome, Unit, is_complete, run_error, run_failure
from roboto_dagster.step.cycles import Cycles
from roboto_dagster.step.failed_partitions import FailedPartitions
from roboto_dagster.step.recording import Recorder, Results
from roboto_dagster.step.run_lines import RunLines
from roboto_dagster.step.run_log import Lines, RunLog, log_outcome
from roboto_dagster.step.side_by_side import SideBySide
from roboto_dagster.sync.collector import rare_garbage_collection

LogOf = Callable[[dg.AssetKey], RunLog]
"""Returns where the lines of an asset go."""


class Work(Protocol):
    """What a step does for each of its partitions, for all of its assets."""

    def outcomes(
        self, partition_key: str | None, log_of: LogOf
    ) -> Iterator[tuple[dg.AssetKey, Outcome]]:
        """Do it for one partition, in the step's own thread or in another one.

        Args:
            partition_key: The partition; None where there are none.
            log_of: Returns where the lines of an asset go.

        Yields:
            The outcome of each asset, as soon as it is known; of those that were reached before it was cancelled.
        """

    def sharing(self) -> contextlib.AbstractContextManager[None]:
        """Return what is entered while several partitions are worked on, for what these share."""

    def cancel(self) -> None:
        """Ask what is under way in other threads to stop."""


@dataclasses.dataclass(frozen=True, slots=True)
class StepAsset:
    """One asset of a step, and how its outcomes are recorded.

    Attributes:
        asset_key: Its key.
        recorder: Records those that are complete.
        failed: Records the others.
    """

    asset_key: dg.AssetKey
    recorder: Recorder
    failed: FailedPartitions

    @property
    def name(self) -> str:
        """Its key as a text."""
        return self.asset_key.to_user_string()

    def record(self, key: str | None, outcome: Outcome) -> None:
        """Record the outcome of a partition.

        Args:
            key: The partition; None where there are none.
            outcome: Its outcome.
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
        work: What is done for each partition.
        limit: How many partitions are worked on side by side, at most.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        assets: Sequence[StepAsset],
        work: Work,
        limit: int,
    ) -> None:
        self._context = context
        self._work = work
        self._limit = limit
        self._assets = {each.asset_key: each for each in assets}
        self._has_several = len(assets) > 1
        self._cycles = Cycles()

    def materialize(self, partition_keys: Sequence[str | None]) -> Results:
        """Work on every partition, and record the outcome of each in Dagster.

        Args:
            partition_keys: The partitions; the key None where there are none.

        Yields:
            The results of the step.

        Raises:
            dagster.Failure: A partition is not complete; those that are have been materialized.
        """
        try:
            with rare_garbage_collection():
                self._work_on(partition_keys)
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

    def _work_on(self, partition_keys: Sequence[str | None]) -> None:
        if min(len(partition_keys), self._limit) > 1:
            self._work_side_by_side(partition_keys)
        else:
            self._work_in_turn(partition_keys)

    def _work_in_turn(self, partition_keys: Sequence[str | None]) -> None:
        """Work in the step's own thread, which an interrupt reaches wherever it is."""
        is_range = len(partition_keys) > 1
        is_one = not (self._has_several or is_range)
        with contextlib.nullcontext() if is_one else self._work.sharing():
            for key in partition_keys:
                log_of = functools.partial(self._log, self._context.log, key, is_range=is_range)
                for asset_key, outcome in self._work.outcomes(key, log_of):
                    self._assets[asset_key].record(key, outcome)
                    log_outcome(log_of(asset_key), key, outcome, is_one=is_one)
                self._cycles.after_partition()

    def _work_side_by_side(self, partition_keys: Sequence[str | None]) -> None:
        """Work in several threads; all that is recorded, logged or raised is by the step's own."""
        lines = RunLines(self._context.log, len(partition_keys))

        def outcomes_of(key: str | None) -> list[tuple[dg.AssetKey, Outcome]]:
            return list(
                self._work.outcomes(key, functools.partial(self._log, lines, key, is_range=True))
            )

        results = SideBySide(
            partition_keys,
            outcomes_of,
            self._limit,
            on_cancel=self._work.cancel,
            on_idle=lines.write,
        )
        try:
            with self._work.sharing(), results:
                for key, outcomes in results:
                    self._record(key, outcomes, lines)
                    self._cycles.after_partition()
        except BaseException:
            for key, outcomes in results.finished():
                self._record(key, [each for each in outcomes if is_complete(each[1])], lines)
            raise

    def _record(
        self, key: str | None, outcomes: Iterable[tuple[dg.AssetKey, Outcome]], lines: RunLines
    ) -> None:
        for asset_key, outcome in outcomes:
            self._assets[asset_key].record(key, outcome)
            log_outcome(self._log(lines, key, asset_key, is_range=True), key, outcome, is_one=False)
            lines.count(is_complete=is_complete(outcome))
        lines.write()

    def _failed(self) -> dict[Unit, Outcome]:
        return {
            Unit(key, asset.name if self._has_several else None): outcome
            for asset in self._assets.values()
            for key, outcome in asset.failed.outcomes.items()
        }

    def _log(
        self, lines: Lines, key: str | None, asset_key: dg.AssetKey, *, is_range: bool
    ) -> RunLog:
        name = self._assets[asset_key].name if self._has_several else None
        return RunLog(lines, name, key if is_range else None)

    def _record_complete(self) -> None:
        for asset in self._assets.values():
            asset.recorder.fail()

"""Records the complete partitions of a step as Dagster events.

```
one partition ──► its result, with metadata and data version: Dagster makes the event
several ────────► one logged event a partition, as soon as it is complete; then a result without events of its own
                                                      │
unchanged, and on_unchanged="observe" ────────────────┴─ waits for the end of the step: observed if the step
                                                         succeeds, materialized if it fails
```

Never two events a partition, and never none: what depends on the asset in the same run goes by the result.
"""

import collections
import dataclasses
import pickle
import sys
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from typing_extensions import Self

from roboto_dagster.metadata import Metadata, outcome_metadata
from roboto_dagster.partition_report import Report
from roboto_dagster.step.cycles import Cycles
from roboto_dagster.step.unchanged import OnUnchanged, UnchangedPartitions
from roboto_dagster.step.version_tags import (
    VersionTags,
    can_omit_events,
    latest_materialization,
    result_without_events,
    with_data_version,
)
from roboto_dagster.sync.collector import rare_garbage_collection

Results = Iterator[dg.MaterializeResult[Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class _Event:
    """What is recorded of a report."""

    partition_key: str | None
    metadata: Metadata
    data_version: str | None
    may_be_observation: bool


@dataclasses.dataclass(frozen=True, slots=True)
class _WaitingEvent:
    """An event that waits for the end of the step, packed, since thousands may."""

    partition_key: str | None
    may_be_observation: bool
    packed: bytes

    @classmethod
    def of(cls, event: _Event) -> Self:
        packed = zlib.compress(pickle.dumps(event), level=1)
        return cls(event.partition_key, event.may_be_observation, packed)

    def unpack(self) -> _Event:
        event: _Event = pickle.loads(zlib.decompress(self.packed))  # noqa: S301 -- packed by this process
        # Dagster keeps the events of a step until its end: their keys are to be the same texts again.
        metadata = {sys.intern(key): value for key, value in event.metadata.items()}
        return dataclasses.replace(event, metadata=metadata)


class Recorder:
    """Records for one asset of one step. For one thread.

    Args:
        context: Of the step.
        asset_key: The asset.
        on_unchanged: What is recorded for partitions without any change.
        is_range: Whether the step has several partitions.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        asset_key: dg.AssetKey,
        on_unchanged: OnUnchanged,
        *,
        is_range: bool,
    ) -> None:
        self._context = context
        self._asset_key = asset_key
        self._is_range = is_range
        self._is_direct = is_direct(context)
        self._tags = None if self._is_direct else VersionTags(context, asset_key)
        self._unchanged = (
            None if self._is_direct else UnchangedPartitions(context, asset_key, on_unchanged)
        )
        self._can_omit = not self._is_direct and can_omit_events()
        self._waiting = collections.deque[_WaitingEvent]()
        self._cycles = Cycles()
        self._has_begun = False
        self._last: str | None = None

    def add(self, partition_key: str | None, report: Report) -> None:
        """Record a complete partition, now or at the end. The last one may be added again after an interrupt.

        Args:
            partition_key: The partition; None where there are none.
            report: What was done for it.
        """
        if self._has_begun and partition_key == self._last and self._is_recorded(partition_key):
            return
        self._has_begun, self._last = True, partition_key
        event = _Event(
            partition_key,
            outcome_metadata(report, partition_key, is_brief=self._is_range),
            report.data_version,
            self._may_observe(partition_key, report),
        )
        # A result with events of its own has to come first: the last event of a partition counts.
        is_first = self._is_range and (self._can_omit or self._is_direct)
        if is_first and not event.may_be_observation:
            self._materialize(event)
        else:
            self._waiting.append(_WaitingEvent.of(event))

    def succeed(self) -> Results:
        """Yield the result of a step whose partitions are all complete, and record what waits."""
        if not self._is_range and not self._waiting[0].may_be_observation:
            yield self._result(self._waiting.pop().unpack())
        elif self._can_omit:
            yield result_without_events(self._asset_key)
        else:
            yield dg.MaterializeResult(asset_key=self._asset_key)
        self._record_waiting(can_observe=True)

    def fail(self) -> None:
        """Record what waits, since the step is about to fail."""
        self._record_waiting(can_observe=False)

    def _record_waiting(self, *, can_observe: bool) -> None:
        with rare_garbage_collection():
            # One by one, so that `fail` after an interrupt records just what is left.
            while self._waiting:
                event = self._waiting.popleft().unpack()
                if can_observe and event.may_be_observation:
                    self._observe(event)
                else:
                    self._materialize(event)
                self._cycles.after_partition()

    def _is_recorded(self, partition_key: str | None) -> bool:
        """Return whether the event was written before the interrupt came."""
        if any(event.partition_key == partition_key for event in self._waiting):
            return True
        latest = latest_materialization(self._context.instance, self._asset_key, partition_key)
        return latest is not None and latest.run_id == self._context.run.run_id

    def _may_observe(self, partition_key: str | None, report: Report) -> bool:
        if self._unchanged is None or not self._can_omit:
            return False
        tags = with_data_version(self._tags_of(partition_key), report.data_version)
        return self._unchanged.may_observe(partition_key, report, tags)

    def _tags_of(self, partition_key: str | None) -> Mapping[str, str]:
        return {} if self._tags is None else self._tags.of(partition_key)

    def _result(self, event: _Event) -> dg.MaterializeResult[Any]:
        version = event.data_version
        return dg.MaterializeResult(
            asset_key=self._asset_key,
            metadata=event.metadata,
            data_version=None if version is None else dg.DataVersion(version),
        )

    def _materialize(self, event: _Event) -> None:
        self._context.log_event(
            dg.AssetMaterialization(
                asset_key=self._asset_key,
                partition=event.partition_key,
                metadata=event.metadata,
                tags=with_data_version(self._tags_of(event.partition_key), event.data_version),
            )
        )

    def _observe(self, event: _Event) -> None:
        self._context.log_event(
            dg.AssetObservation(
                asset_key=self._asset_key,
                partition=event.partition_key,
                metadata=event.metadata,
                tags=with_data_version({}, event.data_version),
            )
        )


def is_direct(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> bool:
    """Return whether an asset or its checks were called in a unit test, without a run."""
    try:
        return not context.run.run_id
    except dg.DagsterError:
        return True

"""The outcome of each partition, read from the events of a run.

```
planned ─┬─ materialized, or observed as unchanged ──► complete
         ├─ observed with failures ──────────────────► failed
         └─ neither, and the run has ended ──────────► its step was cancelled, killed, or failed before any
```
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import dagster as dg

import roboto_dagster.registration  # noqa: F401 -- registers the package

Reason = Literal["failed", "canceled", "interrupted"]
"""Why a partition is not complete."""

DATASET_OP_TAGS: Mapping[str, str] = {"roboto/dataset_asset": "true"}
"""Tags of the op of each dataset asset: by them a run's steps are recognized, even if they never started."""

TOPICS_OP_TAGS: Mapping[str, str] = {"roboto/topics_asset": "true"}
"""The same of each topics asset."""

_TYPE = dg.DagsterEventType
EVENT_TYPES = (
    _TYPE.ASSET_MATERIALIZATION_PLANNED,
    _TYPE.ASSET_MATERIALIZATION,
    _TYPE.ASSET_OBSERVATION,
    _TYPE.STEP_START,
    _TYPE.STEP_FAILURE,
)
"""The events that a history is made of."""

# Of the processes of steps that were killed, and of interrupts.
_INTERRUPTS = (
    "ChildProcessCrashException",
    "DagsterExecutionInterruptedError",
    "KeyboardInterrupt",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Planned:
    """One partition that a step was to complete.

    Attributes:
        asset_key: The asset.
        partition_key: The partition; None where there are none.
        step_key: The step.
    """

    asset_key: dg.AssetKey
    partition_key: str | None
    step_key: str

    @property
    def op_name(self) -> str:
        """The op of the step, which may be in a graph."""
        return self.step_key.rpartition(".")[2]

    @property
    def node(self) -> str:
        """The op or the graph of the asset: where that has several steps, any of them may have failed."""
        return _node(self.step_key)


class RunHistory:
    """The outcome of each partition of a run.

    Args:
        entries: The run's events, in their order; those of `EVENT_TYPES` suffice.

    Attributes:
        observations: The last observation of each partition that was not materialized after it.
    """

    def __init__(self, entries: Iterable[dg.EventLogEntry]) -> None:
        self.observations: dict[tuple[dg.AssetKey, str | None], dg.AssetObservation] = {}
        self._planned: dict[tuple[dg.AssetKey, str | None], Planned] = {}
        self._started: set[str] = set()
        self._errors: dict[str, Any] = {}
        for entry in entries:
            if entry.dagster_event is not None:
                self._add(entry.dagster_event)

    def _add(self, event: dg.DagsterEvent) -> None:
        step_key = event.step_key or ""
        if event.event_type is _TYPE.STEP_START:
            self._started.add(_node(step_key))
        elif event.event_type is _TYPE.STEP_FAILURE:
            self._errors[_node(step_key)] = _root(event.step_failure_data.error)
        elif event.event_type is _TYPE.ASSET_OBSERVATION:
            observation = event.asset_observation_data.asset_observation
            self._planned.pop((observation.asset_key, observation.partition), None)
            self.observations[observation.asset_key, observation.partition] = observation
        elif event.asset_key is not None:
            place = event.asset_key, event.partition
            if event.event_type is _TYPE.ASSET_MATERIALIZATION:
                self._planned.pop(place, None)
                self.observations.pop(place, None)
            elif event.event_type is _TYPE.ASSET_MATERIALIZATION_PLANNED:
                self._planned[place] = Planned(*place, step_key)

    def unfinished(self) -> Sequence[Planned]:
        """Return the partitions whose outcome no event reports, sorted: Dagster plans them in any order."""
        return sorted(
            self._planned.values(),
            key=lambda each: (each.asset_key.path, each.partition_key or "", each.step_key),
        )

    def was_skipped(self, planned: Planned, *, was_canceled: bool) -> bool:
        """Return whether a step never started since another one failed, whose failure it is.

        Args:
            planned: The partition.
            was_canceled: Whether the run was cancelled.
        """
        return planned.node not in self._started and bool(self._errors) and not was_canceled

    def end_of(self, planned: Planned, *, was_canceled: bool) -> tuple[Reason, str]:
        """Return why a partition has no outcome, and a sentence about it.

        Args:
            planned: The partition.
            was_canceled: Whether the run was cancelled.
        """
        error = self._errors.get(planned.node)
        what = "before this partition was complete"
        if planned.node not in self._started:
            what = "before the step of this partition started"
        if was_canceled:
            return "canceled", f"The run was cancelled {what}. {_NEXT}"
        if error is None or error.cls_name in _INTERRUPTS:
            return "interrupted", f"The process of the run ended {what}. {_NEXT}"
        return "failed", f"The step failed {what}: {error.message.strip()}"


def _node(step_key: str) -> str:
    return step_key.partition(".")[0]


def _root(error: Any) -> Any:
    """Return what an error of Dagster's was caused by."""
    while error is not None and error.cause is not None:
        error = error.cause
    return error


_NEXT = "Completed files are kept: run it again."


def own_ops(instance: dg.DagsterInstance, run: dg.DagsterRun) -> frozenset[str]:
    """Return the names of the ops of a run that deliver datasets or decode their logs.

    Args:
        instance: Where the run's job is kept.
        run: The run.
    """
    if run.job_snapshot_id is None:
        return frozenset()
    ops = instance.get_job_snapshot(run.job_snapshot_id).node_defs_snapshot.op_def_snaps
    ours = (DATASET_OP_TAGS.items(), TOPICS_OP_TAGS.items())
    return frozenset(op.name for op in ops if any(op.tags.items() >= each for each in ours))

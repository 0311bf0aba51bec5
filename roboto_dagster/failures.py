"""From a failed run's events back to typed failures: for alerts, tickets and dashboards.

```python
@dg.run_failure_sensor
def alert(context: dg.RunFailureSensorContext) -> None:
    for failure in failures_of_run(context.instance, context.dagster_run.run_id):
        post(f"{failure.partition_key}: {failure.error_codes}")
```
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from roboto_dagster.errors import ADVICE, ManifestError
from roboto_dagster.run_history import EVENT_TYPES, Planned, Reason, RunHistory, own_ops
from roboto_dagster.sync.manifest import iterate_manifest
from roboto_dagster.topics.faults import FAULT_ADVICE
from roboto_dagster.topics.manifest import read_topics_manifest

_COLUMNS = ("relative_path", "error_code", "attempts", "error", "status")
_ENDED_WITHOUT_SUCCESS = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_ELLIPSIS = "…"  # the last row of a table that was cut


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FailedFile:
    """One file that could not be delivered, or one log or topic that could not be decoded.

    Attributes:
        relative_path: Its path in the dataset.
        error_code: One of `roboto_dagster.errors.ERROR_CODES`; of a log one of `roboto_dagster.topics.faults.FAULT_CODES`,
            or that of a decoder of your own.
        attempts: How often it was tried, in all.
        transient: Whether a re-run may succeed; None where that is not known.
        message: What happened.
        topic: The topic of the log that failed; None for a file or all of a log.
    """

    relative_path: str
    error_code: str
    attempts: int
    transient: bool | None
    message: str
    topic: str | None = None

    @property
    def advice(self) -> str:
        """What to do next, in one sentence; empty for a code of a newer release, or of a decoder of your own."""
        return ADVICE.get(self.error_code) or FAULT_ADVICE.get(self.error_code, "")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PartitionFailure:
    """One partition, or an asset without partitions, that is not complete after a run.

    Attributes:
        asset_key: The asset.
        partition_key: The partition; None where there are none.
        dataset_id: The dataset or datasets, as in the metadata; None if it was not even planned.
        dataset_name: Its name on the platform, or theirs; None if there is none.
        description: Sentences for people, in Markdown.
        error_codes: How many files failed with each code.
        files: The failed files that the event names, the first hundred at most.
        manifest: Path of the manifest, which names every file; None if it was not even planned.
        reason: `"failed"`; or `"canceled"` and `"interrupted"` (its process was killed) of a partition that the
            run did not get to.
        of_topics: Whether its logs could not be decoded: it is of a topics asset.
    """

    asset_key: dg.AssetKey
    partition_key: str | None
    dataset_id: str | None
    dataset_name: str | None
    description: str
    error_codes: Mapping[str, int]
    files: Sequence[FailedFile]
    manifest: str | None
    reason: Reason = "failed"
    of_topics: bool = False

    @property
    def transient(self) -> bool:
        """Whether a re-run may succeed: for one of the named files, or since this run was ended from outside."""
        return self.reason != "failed" or any(file.transient for file in self.files)

    def all_files(self) -> list[FailedFile]:
        """Read every failed file from the manifest, where this process can see it.

        Raises:
            ManifestError: There is none, or it cannot be read.
        """
        if self.manifest is None:
            raise ManifestError(
                f"{self.partition_key or self.asset_key.to_user_string()} has no manifest: it was not planned. Read "
                "description for the reason."
            )
        if self.of_topics:
            return _failed_topics(self.manifest)
        return [
            FailedFile(
                relative_path=path,
                error_code=code,
                attempts=attempts,
                transient=None,
                message=message,
            )
            for rows in iterate_manifest(self.manifest, _COLUMNS)
            for path, code, attempts, message, status in rows
            if status == "failed"
        ]


def failures_of_run(instance: dg.DagsterInstance, run_id: str) -> list[PartitionFailure]:
    """Find the partitions of a run's dataset assets that are not complete.

    Of a run that was cancelled, or whose process was killed, these are also the partitions that it did not get to.

    Args:
        instance: Where the run's events are kept.
        run_id: The run.

    Returns:
        A failure for each partition, in the order in which they failed, then those that the run did not get to, in the
        order of their keys. A partition that a later attempt of the same run completed is not among them; other assets'
        failures are not either.
    """
    history = RunHistory(record.event_log_entry for record in _records(instance, run_id))
    run = instance.get_run_by_id(run_id)
    found = _failures(history)
    if run is not None and run.status in _ENDED_WITHOUT_SUCCESS:
        ops = own_ops(instance, run)
        was_canceled = run.status is dg.DagsterRunStatus.CANCELED
        found += [
            _unfinished(planned, history.end_of(planned, was_canceled=was_canceled))
            for planned in history.unfinished()
            if planned.op_name in ops
            and not history.was_skipped(planned, was_canceled=was_canceled)
        ]
    return found


def _failed_topics(manifest: str) -> list[FailedFile]:
    return [
        FailedFile(
            relative_path=row.relative_path,
            error_code=row.code,
            attempts=1,
            transient=None,
            message=row.reason or "",
            topic=row.topic,
        )
        for row in read_topics_manifest(pathlib.Path(manifest))
        if row.code is not None
    ]


def _failures(history: RunHistory) -> list[PartitionFailure]:
    found = (_failure(each) for each in history.observations.values())
    return [each for each in found if each is not None]


def _unfinished(planned: Planned, end: tuple[Reason, str]) -> PartitionFailure:
    reason, description = end
    return PartitionFailure(
        asset_key=planned.asset_key,
        partition_key=planned.partition_key,
        dataset_id=None,
        dataset_name=None,
        description=description,
        error_codes={},
        files=[],
        manifest=None,
        reason=reason,
    )


def _records(instance: dg.DagsterInstance, run_id: str) -> Iterable[Any]:
    cursor: str | None = None
    while True:
        page = instance.get_records_for_run(run_id, cursor=cursor, of_type=set(EVENT_TYPES))
        yield from page.records
        if not page.has_more:
            return
        cursor = page.cursor


def _failure(observation: dg.AssetObservation) -> PartitionFailure | None:
    """Read one of our observations of a partition that is not complete; None if it is another one."""
    plain: dict[str, Any] = {key: value.value for key, value in observation.metadata.items()}
    if not plain.keys() & {"roboto/error", "roboto/failures"}:
        return None
    table = plain.get("roboto/failures")
    return PartitionFailure(
        asset_key=observation.asset_key,
        partition_key=observation.partition,
        dataset_id=plain.get("roboto/dataset_id"),
        dataset_name=plain.get("roboto/dataset_name"),
        description=observation.description or "",
        error_codes=dict(plain.get("roboto/error_codes") or {}),
        files=[_file(row.data) for row in table.records if row.data["relative_path"] != _ELLIPSIS]
        if table
        else [],
        manifest=plain.get("roboto/manifest"),
        of_topics="roboto/rows_by_topic" in plain,
    )


def _file(row: Mapping[str, Any]) -> FailedFile:
    return FailedFile(
        relative_path=str(row["relative_path"]),
        error_code=str(row["error_code"]),
        attempts=int(row["attempts"]),
        transient=bool(row["transient"]),
        message=str(row["message"]),
        topic=str(row["topic"]) if row.get("topic") else None,
    )

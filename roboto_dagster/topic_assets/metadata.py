"""What the report of a decoded partition looks like as metadata of Dagster's events."""

import dataclasses
import pathlib
from collections.abc import Mapping

import dagster as dg
from typing_extensions import Self

import roboto_dagster.registration  # noqa: F401 -- registers the package
from roboto_dagster.metadata import (
    MAX_TABLE_ROWS,
    Metadata,
    failures_table,
    metadata_value,
    report_metadata,
    table_value,
)
from roboto_dagster.sync.event_values import EventValues
from roboto_dagster.text import one_line
from roboto_dagster.topics.report import TopicsReport, TopicSummary

_NS = 1_000_000_000
_MAX_COLUMNS = 300  # an event is read whenever the asset's page is shown


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopicsMetadata(EventValues):
    """The numbers and names in an event of a topics asset: the keys that programs may rely on.

    ```python
    event = instance.get_latest_materialization_event(asset.key).asset_materialization
    TopicsMetadata.from_metadata(event.metadata).rows_by_topic["/imu"]
    ```

    Attributes:
        uri: The folder that holds the tables (`dagster/uri`).
        row_count: Rows of all tables: `dagster/partition_row_count` of a partition, `dagster/row_count` where there are
            none.
        dataset_id: The dataset, or several separated by commas; this and all below are `roboto/…`.
        logs_total: Files of the upstream partition: decoded, unchanged, failed and skipped.
        logs_decoded: Logs that this run decoded.
        logs_unchanged: Logs whose tables were there already.
        logs_failed: Logs of which nothing, or not all, could be decoded.
        logs_removed: Logs whose tables were removed since upstream has them no more.
        logs_skipped: Files that no decoder reads.
        tables: How many tables there are.
        rows_by_topic: Rows of each topic, the first hundred.
        first_time: The first `log_time` of any topic, in seconds since the epoch; left out if there is none.
        last_time: The last `log_time` of any topic, in seconds since the epoch; left out if there is none.
        max_gap_seconds: The longest time without a row within a table; left out if no table has two rows.
        steps_back: How many rows are earlier than the row before them, in all.
        null_times: How many rows have no time, in all.
        bytes_total: Bytes of all logs.
        bytes_decoded: Bytes of the logs that this run decoded.
        bytes_written: Bytes of the tables that this run published.
        duration_seconds: How long decoding took, from the plan to the manifest.
        manifest: Path of the manifest.
        error_codes: How many logs and topics failed with each code.
        notes: How often there is each kind of note, such as `cut_bytes` (in bytes); notes are no failures.
    """

    uri: str
    row_count: int
    dataset_id: str
    logs_total: int
    logs_decoded: int
    logs_unchanged: int
    logs_failed: int
    logs_removed: int
    logs_skipped: int
    tables: int
    rows_by_topic: Mapping[str, int]
    first_time: float | None = None
    last_time: float | None = None
    max_gap_seconds: float | None = None
    steps_back: int = 0
    null_times: int = 0
    bytes_total: int
    bytes_decoded: int
    bytes_written: int
    duration_seconds: float
    manifest: pathlib.Path
    error_codes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    notes: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, report: TopicsReport) -> Self:
        """Take it from a report."""
        topics = report.topics
        rows = {one_line(each.topic): each.rows for each in topics[:MAX_TABLE_ROWS]}
        return cls(
            uri=report.root.as_uri(),
            row_count=report.rows,
            dataset_id=", ".join(report.dataset_ids),
            logs_total=report.logs_total,
            logs_decoded=report.logs_decoded,
            logs_unchanged=report.logs_unchanged,
            logs_failed=report.logs_failed,
            logs_removed=report.logs_removed,
            logs_skipped=report.logs_skipped,
            tables=report.tables,
            rows_by_topic=rows,
            first_time=_seconds(
                min((each.first_ns for each in topics if each.first_ns is not None), default=None)
            ),
            last_time=_seconds(
                max((each.last_ns for each in topics if each.last_ns is not None), default=None)
            ),
            max_gap_seconds=_seconds(
                max(
                    (each.max_gap_ns for each in topics if each.max_gap_ns is not None),
                    default=None,
                )
            ),
            steps_back=sum(each.steps_back for each in topics),
            null_times=sum(each.null_times for each in topics),
            bytes_total=report.bytes_total,
            bytes_decoded=report.bytes_decoded,
            bytes_written=report.bytes_written,
            duration_seconds=round(report.duration_seconds, 3),
            manifest=report.manifest,
            error_codes=report.error_codes,
            notes=report.notes,
        )


@report_metadata.register
def _topics_metadata(report: TopicsReport, *, is_partition: bool, is_brief: bool) -> Metadata:  # noqa: ARG001 -- its tables have what no number has
    metadata: Metadata = {}
    if report.failures and report.is_complete:
        number = sum(report.error_codes.values())
        metadata["roboto/skipped"] = failures_table(report.failures, number, report.noun)
    if report.topics:
        metadata["roboto/topics"] = _topics_table(report)
        metadata["dagster/column_schema"] = dg.MetadataValue.table_schema(_column_schema(report))
    if report.skipped:
        skipped = [one_line(each) for each in report.skipped[:MAX_TABLE_ROWS]]
        metadata["roboto/skipped_files"] = dg.MetadataValue.json(skipped)
    values = TopicsMetadata.of(report).plain_values(is_partition=is_partition)
    return metadata | {key: metadata_value(key, value) for key, value in values.items()}


def _topics_table(report: TopicsReport) -> dg.MetadataValue:
    columns = {
        "topic": "string",
        "type": "string",
        "rows": "int",
        "seconds": "float",
        "max_gap_seconds": "float",
        "steps_back": "int",
        "tables": "int",
    }
    rows = [
        (
            one_line(each.topic),
            one_line(", ".join(each.type_names)),
            each.rows,
            round(_length_seconds(each), 3),
            round(_seconds(each.max_gap_ns) or 0.0, 3),
            each.steps_back,
            each.tables,
        )
        for each in report.topics[:MAX_TABLE_ROWS]
    ]
    return table_value(columns, rows)


def _column_schema(report: TopicsReport) -> dg.TableSchema:
    """Return the columns of a topic's tables; those of several topics are preceded by its name."""
    topics = report.topics[:MAX_TABLE_ROWS]
    columns = [
        dg.TableColumn(
            name if len(topics) == 1 else f"{one_line(each.topic)}: {one_line(name)}",
            one_line(kind),
        )
        for each in topics
        for name, kind in each.columns.items()
    ]
    return dg.TableSchema(columns=columns[:_MAX_COLUMNS])


def _length_seconds(topic: TopicSummary) -> float:
    if topic.first_ns is None or topic.last_ns is None:
        return 0.0
    return (topic.last_ns - topic.first_ns) / _NS


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / _NS

"""The numbers and names of a sync as plain values: for Dagster's events, and for what runs without it."""

import dataclasses
import pathlib
from collections.abc import Mapping

from typing_extensions import Self

from roboto_dagster.sync.event_values import EventValues
from roboto_dagster.sync.report import SyncReport
from roboto_dagster.text import one_line


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SyncMetadata(EventValues):
    """The numbers and names in an event of a dataset asset: the keys that programs may rely on.

    ```python
    event = instance.get_latest_materialization_event(asset.key).asset_materialization
    SyncMetadata.from_metadata(event.metadata).files_fetched
    ```

    Attributes:
        uri: The folder that holds the files (`dagster/uri`).
        row_count: Rows of complete files in the manifest: `dagster/partition_row_count` of a partition,
            `dagster/row_count` where there are none.
        dataset_id: The dataset, or several separated by commas; this and all below are `roboto/…`.
        dataset_name: Its name on the platform, or several separated by commas.
        dataset_url: Its page on the platform, if it has one.
        files_total: Files in scope: fetched, unchanged, failed and skipped; None in the events of older
            releases.
        files_fetched: Files that this run fetched.
        files_unchanged: Files that were complete already.
        files_retried: Fetched files that took more than one attempt; left out if there are none.
        files_skipped: Files that are left out on purpose, such as refused ones with
            `on_refused="skip"`; left out if there are none.
        files_removed: Files that were removed since the platform no longer lists them.
        files_failed: Files that could not be delivered.
        bytes_fetched: Bytes that this run fetched.
        bytes_total: Bytes of all files.
        duration_seconds: From listing to manifest.
        listed_at: When the platform began to list the files, in seconds since the epoch.
        throughput_mib_s: MiB a second while files were fetched; 0 if none was.
        manifest: Path of the manifest.
        error_codes: How many files failed with each code.
    """

    uri: str
    row_count: int
    dataset_id: str
    dataset_name: str | None = None
    dataset_url: str | None = None
    files_total: int | None = None
    files_fetched: int
    files_unchanged: int
    files_removed: int
    files_failed: int
    bytes_fetched: int
    bytes_total: int
    duration_seconds: float
    throughput_mib_s: float
    manifest: pathlib.Path
    error_codes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    files_retried: int | None = None
    files_skipped: int | None = None
    listed_at: float | None = None

    @classmethod
    def of(cls, report: SyncReport) -> Self:
        """Take it from a report."""
        return cls(
            uri=report.root.as_uri(),
            row_count=report.files_fetched + report.files_unchanged,
            dataset_id=", ".join(report.dataset_ids),
            dataset_name=one_line(", ".join(report.dataset_names.values())) or None,
            dataset_url=report.dataset_url,
            files_total=report.files_total,
            files_fetched=report.files_fetched,
            files_unchanged=report.files_unchanged,
            files_removed=report.files_removed,
            files_failed=report.files_failed,
            bytes_fetched=report.bytes_fetched,
            bytes_total=report.bytes_total,
            duration_seconds=round(report.duration_seconds, 3),
            throughput_mib_s=round(report.throughput_mib_s, 2),
            manifest=report.manifest,
            error_codes=report.error_codes,
            files_retried=report.files_retried or None,
            files_skipped=report.files_skipped or None,
            listed_at=report.listed_at.timestamp() if report.listed_at else None,
        )

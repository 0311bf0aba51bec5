"""Reports and failures of syncs that never ran, for tests of what is made of them."""

import pathlib
from collections.abc import Sequence
from typing import Any

import dagster as dg

from roboto_dagster import DownloadError
from roboto_dagster.errors import ErrorCode
from roboto_dagster.fs.core.settings import MIB
from roboto_dagster.sync.report import SyncReport, TransferAttempt


def failure(number: int = 1, code: ErrorCode = "NOT_FOUND") -> DownloadError:
    """Return the failure of a file of a sync."""
    file: Any = {
        "bucket_name": "b",
        "source_uri": f"s3://b/{number}",
        "destination_path": pathlib.Path(f"/logs/ds_1/{number}.mcap"),
        "relative_path": f"{number}.mcap",
    }
    return DownloadError(file, code, "HTTP 404 NoSuchKey", None, 2)


def report(failures: Sequence[DownloadError] = (), **changes: Any) -> SyncReport:
    """Return the report of a sync of five files, of which some failed."""
    values: dict[str, Any] = {
        "dataset_ids": ["ds_1"],
        "root": pathlib.Path("/logs/ds_1"),
        "manifest": pathlib.Path("/logs/.roboto/logs/ds_1.parquet"),
        "files_total": 5,
        "files_fetched": 3 - len(failures),
        "files_unchanged": 2,
        "files_removed": 1,
        "bytes_fetched": 6 * MIB,
        "bytes_total": 10 * MIB,
        "duration_seconds": 4.25,
        "attempts": [
            TransferAttempt(
                number=1, files=3, failed=1, bytes_fetched=4 * MIB, duration_seconds=2.0
            ),
            TransferAttempt(
                number=2, files=1, failed=0, bytes_fetched=2 * MIB, duration_seconds=1.0
            ),
        ],
        "failures": list(failures),
    }
    return SyncReport(**{**values, **changes})


def plain(metadata: Any) -> dict[str, Any]:
    """Return metadata as plain values."""
    return {key: value.value for key, value in metadata.items()}


def table(metadata: Any, key: str) -> list[dict[str, Any]]:
    """Return the rows of a table."""
    value = metadata[key]
    assert isinstance(value, dg.TableMetadataValue)
    return [dict(record.data) for record in value.records]

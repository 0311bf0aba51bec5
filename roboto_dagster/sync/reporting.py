"""Makes the report of a sync from its inventory."""

import functools
from collections.abc import Sequence

from roboto_dagster.errors import DownloadError
from roboto_dagster.platform.datasets import dataset_url
from roboto_dagster.platform.scope import Scope
from roboto_dagster.sync.data_version import data_version
from roboto_dagster.sync.datasets import Listing
from roboto_dagster.sync.downloads import Downloads
from roboto_dagster.sync.inventory import Inventory
from roboto_dagster.sync.options import SyncSettings
from roboto_dagster.sync.outcomes import Outcomes
from roboto_dagster.sync.report import MAX_EXAMPLES, FailureTotals, ReportedFile, SyncReport
from roboto_dagster.sync.transfer import TransferPhase

_MAX_TOP_FILES = 10


def make_report(
    scopes: Sequence[Scope],
    settings: SyncSettings,
    inventory: Inventory,
    transfer: TransferPhase,
    *,
    datasets: Listing,
    removed: int,
    duration_seconds: float,
) -> SyncReport:
    """Report what a sync did.

    Args:
        scopes: The datasets.
        settings: Of the sync.
        inventory: The files and their results.
        transfer: The attempts.
        datasets: The datasets as they were listed.
        removed: How many files were removed.
        duration_seconds: From listing to manifest.
    """
    outcomes = Outcomes(inventory)
    error_codes = outcomes.error_codes()
    total = inventory.totals()
    dataset_ids = [scope.dataset_id for scope in scopes]
    destination, examples = settings.destination, functools.partial(_examples, outcomes, settings)
    return SyncReport(
        dataset_ids=dataset_ids,
        listed_at=datasets.listed_at,
        dataset_names=dict(datasets.names),
        root=destination / dataset_ids[0] if len(dataset_ids) == 1 else destination,
        manifest=settings.manifest,
        files_total=total.files,
        files_fetched=outcomes.count("fetched"),
        files_unchanged=outcomes.count("unchanged"),
        files_retried=outcomes.retried_count,
        files_skipped=outcomes.count("skipped"),
        files_removed=removed,
        directory_markers=inventory.totals("skip").files,
        bytes_fetched=transfer.bytes_fetched,
        bytes_total=total.size_bytes,
        duration_seconds=duration_seconds,
        attempts=transfer.attempts,
        failures=examples("failed"),
        skipped=examples("skipped"),
        failure_totals=FailureTotals(error_codes=error_codes, is_retryable=outcomes.is_retryable),
        timeline=transfer.timeline,
        top_files=_top_files(outcomes),
        dataset_url=dataset_url(settings.client.endpoint, *dataset_ids),
        data_version=None if error_codes else data_version(inventory),
    )


def _examples(outcomes: Outcomes, settings: SyncSettings, status: str) -> list[DownloadError]:
    """Return errors of some files; a directory marker has no code, and is none."""
    found, downloads = outcomes.failures(status, MAX_EXAMPLES), Downloads(settings.destination)
    return [
        DownloadError(
            downloads.of(each.planned),
            each.code,
            each.reason,
            each.is_transient,
            each.attempts,
            each.request_id,
            each.advice,
        )
        for each in found
        if each.code is not None
    ]


def _top_files(outcomes: Outcomes) -> list[ReportedFile]:
    return [
        ReportedFile(
            relative_path=relative_path,
            status=status,
            size_bytes=size_bytes,
            duration_seconds=duration_seconds,
            attempts=attempts,
        )
        for relative_path, status, size_bytes, duration_seconds, attempts in outcomes.top_files(
            _MAX_TOP_FILES
        )
    ]

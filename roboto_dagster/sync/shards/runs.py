"""The three steps of a run of shards; each may run in a process, and on a machine, of its own.

```
 plan_shards ──► plan.parquet ──► transfer_shard ─┐
                              ──► transfer_shard ─┼──► merge_shards ──► manifest; the folder of the run is removed
                              ──► transfer_shard ─┘         │
                    a shard was killed, or never ran ───────┴─► the merge delivers its files, or fails and names them
```
"""

import dataclasses
import hashlib
import itertools
import logging
import pathlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

from roboto_dagster.errors import ManifestError
from roboto_dagster.platform.scope import Scope
from roboto_dagster.sync.datasets import Datasets
from roboto_dagster.sync.inventory import BATCH, Inventory, Totals
from roboto_dagster.sync.options import SyncSettings
from roboto_dagster.sync.report import SyncReport, TransferAttempt
from roboto_dagster.sync.run import opened_run, sync_listed
from roboto_dagster.sync.shards.claims import Claims
from roboto_dagster.sync.shards.division import ShardOptions, divide
from roboto_dagster.sync.shards.listing import PlannedDatasets
from roboto_dagster.sync.shards.places import plan_path, remove_run, shard_manifest
from roboto_dagster.sync.shards.plan_file import ShardPlan, read_plan, write_plan
from roboto_dagster.sync.shards.stale_plan import with_advice
from roboto_dagster.text import count

_TABLE = "CREATE TEMP TABLE shard (seq INTEGER PRIMARY KEY, shard INTEGER)"
_SIZES = """
SELECT seq, size_bytes FROM file WHERE action = 'fetch' ORDER BY size_bytes DESC, dataset_id, relative_path
"""
_ROWS = """
SELECT coalesce(shard, 0), dataset_id, file_id, version, relative_path, size_bytes, uri, association_id,
    CASE error_code WHEN 'BAD_RECORD' THEN error_code END, CASE error_code WHEN 'BAD_RECORD' THEN error END
FROM file LEFT JOIN shard USING (seq) ORDER BY 1, dataset_id, relative_path, seq
"""
_TOTALS = """
SELECT shard, count(*), sum(size_bytes) FROM shard JOIN file USING (seq) GROUP BY shard ORDER BY shard
"""


def plan_shards(
    scopes: Sequence[Scope], settings: SyncSettings, folder: pathlib.Path, options: ShardOptions
) -> ShardPlan:
    """List and plan a partition, and divide what is to be fetched.

    Args:
        scopes: The datasets and their patterns.
        settings: As for a sync of the partition.
        folder: Of the run, see `places.run_folder`.
        options: How to divide.

    Returns:
        The plan, which is written to the folder too. It has one shard at least, which may be empty.

    Raises:
        RobotoDagsterError: As `sync`.
    """
    datasets = Datasets(scopes, settings)
    with opened_run(scopes, settings, datasets) as run:
        run.plan()
        inventory = run.inventory
        shards = options.number_of(*inventory.totals("fetch"))
        inventory.db.execute(_TABLE)
        # Read as they are divided: not all in memory.
        divided = divide(inventory.db.execute(_SIZES), shards)
        inventory.db.executemany("INSERT INTO shard VALUES (?, ?)", divided)
        plan = ShardPlan(
            plan_hash=_hash(inventory),
            planned_at=time.time(),
            listed_at=datasets.listed_at,
            shards=_totals(inventory, shards),
            scopes=scopes,
            org_ids=datasets.org_ids,
            names=datasets.names,
        )
        write_plan(plan_path(folder), plan, _batches(inventory), settings.destination)
        return plan


def transfer_shard(
    settings: SyncSettings, folder: pathlib.Path, plan_hash: str, shard: int
) -> SyncReport:
    """Fetch the files of one shard; what it has delivered already, in a run that was killed, is kept.

    Args:
        settings: As for a sync of the partition.
        folder: Of the run.
        plan_hash: Of the plan that the shard is one of.
        shard: Its number, from 1.

    Raises:
        ManifestError: The plan is not there, is another one, or cannot be read.
        RobotoDagsterError: As `sync`.
    """
    path = plan_path(folder)
    plan = read_plan(path, settings.destination)
    if plan.plan_hash != plan_hash:
        raise ManifestError(
            f"The plan {path} is another one than shard {shard} belongs to: the partition was planned again meanwhile. "
            "Run it again, from its first step: files that were delivered are kept."
        )
    # Only the merge sees all files, so only it can know which are missing, and whether there are any at all.
    options = dataclasses.replace(settings.options, on_missing="keep", on_empty="allow")
    of_shard = dataclasses.replace(
        settings, manifest=shard_manifest(folder, shard), options=options
    )
    listing = PlannedDatasets(plan, path, settings.destination, shard)
    return with_advice(sync_listed(plan.scopes, of_shard, listing), plan)


def merge_shards(settings: SyncSettings, folder: pathlib.Path) -> SyncReport:
    """Join the shards of a run: deliver what they have not, remove what is to be removed, and write the manifest.

    Args:
        settings: As for a sync of the partition.
        folder: Of the run; it is removed if every file is complete.

    Returns:
        What the run has done, its shards included.

    Raises:
        ManifestError: The plan is not there or cannot be read.
        RobotoDagsterError: As `sync`.
    """
    path = plan_path(folder)
    plan = read_plan(path, settings.destination)
    _log_missing(plan, folder, settings)
    claims = Claims(folder, settings.destination)
    listing = PlannedDatasets(plan, path, settings.destination)
    report = sync_listed(plan.scopes, settings, listing, claims.apply)
    if not report.files_failed:
        remove_run(settings.manifest, folder, settings.destination)
    return with_advice(_with_shards(report, claims, time.time() - plan.planned_at), plan)


def _with_shards(report: SyncReport, claims: Claims, seconds: float) -> SyncReport:
    """Return the report of a merge as that of the run: what the shards did is its first attempt."""
    seconds = max(seconds, report.duration_seconds)
    of_shards = TransferAttempt(
        number=1,
        files=claims.files,
        failed=0,
        bytes_fetched=claims.size_bytes,
        duration_seconds=seconds - report.duration_seconds,
    )
    later = [dataclasses.replace(each, number=each.number + 1) for each in report.attempts]
    return dataclasses.replace(
        report,
        bytes_fetched=report.bytes_fetched + claims.size_bytes,
        duration_seconds=seconds,
        attempts=[of_shards, *later] if claims.files else report.attempts,
    )


def _log_missing(plan: ShardPlan, folder: pathlib.Path, settings: SyncSettings) -> None:
    """Log which shards have not ended, which happens where a run is re-executed from its failure."""
    numbers = range(1, len(plan.shards) + 1)
    missing = [each for each in numbers if not shard_manifest(folder, each).exists()]
    if missing:
        names = ", ".join(map(str, missing[:10])) + (" …" if len(missing) > 10 else "")
        settings.log(
            logging.WARNING,
            f"{len(missing)} of {count(len(plan.shards), 'shard')} did not end ({names}): the merge delivers what is "
            "missing of their files.",
        )


def _totals(inventory: Inventory, shards: int) -> list[Totals]:
    found = {shard: Totals(*row) for shard, *row in inventory.db.execute(_TOTALS)}
    return [found.get(shard, Totals(0, 0)) for shard in range(1, shards + 1)]


def _batches(inventory: Inventory) -> Iterator[list[tuple[Any, ...]]]:
    cursor = inventory.db.execute(_ROWS)
    while rows := cursor.fetchmany(BATCH):
        yield rows


def _hash(inventory: Inventory) -> str:
    digest = hashlib.sha256()
    for row in itertools.chain.from_iterable(_batches(inventory)):
        digest.update(repr(row).encode())
    return digest.hexdigest()[:16]

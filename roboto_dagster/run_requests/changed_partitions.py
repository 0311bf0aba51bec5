"""Which partitions a schedule with `only_changed` runs: those that may have changed, by two questions to the platform.

```
 last complete sync: too long ago, of other settings, never, or it failed ──────────────► run
 otherwise: a file or the dataset was modified since then, less an overlap ─────────────► run
                                                              nothing was ──────────────► left out
 too many changes to read, or a record of a change that cannot be read ─────────────────► all are run
```

What this cannot see, an occasional listing of everything finds: deletions, renames that leave the time of the record as it
was, links whose target has changed, and files that were damaged here.
"""

import dataclasses
import datetime as dt
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from roboto_dagster.platform.changes import ChangePage, ChangeQueries
from roboto_dagster.platform.pagination import walk_pages
from roboto_dagster.run_requests.sync_history import LastSync, last_syncs

MAX_CHANGES = 10_000
"""Where more files or datasets have changed than this, listing everything is no more work."""

_FAILED = "FAILED"


class _TooManyChanges(Exception):  # noqa: N818 -- no error: it only ends the reading of pages
    pass


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChangedPartitions:
    """Finds the partitions of one asset that may have changed.

    Attributes:
        asset: Whose partitions' keys are ids of datasets.
        instance: Dagster's, which knows when they were complete.
        queries: Asks the platform for changes.
        overlap: How long after it happened the platform may first show a change.
        log: For the reasons.
    """

    asset: dg.AssetsDefinition
    instance: dg.DagsterInstance
    queries: ChangeQueries
    overlap: dt.timedelta
    log: logging.Logger

    def among(self, keys: Sequence[str], listed_since: dt.datetime) -> Sequence[str]:
        """Return the keys to be run, in their order.

        Args:
            keys: The partitions to choose from.
            listed_since: Partitions that were last listed before are run in any case.

        Raises:
            PlatformError: The platform could not be asked.
        """
        known = self._known(keys, listed_since)
        changes = self._changes_since(min(known.values()) - self.overlap) if known else {}
        if changes is None:
            self.log.info(f"So much has changed that all {len(keys)} partitions are run.")
            return keys
        found = [
            key
            for key in keys
            if key not in known or (key in changes and changes[key] >= known[key] - self.overlap)
        ]
        unknown = len(keys) - len(known)
        self.log.info(
            f"{len(found)} of {len(keys)} partitions are run: {len(found) - unknown} with changes, {unknown} that were "
            "never complete, failed, or were not listed for long."
        )
        return found

    def _known(self, keys: Sequence[str], listed_since: dt.datetime) -> dict[str, dt.datetime]:
        """Return when the partitions were listed whose last sync was complete, recent, and with the present settings."""
        asset_keys = list(self.asset.keys)
        syncs = [last_syncs(self.instance, each, listed_since) for each in asset_keys]
        failed = set[str]().union(*(self._failed(each, keys) for each in asset_keys))
        versions = [self.asset.get_asset_spec(each).code_version for each in asset_keys]
        known: dict[str, dt.datetime] = {}
        for key in keys:
            found = [sync.get(key) for sync in syncs]
            if key not in failed and all(map(_is_current, found, versions)):
                listed_at = min(each.listed_at for each in found if each is not None)
                if listed_at >= listed_since:
                    known[key] = listed_at
        return known

    def _failed(self, asset_key: dg.AssetKey, keys: Sequence[str]) -> Iterator[str]:
        partitions_def = self.asset.partitions_def
        assert partitions_def is not None  # noqa: S101 -- it has such partitions
        statuses = self.instance.get_status_by_partition(asset_key, keys, partitions_def)
        for key, status in (statuses or {}).items():
            if status is not None and status.value == _FAILED:
                yield key

    def _changes_since(self, since: dt.datetime) -> Mapping[str, dt.datetime] | None:
        """Return the time of the latest change of each dataset that has any; None if it cannot be known."""
        latest: dict[str, dt.datetime] = {}
        queries = self.queries
        try:
            for change in _all(lambda token: queries.files(None, since, token), "files"):
                _note(latest, change.dataset_id, change.modified)
            for dataset in _all(lambda token: queries.datasets(None, since, token), "datasets"):
                _note(latest, dataset.dataset_id, dataset.modified)
        except _TooManyChanges:
            return None
        return latest


def _is_current(sync: LastSync | None, code_version: str | None) -> bool:
    return sync is not None and (
        None in (code_version, sync.code_version) or sync.code_version == code_version
    )


def _note(latest: dict[str, dt.datetime], dataset_id: str, modified: dt.datetime) -> None:
    latest[dataset_id] = max(modified, latest.get(dataset_id, modified))


def _all(read: Callable[[str | None], ChangePage[Any]], what: str) -> Iterator[Any]:
    """Yield the changes of all pages.

    Raises:
        _TooManyChanges: There are more than `MAX_CHANGES`, or one that cannot be read.
    """

    def fetch(token: str | None) -> tuple[Sequence[Any], str | None]:
        page = read(token)
        if page.unreadable:
            raise _TooManyChanges
        return page.changes, page.next_token

    count = 0
    for changes in walk_pages(fetch, f"querying changed {what}"):
        count += len(changes)
        if count > MAX_CHANGES:
            raise _TooManyChanges
        yield from changes


def tick_before(
    cron_schedule: str | Sequence[str], timezone: str | None, at: dt.datetime, count: int
) -> dt.datetime:
    """Return the time of an earlier tick of a cron.

    Args:
        cron_schedule: The cron, or several.
        timezone: Its time zone; None for UTC.
        at: The tick to start from.
        count: How many ticks before that; 0 for `at` itself.
    """
    crons = [cron_schedule] if isinstance(cron_schedule, str) else list(cron_schedule)
    ticks = {at}
    for cron in crons:
        windows = dg.TimeWindowPartitionsDefinition(
            start=_EPOCH, fmt="%Y-%m-%d %H:%M", cron_schedule=cron, timezone=timezone or "UTC"
        )
        last = at
        for _ in range(count):
            window = windows.get_prev_partition_window(last)
            if window is None:
                break
            # The window of a time between two ticks is the one before the earlier of them.
            last = window.end if window.end < last else window.start
            ticks.add(last)
    return sorted(ticks, reverse=True)[min(count, len(ticks) - 1)]


_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.timezone.utc)

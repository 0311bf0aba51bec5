"""When the partitions of an asset were last complete, as Dagster has recorded it."""

import dataclasses
import datetime as dt
from collections.abc import Iterator

import dagster as dg

from roboto_dagster.step.version_tags import CODE_VERSION
from roboto_dagster.sync.values import SyncMetadata

_PAGE = 500


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LastSync:
    """The last sync of a partition, if it was complete.

    Attributes:
        listed_at: When the platform began to list its files, by the platform's clock.
        code_version: The asset's code version then; None if the event does not have it.
    """

    listed_at: dt.datetime
    code_version: str | None


def last_syncs(
    instance: dg.DagsterInstance, asset_key: dg.AssetKey, since: dt.datetime
) -> dict[str, LastSync]:
    """Return the last sync of each partition whose last one was complete, and was recorded after a time.

    Partitions that failed are materialized by nothing: they are observed, with their failures, as are unchanged ones with
    `on_unchanged="observe"`. So both kinds of events are read, and the newest of a partition counts.

    Args:
        instance: Dagster's.
        asset_key: The asset.
        since: What was recorded before is left out.
    """
    newest: dict[str, dg.EventLogEntry] = {}
    for entry in _entries(instance, asset_key, since):
        key = str(_event_of(entry).partition)
        if key not in newest or entry.timestamp > newest[key].timestamp:
            newest[key] = entry
    found = ((key, _last_sync(entry)) for key, entry in newest.items())
    return {key: sync for key, sync in found if sync is not None}


def _entries(
    instance: dg.DagsterInstance, asset_key: dg.AssetKey, since: dt.datetime
) -> Iterator[dg.EventLogEntry]:
    """Yield events of partitions, a page at a time, so that memory stays small."""
    records_filter = dg.AssetRecordsFilter(asset_key, after_timestamp=since.timestamp())
    for fetch in (instance.fetch_materializations, instance.fetch_observations):
        cursor, has_more = None, True
        while has_more:
            page = fetch(records_filter, limit=_PAGE, cursor=cursor)
            yield from (each.event_log_entry for each in page.records if each.partition_key)
            cursor, has_more = page.cursor, page.has_more


def _event_of(entry: dg.EventLogEntry) -> dg.AssetMaterialization | dg.AssetObservation:
    event = entry.asset_materialization or entry.asset_observation
    assert event is not None  # noqa: S101 -- only such events were asked for
    return event


def _last_sync(entry: dg.EventLogEntry) -> LastSync | None:
    event = _event_of(entry)
    try:
        values = SyncMetadata.from_metadata(event.metadata)
    except TypeError:  # of a release with other fields, or of somebody else
        return None
    if values is None or values.files_failed or values.listed_at is None:
        return None
    listed_at = dt.datetime.fromtimestamp(values.listed_at, dt.timezone.utc)
    return LastSync(listed_at=listed_at, code_version=(event.tags or {}).get(CODE_VERSION))

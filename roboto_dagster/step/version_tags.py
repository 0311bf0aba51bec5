"""What Dagster's own events say of data versions, for events that are logged one by one.

Dagster has one data version a step and copies it to every partition of a range, so a range logs its
events itself, with the tags that a step's own event would have:

| tag | without it |
|---|---|
| `dagster/data_version` | nothing downstream sees a change |
| `dagster/data_version_is_user_provided` | stale causes speak of a new materialization |
| `dagster/code_version` | a changed setting never shows |
| `dagster/input_data_version/…`, `dagster/input_event_pointer/…` | every partition is stale, "has a new dependency" |
"""

import hashlib
import importlib
from collections.abc import Mapping
from typing import Any

import dagster as dg

DATA_VERSION = "dagster/data_version"
_IS_USER_PROVIDED = "dagster/data_version_is_user_provided"
CODE_VERSION = "dagster/code_version"
_INPUT_VERSION = "dagster/input_data_version/"
_INPUT_POINTER = "dagster/input_event_pointer/"

# What Dagster takes for the version and the event of an input that has none.
_INITIAL, _NULL = "INITIAL", "NULL"

# As `dagster/_core/definitions/source_asset.py` spells it: a result with this metadata has no events of its own.
_NO_EVENTS_KEY = "__source_asset_observation__"


def partition_filter(asset_key: dg.AssetKey, partition_key: str | None) -> dg.AssetRecordsFilter:
    """Return what chooses the records of one partition.

    Args:
        asset_key: The asset.
        partition_key: The partition; None where there are none.
    """
    partitions = None if partition_key is None else [partition_key]
    return dg.AssetRecordsFilter(asset_key=asset_key, asset_partitions=partitions)


def latest_materialization(
    instance: dg.DagsterInstance, asset_key: dg.AssetKey, partition_key: str | None
) -> dg.EventLogRecord | None:
    """Return the newest materialization of one partition, if there is any.

    Args:
        instance: Where it is recorded.
        asset_key: The asset.
        partition_key: The partition; None where there are none.
    """
    only = partition_filter(asset_key, partition_key)
    return next(iter(instance.fetch_materializations(only, limit=1).records), None)


def can_omit_events() -> bool:
    """Return whether Dagster still knows results without events of their own."""
    try:
        module: Any = importlib.import_module("dagster._core.definitions.source_asset")
    except ImportError:
        return False
    return getattr(module, "SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION", None) == _NO_EVENTS_KEY


def result_without_events(asset_key: dg.AssetKey) -> dg.MaterializeResult[Any]:
    """Return the result of an asset whose events are logged one by one.

    What depends on the asset in the same run goes by the result: without one it would be skipped silently.

    Args:
        asset_key: The asset.
    """
    return dg.MaterializeResult(asset_key=asset_key, metadata={_NO_EVENTS_KEY: True})


class VersionTags:
    """The code and input versions of a step, as tags of the events of its partitions.

    To be made as the step starts: what changes upstream while it works has not been seen by it.

    Args:
        context: Of the step, which is one of a run.
        asset_key: The asset.
    """

    def __init__(self, context: dg.AssetExecutionContext, asset_key: dg.AssetKey) -> None:
        asset = context.assets_def
        self._instance = context.instance
        code_version = asset.get_asset_spec(asset_key).code_version
        self._tags = {CODE_VERSION: code_version or context.run.run_id}
        self._partitioned: dict[dg.AssetKey, int] = {}
        for key in sorted(asset.asset_deps[asset_key]):
            record = _latest_record(context.instance, key)
            version = _INITIAL if record is None else _version_of(record)
            self._tags[f"{_INPUT_VERSION}{key.to_user_string()}"] = version
            self._tags[f"{_INPUT_POINTER}{key.to_user_string()}"] = (
                _NULL if record is None else str(record.storage_id)
            )
            if record is not None and record.partition_key is not None:
                self._partitioned[key] = record.storage_id

    def of(self, partition_key: str | None) -> Mapping[str, str]:
        """Return the tags of one partition.

        Args:
            partition_key: The partition; None where there are none.
        """
        tags = dict(self._tags)
        if partition_key is not None:
            for key, newest in self._partitioned.items():
                version = self._of_partition(key, partition_key, newest)
                if version is not None:
                    tags[f"{_INPUT_VERSION}{key.to_user_string()}"] = version
        return tags

    def _of_partition(self, key: dg.AssetKey, partition_key: str, newest: int) -> str | None:
        """Return the version of an input's partition of the same key, as Dagster makes one of several."""
        only = dg.AssetRecordsFilter(
            asset_key=key, asset_partitions=[partition_key], before_storage_id=newest + 1
        )
        records = self._instance.fetch_materializations(only, limit=1).records
        if not records:
            return None
        return hashlib.sha256(_version_of(records[0]).encode()).hexdigest()


def with_data_version(tags: Mapping[str, str], data_version: str | None) -> dict[str, str]:
    """Return the tags of one partition.

    Args:
        tags: From `VersionTags`.
        data_version: Of the partition; None where there is none.
    """
    if data_version is None:
        return dict(tags)
    return {**tags, DATA_VERSION: data_version, _IS_USER_PROVIDED: "true"}


def has_same_versions(found: Mapping[str, str], tags: Mapping[str, str]) -> bool:
    """Return whether an earlier event has these versions, of data, code and inputs.

    Args:
        found: The tags of the earlier event.
        tags: From `with_data_version`.
    """
    compared = {key: value for key, value in tags.items() if not key.startswith(_INPUT_POINTER)}
    inputs = {key for key in found if key.startswith(_INPUT_VERSION)}
    return inputs <= compared.keys() and all(
        found.get(key) == value for key, value in compared.items()
    )


def _latest_record(instance: dg.DagsterInstance, key: dg.AssetKey) -> dg.EventLogRecord | None:
    """Return the event of an input that Dagster goes by: its newest materialization, else observation."""
    records = (
        instance.fetch_materializations(key, limit=1).records
        or instance.fetch_observations(key, limit=1).records
    )
    return next(iter(records), None)


def _version_of(record: dg.EventLogRecord) -> str:
    return (record.event_log_entry.tags or {}).get(DATA_VERSION, _INITIAL)

"""Whether a partition exists: the one place where sensor, schedule, checks and asset ask it.

```
 before the first window, after `end`,          a window that is not over yet              over
 excluded, no key of this definition            (or held back by `end_offset`)
                │                                        │                                  │
             "never"                                 "not_yet"  ────── time passes ───► "exists"
```

A dynamic partition exists once it has been added, a static one always. Dagster itself runs a time
window that does not exist: the run succeeds, and the partition stays missing.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Any, Literal

import dagster as dg

from roboto_dagster.errors import ConfigurationError

Existence = Literal["exists", "not_yet", "never"]

# Long enough for every window that `end_offset` may hold back; the last one counts from there.
_FAR_AHEAD = dt.timedelta(days=3660)


class ExistingPartitions:
    """Answers which partitions exist at one moment; answers are kept, so make one for each tick or run."""

    def __init__(
        self,
        partitions_def: dg.PartitionsDefinition[Any] | None,
        *,
        now: dt.datetime | None = None,
        instance: dg.DagsterInstance | None = None,
    ) -> None:
        """Ask at a moment.

        Args:
            partitions_def: The asset's partitions, or None.
            now: The moment, with its zone. Default: Dagster's current time.
            instance: Where dynamic partitions are kept. Default: those are taken to exist.
        """
        self._partitions_def = partitions_def
        with dg.partition_loading_context(now) as loading:
            self._now = loading.effective_dt
        self._instance = instance
        self._windows: dict[str, Existence] = {}
        self._added: frozenset[str] | None = None

    def state_of(self, key: str) -> Existence:
        """Return whether a partition exists, will exist, or never will."""
        return self._state(self._partitions_def, key)

    def existing(self, keys: Iterable[str]) -> list[str]:
        """Return those keys whose partitions exist, in the same order."""
        return [key for key in keys if self.state_of(key) == "exists"]

    def require(self, key: str) -> None:
        """Do nothing if a partition exists.

        Raises:
            ConfigurationError: It does not, so a run of it would be recorded for no partition.
        """
        state = self.state_of(key)
        if state == "not_yet":
            msg = f"The partition {key!r} does not exist yet: its window of time is not over. Run it again when it is."
            raise ConfigurationError(msg)
        if state == "never":
            msg = f"The asset has no partition {key!r}: request one of those that Dagster lists for it."
            raise ConfigurationError(msg)

    def _state(self, partitions_def: Any, key: str) -> Existence:
        if isinstance(partitions_def, dg.MultiPartitionsDefinition):
            return self._state_of_dimensions(partitions_def, key)
        if isinstance(partitions_def, dg.TimeWindowPartitionsDefinition):
            return self._state_of_window(partitions_def, key)
        if isinstance(partitions_def, dg.DynamicPartitionsDefinition):
            return "exists" if self._is_added(partitions_def, key) else "never"
        is_listed = partitions_def is not None and partitions_def.has_partition_key(key)
        return "exists" if is_listed else "never"

    def _state_of_dimensions(
        self, partitions_def: dg.MultiPartitionsDefinition, key: str
    ) -> Existence:
        keys = keys_by_dimension(partitions_def, key)
        if keys is None:
            return "never"
        states = {
            self._state(each.partitions_def, keys[each.name])
            for each in partitions_def.partitions_defs
        }
        return "never" if "never" in states else "not_yet" if "not_yet" in states else "exists"

    def _state_of_window(self, windows: dg.TimeWindowPartitionsDefinition, key: str) -> Existence:
        if key not in self._windows:
            exists = _has_key(windows, key, self._now)
            later = exists or _has_key(windows, key, self._now + _FAR_AHEAD)
            self._windows[key] = "exists" if exists else "not_yet" if later else "never"
        return self._windows[key]

    def _is_added(self, partitions_def: dg.DynamicPartitionsDefinition, key: str) -> bool:
        if self._instance is None or partitions_def.name is None:
            return True
        if self._added is None:
            self._added = frozenset(self._instance.get_dynamic_partitions(partitions_def.name))
        return key in self._added


def keys_by_dimension(
    partitions_def: dg.MultiPartitionsDefinition, key: str
) -> dict[str, str] | None:
    """Split the key of a partition with two dimensions.

    Args:
        partitions_def: The two dimensions.
        key: A `MultiPartitionKey`, or its text such as `ds_0123|2026-11-01`.

    Returns:
        The keys by the names of their dimensions; None if it is no such key.
    """
    if isinstance(key, dg.MultiPartitionKey):
        return dict(key.keys_by_dimension)
    names = partitions_def.partition_dimension_names
    parts = key.split("|")
    return dict(zip(names, parts, strict=True)) if len(parts) == len(names) else None


def _has_key(windows: dg.TimeWindowPartitionsDefinition, key: str, now: dt.datetime) -> bool:
    with dg.partition_loading_context(now):
        return windows.has_partition_key(key)

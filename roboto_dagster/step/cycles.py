"""Frees the cycles of references that Dagster's storage leaves behind, so that memory stays flat in a run of many partitions.

In SQLite, on disk and in memory, an event of a known asset is an insertion that fails, and the traceback of that
exception refers to itself and to all that called it: some two hundred objects a partition. Python frees such cycles when
it next collects all objects, for which it waits until their number has grown by a quarter: 40 MiB and more.

The step sets older objects aside meanwhile (`sync.collector`). Otherwise its syncs would, each time that none was under way
before, and with them the cycles that are not freed yet, which would stay.
"""

from roboto_dagster.sync.collector import collect_new_objects

_PARTITIONS_AT_ONCE = 100  # which leave some MiB


class Cycles:
    """Frees what recorded partitions leave behind. For the thread of a step."""

    def __init__(self) -> None:
        self._recorded = 0

    def after_partition(self) -> None:
        """Count a partition that was recorded, and collect if that is due."""
        self._recorded += 1
        if self._recorded % _PARTITIONS_AT_ONCE == 0:
            collect_new_objects()

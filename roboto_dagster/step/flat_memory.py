"""Keeps the memory of a step flat, however many partitions it records.

Of each recorded partition Dagster keeps

- the logged event in the context of the step, until the step yields: so it yields now and then what was logged;
- in SQLite, on disk and in memory, some two hundred objects: an event of a known asset is an insertion that fails, and
  the traceback of that exception refers to itself and to all that called it. Python frees such a cycle when it next
  collects all objects, for which it waits until their number has grown by a quarter. The young ones alone are
  collected in a tenth of a millisecond.
"""

import gc
from collections.abc import Iterator

import dagster as dg

_EVENTS_AT_ONCE = 100
_YOUNG = 1  # the generation of objects that have outlived one collection


class FlatMemory:
    """Frees what Dagster keeps for the partitions of one step. For the thread of the step.

    Args:
        context: Of the step.
        is_direct: Whether the asset was called in a unit test, without a run.
    """

    def __init__(self, context: dg.AssetExecutionContext, *, is_direct: bool) -> None:
        self._context = context
        self._is_direct = is_direct
        self._recorded = 0

    def after_partition(self) -> Iterator[dg.DagsterEvent]:
        """Free what was kept for a partition that was recorded.

        Yields:
            The events that were logged, for the step to yield: they are in Dagster's storage already.
        """
        if self._is_direct:
            return
        gc.collect(_YOUNG)
        self._recorded += 1
        if self._recorded % _EVENTS_AT_ONCE == 0:
            yield from self._context.consume_events()

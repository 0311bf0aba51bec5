"""One partition: its logs decoded to tables, the manifest, the report.

```
 files of the upstream partition ─► plan ─┬─► unchanged, skipped ────────────────────┐
 manifest of the last run ──────────┘     ├─► decode ─► tables or failures ──────────┼─► manifest ─► report
                                          └─► not upstream any more ─► tables removed ┘
```
"""

import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence

from roboto_dagster.disk.cleanup import reclaim
from roboto_dagster.disk.run_record import RunRecord
from roboto_dagster.disk.tree import LocalTree
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.sync.cancellation import SyncCancelledError
from roboto_dagster.sync.temporary_files import recorded_run
from roboto_dagster.text import one_line
from roboto_dagster.topics.log import LogResult, LogTask
from roboto_dagster.topics.log_file import LogFile
from roboto_dagster.topics.options import TopicsSettings
from roboto_dagster.topics.plan import PlannedLog, tables_of
from roboto_dagster.topics.planning import PartitionPlan, plan_partition
from roboto_dagster.topics.pool import DecodePool
from roboto_dagster.topics.progress import DecodeProgress
from roboto_dagster.topics.report import TopicsReport
from roboto_dagster.topics.state import PartitionState


def decode_partition(logs: Iterable[LogFile], settings: TopicsSettings) -> TopicsReport:
    """Decode the logs of a partition that are new or changed, and write the manifest.

    Args:
        logs: All files of the upstream partition, complete on this disk.
        settings: What is decoded, how, and to where.

    Returns:
        What was done. Logs and topics that could not be decoded are in `failures`; all others are complete.

    Raises:
        ConfigurationError: A setting cannot work; nothing was touched.
        DiskSpaceError: There is no room for the record of the run; nothing was touched.
        ManifestError: The manifest cannot be written.
        SyncCancelledError: It was cancelled; tables of complete logs are kept, and in the manifest.
    """
    started = time.monotonic()
    settings.cancellation.check()
    files = list(logs)
    _check_destination(files, settings)
    with recorded_run(settings.destination, settings.manifest) as record:
        state = PartitionState(settings)
        run = _PartitionRun(settings, state, record)
        with state.written_at_the_end():
            run.execute(files)
    return state.report(time.monotonic() - started)


def _check_destination(logs: Sequence[LogFile], settings: TopicsSettings) -> None:
    """Fail if the folder of a log's tables would be in the place of the log itself."""
    for log in logs[:1]:
        with contextlib.suppress(OSError):
            if (settings.destination / log.local_path).samefile(log.path):
                raise ConfigurationError(
                    f"The destination {settings.destination} is that of the logs: the tables of "
                    f"{one_line(log.local_path)} need a folder of its name. Choose another destination."
                )


class _PartitionRun:
    """The decoding of one partition."""

    def __init__(self, settings: TopicsSettings, state: PartitionState, record: RunRecord) -> None:
        self._settings = settings
        self._state = state
        self._record = record
        self._stopped = threading.Event()

    def execute(self, logs: Sequence[LogFile]) -> None:
        """Plan, remove, decode."""
        self._reclaim()
        with LocalTree(self._settings.destination) as tree:
            state = self._state
            plan = plan_partition(
                logs, self._settings.options, state.known, tree, state.known_decoders
            )
            self._state.start(plan)
            self._remove(plan, tree)
        self._decode(plan)

    def _reclaim(self) -> None:
        """Remove what killed runs and processes left; nothing depends on it."""
        with contextlib.suppress(OSError):
            reclaim(self._record)

    def _remove(self, plan: PartitionPlan, tree: LocalTree) -> None:
        """Remove the tables of logs that are gone: of them only what is still as it was published."""
        for path, rows in plan.gone.items():
            results = {
                tree.remove(
                    row.table, size_bytes=row.table_bytes or 0, mtime_ns=row.table_mtime_ns or 0
                )
                for row in rows
                if row.table is not None
            }
            self._state.note_removed(path, results)

    def _decode(self, plan: PartitionPlan) -> None:
        due = plan.due
        progress = DecodeProgress(
            self._settings.log, len(due), sum(each.log.size_bytes for each in due)
        )
        results = self._results(due, progress)
        with progress.reporting(), contextlib.closing(results):
            for planned, result in results:
                progress.add_log(planned.log.size_bytes)
                self._state.add(planned, result)
                if any(fault.code == "PROCESS_DIED" for fault in result.faults):
                    self._reclaim()

    def _results(
        self, due: Sequence[PlannedLog], progress: DecodeProgress
    ) -> Generator[tuple[PlannedLog, LogResult], None, None]:
        """Yield the result of each log as it comes."""
        with self._pool(due) as pool:
            work = _Work(pool, self._task, progress, self._check)
            if len(due) < 2 or pool.size < 2:
                yield from ((planned, work(planned)) for planned in due)
                return
            threads = concurrent.futures.ThreadPoolExecutor(
                min(pool.size, len(due)), "roboto-decode"
            )
            try:
                futures = {threads.submit(work, planned): planned for planned in due}
                for future in concurrent.futures.as_completed(futures):
                    yield futures.pop(future), future.result()
            finally:
                # An interrupt, or an error: what runs ends at its next look.
                self._stopped.set()
                threads.shutdown(wait=True, cancel_futures=True)

    def _pool(self, due: Sequence[PlannedLog]) -> contextlib.AbstractContextManager[DecodePool]:
        if self._settings.pool is not None:
            return contextlib.nullcontext(self._settings.pool)
        processes = self._settings.options.processes
        return DecodePool(1 if len(due) < 2 else processes)

    def _check(self) -> None:
        self._settings.cancellation.check()
        if self._stopped.is_set():
            raise SyncCancelledError

    def _task(self, planned: PlannedLog) -> LogTask:
        settings = self._settings
        return LogTask(
            log=planned.log,
            decoder=planned.decoder,
            topics=settings.options.topics,
            keep_partial=settings.options.keep_partial,
            destination=settings.destination,
            durability=settings.durability,
            asset=settings.manifest.parent.name,
            earlier=tuple(tables_of(planned.known)),
        )


class _Work:
    """Decodes one log in any thread."""

    def __init__(
        self,
        pool: DecodePool,
        task: Callable[[PlannedLog], LogTask],
        progress: DecodeProgress,
        check: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._task = task
        self._progress = progress
        self._check = check

    def __call__(self, planned: PlannedLog) -> LogResult:
        self._check()
        return self._pool.decode(self._task(planned), self._progress.add_rows, self._check)

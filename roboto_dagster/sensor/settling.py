"""Decides which changes are settled, and which partitions they call for."""

import dataclasses
import datetime as dt

from roboto_dagster.platform.changes import ChangeQueries
from roboto_dagster.platform.queries import Query, where
from roboto_dagster.run_requests.partition_windows import WindowFinder
from roboto_dagster.sensor.cursor import Change
from roboto_dagster.sensor.options import SensorOptions
from roboto_dagster.sensor.walk import Deadline


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """Sorts changes.

    Attributes:
        queries: Asks the platform.
        options: Of the sensor.
        now: The time.
        windows: Finds windows of time, where they decide on a dataset's partitions.
    """

    queries: ChangeQueries
    options: SensorOptions
    now: dt.datetime
    windows: WindowFinder | None

    def sort(
        self, changes: dict[str, Change], deadline: Deadline
    ) -> tuple[list[Change], dict[str, Change]]:
        """Part what is settled from what has to wait.

        Args:
            changes: By dataset, those that have waited longest first.
            deadline: When to stop asking the platform; what needs no question is settled in any case.

        Returns:
            The settled changes, no more than a tick may request, and those that wait for the next one.

        Raises:
            PlatformError: The platform could not be asked.
        """
        settled: list[Change] = []
        unsettled: dict[str, Change] = {}
        next_time: dict[str, Change] = {}
        for dataset_id, change in changes.items():
            is_late = self._has_questions(change) and deadline.has_passed
            if is_late or len(settled) >= self.options.max_datasets_per_tick:
                next_time[dataset_id] = change
            elif self._is_settled(change):
                searched = self._search_windows(change, deadline)
                settled.append(searched)
                if searched.find_windows_from is not None:
                    next_time[dataset_id] = searched.model_copy(update={"windows": ()})
            else:
                unsettled[dataset_id] = change
        # Those that were asked about in vain come last, or they would keep the others from their turn.
        return settled, next_time | unsettled

    def _has_questions(self, change: Change) -> bool:
        is_conditional = self.options.quiet_seconds > 0 or self.options.wait_until_ingested
        return is_conditional or change.find_windows_from is not None

    def _is_settled(self, change: Change) -> bool:
        if self.options.quiet_seconds > 0:
            quiet_since = self.now - self.options.quiet
            # A time further ahead than clocks differ is not that of the last change.
            latest = self.now + self.options.overlap
            changed_recently = quiet_since < change.modified <= latest
            recent_files = (
                where("modified", "GREATER_THAN", quiet_since),
                where("modified", "LESS_THAN_OR_EQUAL", latest),
            )
            if changed_recently or self.queries.has_files(change.dataset_id, *recent_files):
                return False
        if self.options.wait_until_ingested:
            ingestable = where("ingestable", "EQUALS", True)
            not_yet = where("ingestion_status", "NOT_EQUALS", "ingested")
            return not self.queries.has_files(change.dataset_id, ingestable, not_yet)
        return True

    def _search_windows(self, change: Change, deadline: Deadline) -> Change:
        """Find the windows that hold files of the dataset, with one question for each of them."""
        found, position = list(change.windows), change.find_windows_from
        while position is not None and self.windows is not None and not deadline.has_passed:
            file = self.queries.oldest_file(change.dataset_id, *self._conditions(change, position))
            if file is None:
                position = None
                break
            window = self.windows.find(file.created)
            if window is not None and window not in found:
                found.append(window)
            position = self.windows.next_after(max(file.created, position))
        update = {"windows": tuple(found), "find_windows_from": position}
        return change.model_copy(update=update)

    def _conditions(self, change: Change, position: dt.datetime) -> list[Query]:
        conditions = [where("created", "GREATER_THAN_OR_EQUAL", position)]
        if change.files_modified_from is not None:
            modified = where("modified", "GREATER_THAN_OR_EQUAL", change.files_modified_from)
            conditions.append(modified)
        return conditions

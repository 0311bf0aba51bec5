"""The settings of the dataset sensor, checked when it is defined."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from roboto_dagster.platform.queries import Query
from roboto_dagster.setting_checks import (
    MOST_SECONDS,
    check_choice,
    check_count,
    check_flag,
    check_moment,
    check_seconds,
    check_tags,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorOptions:
    """What `build_roboto_dataset_sensor` is given; its docstring describes each.

    Raises:
        ConfigurationError: One of them cannot work.
    """

    query: Query | None
    since: dt.datetime | None
    watch_files: bool
    quiet_seconds: float
    wait_until_ingested: bool
    on_deleted: Literal["keep", "remove"]
    deletion_scan_interval_seconds: float
    overlap_seconds: float
    max_datasets_per_tick: int
    time_budget_seconds: float
    request_runs: bool
    run_tags: Mapping[str, str]
    minimum_interval_seconds: int

    def __post_init__(self) -> None:
        check_moment("since", self.since)
        check_choice("on_deleted", self.on_deleted, ("keep", "remove"))
        for name in ("watch_files", "wait_until_ingested", "request_runs"):
            check_flag(name, getattr(self, name))
        for name in ("quiet_seconds", "deletion_scan_interval_seconds", "overlap_seconds"):
            check_seconds(name, getattr(self, name), may_be_zero=True)
        check_seconds("time_budget_seconds", self.time_budget_seconds)
        check_count("max_datasets_per_tick", self.max_datasets_per_tick)
        check_count("minimum_interval_seconds", self.minimum_interval_seconds, most=MOST_SECONDS)
        check_tags("run_tags", self.run_tags)

    @property
    def quiet(self) -> dt.timedelta:
        """How long a dataset must not have changed."""
        return dt.timedelta(seconds=self.quiet_seconds)

    @property
    def overlap(self) -> dt.timedelta:
        """How long after it happened the platform may first show a change."""
        return dt.timedelta(seconds=self.overlap_seconds)

    @property
    def deletion_scan_interval(self) -> dt.timedelta:
        """How long after a deletion scan the next one is due."""
        return dt.timedelta(seconds=self.deletion_scan_interval_seconds)

"""The settings of the dataset sensor, checked when it is defined."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from roboto_dagster.platform.queries import Query
from roboto_dagster.setting_checks import MOST_SECONDS
from roboto_dagster.validation import CheckedSettings

Seconds = Annotated[float, Field(ge=0, le=MOST_SECONDS, allow_inf_nan=False)]
PositiveSeconds = Annotated[float, Field(gt=0, le=MOST_SECONDS, allow_inf_nan=False)]


class SensorOptions(CheckedSettings):
    """What `build_roboto_dataset_sensor` is given; its docstring describes each."""

    query: Query | None
    since: AwareDatetime | None
    watch_files: bool
    quiet_seconds: Seconds
    wait_until_ingested: bool
    vanished: Literal["keep", "remove"]
    vanished_interval_seconds: Seconds
    overlap_seconds: Seconds
    max_datasets_per_tick: Annotated[int, Field(ge=1)]
    time_budget_seconds: PositiveSeconds
    request_runs: bool
    run_tags: Mapping[str, str]
    minimum_interval_seconds: Annotated[int, Field(ge=1, le=MOST_SECONDS)]

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
        return dt.timedelta(seconds=self.vanished_interval_seconds)

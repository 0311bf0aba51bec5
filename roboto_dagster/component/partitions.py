"""The partitions of the component's YAML, and Dagster's definition of them."""

from collections.abc import Sequence
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from roboto_dagster.component.fields import SettingsModel
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.partitions import PartitionsDef

_WINDOWS = {
    "hourly": dg.HourlyPartitionsDefinition,
    "daily": dg.DailyPartitionsDefinition,
    "weekly": dg.WeeklyPartitionsDefinition,
    "monthly": dg.MonthlyPartitionsDefinition,
}


class DatasetPartitions(SettingsModel):
    """What the partitions are: datasets, windows of time, or both."""

    datasets: Literal["dynamic", "none"] | list[str] = Field(
        default="dynamic",
        description="dynamic: one partition for each dataset, added by the sensor. A list of ids: just those. none: "
        "windows of time alone. Default dynamic.",
    )
    dynamic_name: str | None = Field(
        default=None,
        description="Name of the dynamic partitions; assets of the same name share them. Default: <asset>_datasets.",
    )
    window: Literal["hourly", "daily", "weekly", "monthly"] | None = Field(
        default=None,
        description="Windows of time. Without datasets a window holds the datasets created in it, with them the files "
        "of the dataset that were created in it. Default: none.",
    )
    start: str | None = Field(
        default=None,
        description="Start of the first window, such as 2026-01-01. Needed with window.",
    )
    end: str | None = Field(default=None, description="End of the last window. Default: now.")
    timezone: str | None = Field(
        default=None, description="Time zone of the windows. Default: UTC."
    )
    query: dict[str, Any] | None = Field(
        default=None,
        description="Which datasets belong to a window: a condition of the platform's query language. Default: all.",
    )

    def is_query(self) -> bool:
        """Return whether nothing but the query is set."""
        return self.model_fields_set <= {"query"}

    def definition(self, name: str) -> PartitionsDef:
        """Return Dagster's definition.

        Args:
            name: Of the asset, for the name of its dynamic partitions.

        Raises:
            ConfigurationError: There are neither datasets nor windows, a window lacks its start or has
                none that Dagster can read, or a setting would have no effect.
        """
        self._check_all_are_used()
        datasets = self._datasets(name)
        windows = self._windows()
        if datasets is not None and windows is not None:
            return dg.MultiPartitionsDefinition({"dataset": datasets, "window": windows})
        found = datasets or windows
        if found is None:
            msg = f"The partitions of {name} have datasets: none and no window: give one of them."
            raise ConfigurationError(msg)
        return found

    def _check_all_are_used(self) -> None:
        unused: Sequence[str] = []
        if self.window is None:
            of_windows = ("start", "end", "timezone")
            unused = [name for name in of_windows if getattr(self, name) is not None]
        if self.datasets != "dynamic" and self.dynamic_name is not None:
            unused = [*unused, "dynamic_name"]
        if unused:
            raise ConfigurationError(
                f"partitions: {', '.join(unused)} would have no effect without "
                f"{'datasets: dynamic' if unused == ['dynamic_name'] else 'window'}. Add it, or leave that out."
            )

    def _datasets(self, name: str) -> PartitionsDef | None:
        if self.datasets == "none":
            return None
        if self.datasets == "dynamic":
            return dg.DynamicPartitionsDefinition(name=self.dynamic_name or f"{name}_datasets")
        return dg.StaticPartitionsDefinition(list(self.datasets))

    def _windows(self) -> PartitionsDef | None:
        if self.window is None:
            return None
        if self.start is None:
            msg = (
                f"{self.window.capitalize()} partitions need a start, such as start: '2026-01-01'."
            )
            raise ConfigurationError(msg)
        window: type[Any] = _WINDOWS[self.window]
        try:
            made: PartitionsDef = window(
                start_date=self.start, end_date=self.end, timezone=self.timezone or "UTC"
            )
        except (
            Exception
        ) as error:  # Dagster raises several kinds for a date or a time zone that is none
            raise ConfigurationError(
                f"partitions: {self.window} windows from {self.start!r} to {self.end!r} in the time zone "
                f"{self.timezone or 'UTC'!r} are none that Dagster knows: {error}"
            ) from error
        return made

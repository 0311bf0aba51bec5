"""The parts of the component's YAML that say how Dagster treats the asset: its source and its freshness."""

import datetime as dt
from collections.abc import Sequence

import dagster as dg
from pydantic import Field

from roboto_dagster.component.fields import SettingsModel, hours, no_hours, setting
from roboto_dagster.component.framework import Tags
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.source_asset import DEFAULT_SOURCE_KEY, build_roboto_source_asset


class SourceAsset(SettingsModel):
    """The upstream asset that stands for the platform."""

    key: str = Field(
        default=DEFAULT_SOURCE_KEY.to_user_string(),
        description="Its key; slashes make several parts. Default roboto/platform.",
    )
    url: str | None = setting(build_roboto_source_asset, "url")
    group_name: str | None = setting(build_roboto_source_asset, "group_name")
    description: str | None = setting(build_roboto_source_asset, "description")
    owners: list[str] | None = setting(build_roboto_source_asset, "owners")
    tags: Tags | None = setting(build_roboto_source_asset, "tags")

    def has_details(self) -> bool:
        """Return whether it has more than a key and a link, which a dependency carries, too."""
        return any(value is not None for value in self.model_dump(exclude={"key", "url"}).values())

    def spec(self) -> dg.AssetSpec:
        """Return the asset, the same object for the same settings."""
        key = dg.AssetKey.from_user_string(self.key)
        return build_roboto_source_asset(key, **self.model_dump(exclude={"key"}))


def defining_source(sources: Sequence[SourceAsset]) -> SourceAsset:
    """Return which of several components' equal sources defines the asset for all of them.

    Dagster adds to a definition from which component it came, so that two equal ones would be in conflict.

    Args:
        sources: Of one key, in the order of the components.

    Returns:
        The first that has more than a key and a link, else the first.

    Raises:
        ConfigurationError: Two of them define the asset differently.
    """
    detailed = [each for each in sources if each.has_details()] or [sources[0]]
    different = [each for each in detailed if each.spec() is not detailed[0].spec()]
    links = {each.url for each in sources}
    if different or len(links) > 1:
        raise ConfigurationError(
            f"Several components define the source {sources[0].key} differently. Give one of them its group_name, "
            "owners and tags, all of them the same url, or another key to those of another platform."
        )
    return detailed[0]


class Freshness(SettingsModel):
    """Dagster's own freshness policy: a window of hours, or a deadline."""

    fail_window_hours: float | None = Field(
        default=None,
        description="The asset is stale when its newest materialization is older, in hours. Default: see deadline_cron.",
    )
    warn_window_hours: float | None = Field(
        default=None,
        description="From what age on Dagster warns, in hours, less than fail_window_hours. Default: no warning.",
    )
    deadline_cron: str | None = Field(
        default=None,
        description="When a materialization has to be there, such as '0 9 * * *', in place of a window. Default: none.",
    )
    lower_bound_hours: float | None = Field(
        default=None,
        description="How long before the deadline a materialization counts, in hours. Needed with deadline_cron.",
    )
    timezone: str | None = Field(
        default=None, description="Time zone of the deadline. Default: UTC."
    )

    def policy(self) -> dg.FreshnessPolicy:
        """Return the policy.

        Raises:
            ConfigurationError: It is neither a window nor a deadline, or cannot work.
        """
        self._check_form()
        try:
            if self.deadline_cron is None:
                return dg.FreshnessPolicy.time_window(
                    fail_window=_hours("fail_window_hours", self.fail_window_hours),
                    warn_window=None
                    if self.warn_window_hours is None
                    else _hours("warn_window_hours", self.warn_window_hours),
                )
            return dg.FreshnessPolicy.cron(
                deadline_cron=self.deadline_cron,
                lower_bound_delta=_hours("lower_bound_hours", self.lower_bound_hours),
                timezone=self.timezone or "UTC",
            )
        except Exception as error:  # Dagster raises several kinds
            raise ConfigurationError(f"freshness cannot work: {error}") from error

    def _check_form(self) -> None:
        of_window = {"fail_window_hours", "warn_window_hours"}
        of_deadline = {"deadline_cron", "lower_bound_hours", "timezone"}
        given = {name for name in of_window | of_deadline if getattr(self, name) is not None}
        is_window = "fail_window_hours" in given and given <= of_window
        is_deadline = {"deadline_cron", "lower_bound_hours"} <= given <= of_deadline
        if not is_window and not is_deadline:
            raise ConfigurationError(
                "freshness must have fail_window_hours (and maybe warn_window_hours), or deadline_cron and "
                f"lower_bound_hours (and maybe timezone), not {', '.join(sorted(given)) or 'nothing'}."
            )


def _hours(name: str, number: float | None) -> dt.timedelta:
    found = hours(f"freshness: {name}", number or 0)
    if found <= dt.timedelta(0):
        raise no_hours(f"freshness: {name}", number)
    return found

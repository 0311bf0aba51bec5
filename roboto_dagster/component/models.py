"""The parts of the component's YAML, and what each of them becomes.

Defaults and descriptions come from the functions, resources and dataclasses that have the settings
(`roboto_dagster.component.fields`); written out here is only what exists in YAML alone.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from roboto_dagster.checks import build_roboto_dataset_checks
from roboto_dagster.component.fields import SettingsModel, hours, setting
from roboto_dagster.component.framework import Tags
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.resources import (
    AwsCredentialsResource,
    ObjectStoreResource,
    RobotoCredentialsResource,
    RobotoResource,
)
from roboto_dagster.schedules import build_roboto_sync_schedule
from roboto_dagster.sensors import build_roboto_dataset_sensor
from roboto_dagster.sync.shards.division import ShardOptions


class RobotoConnection(SettingsModel):
    """How the platform is reached."""

    api_key_env: str | None = Field(
        default=None,
        description="Name of the environment variable that holds the API key. Default: ROBOTO_API_KEY, then the SDK's "
        "configuration file.",
    )
    endpoint: str | None = setting(RobotoResource, "endpoint")
    profile: str | None = setting(RobotoResource, "profile")
    org_id: str | None = setting(RobotoResource, "org_id")
    config_file: str | None = setting(RobotoResource, "config_file")
    max_attempts: int = setting(RobotoResource, "max_attempts")
    timeout_seconds: float = setting(RobotoResource, "timeout_seconds")
    max_requests_per_second: float | None = setting(RobotoResource, "max_requests_per_second")

    def resource(self) -> RobotoResource:
        """Return the resource; the key stays in the environment until a run needs it."""
        settings = self.model_dump(exclude={"api_key_env"})
        api_key = dg.EnvVar(self.api_key_env) if self.api_key_env else None
        return RobotoResource(api_key=api_key, **settings)


class StoreConnection(SettingsModel):
    """How the files are reached."""

    engine: Literal["auto", "curl", "boto3"] = setting(ObjectStoreResource, "engine")
    endpoint_url: str | None = setting(ObjectStoreResource, "endpoint_url")
    max_connections: int | None = setting(ObjectStoreResource, "max_connections")
    max_bandwidth_mib_s: float | None = setting(ObjectStoreResource, "max_bandwidth_mib_s")
    stall_timeout_seconds: float = setting(ObjectStoreResource, "stall_timeout_seconds")
    durability: Literal["none", "file", "full"] = setting(ObjectStoreResource, "durability")
    verify: Literal["auto", "checksum", "size"] = setting(ObjectStoreResource, "verify")
    credentials: Literal["roboto", "aws"] = Field(
        default="roboto",
        description="roboto: short-lived ones from the platform. aws: this machine's own AWS identity, for your own "
        "buckets. Default roboto.",
    )
    aws_profile: str | None = setting(AwsCredentialsResource, "profile")
    aws_role_arn: str | None = setting(AwsCredentialsResource, "role_arn")
    aws_region: str | None = setting(AwsCredentialsResource, "region")

    def resource(self) -> ObjectStoreResource:
        """Return the resource.

        Raises:
            ConfigurationError: An AWS setting is given that the credentials would not use.
        """
        of_aws = {"aws_profile", "aws_role_arn", "aws_region"}
        settings = self.model_dump(exclude=of_aws | {"credentials"})
        aws = {name.removeprefix("aws_"): getattr(self, name) for name in sorted(of_aws)}
        if self.credentials == "aws":
            return ObjectStoreResource(credentials=AwsCredentialsResource(**aws), **settings)
        unused = [f"aws_{name}" for name, value in aws.items() if value is not None]
        if unused:
            raise ConfigurationError(
                f"object_store: {', '.join(unused)} would have no effect. Add credentials: aws, or leave it out."
            )
        return ObjectStoreResource(credentials=RobotoCredentialsResource(), **settings)


class DatasetSensor(SettingsModel):
    """The sensor that turns new and changed datasets into partitions and runs."""

    name: str | None = setting(build_roboto_dataset_sensor, "name")
    query: dict[str, Any] | None = setting(build_roboto_dataset_sensor, "query")
    since: str | None = Field(
        default=None,
        description="Time with its zone, such as 2026-01-01T00:00:00Z: what was last modified before is left alone. "
        "Default: the first tick takes all.",
    )
    watch_files: bool = setting(build_roboto_dataset_sensor, "watch_files")
    quiet_seconds: float = setting(build_roboto_dataset_sensor, "quiet_seconds")
    wait_until_ingested: bool = setting(build_roboto_dataset_sensor, "wait_until_ingested")
    on_deleted: Literal["keep", "remove"] = setting(build_roboto_dataset_sensor, "on_deleted")
    deletion_scan_interval_seconds: float = setting(
        build_roboto_dataset_sensor, "deletion_scan_interval_seconds"
    )
    vanished: Literal["keep", "remove"] | None = setting(build_roboto_dataset_sensor, "vanished")
    vanished_interval_seconds: float | None = setting(
        build_roboto_dataset_sensor, "vanished_interval_seconds"
    )
    overlap_seconds: float = setting(build_roboto_dataset_sensor, "overlap_seconds")
    max_datasets_per_tick: int = setting(build_roboto_dataset_sensor, "max_datasets_per_tick")
    time_budget_seconds: float = setting(build_roboto_dataset_sensor, "time_budget_seconds")
    request_runs: bool = setting(build_roboto_dataset_sensor, "request_runs")
    run_tags: Tags | None = setting(build_roboto_dataset_sensor, "run_tags")
    minimum_interval_seconds: int = setting(build_roboto_dataset_sensor, "minimum_interval_seconds")
    description: str | None = setting(build_roboto_dataset_sensor, "description")
    tags: Tags | None = setting(build_roboto_dataset_sensor, "tags")
    metadata: dict[str, Any] | None = setting(build_roboto_dataset_sensor, "metadata")
    owners: list[str] | None = setting(build_roboto_dataset_sensor, "owners")
    running: bool = Field(
        default=False,
        description="Whether the sensor runs without being switched on in the UI. Default false.",
    )

    def build(self, asset: dg.AssetsDefinition, roboto_resource_key: str) -> dg.SensorDefinition:
        """Return the sensor of an asset.

        Args:
            asset: Of the component.
            roboto_resource_key: The resource that is the platform.
        """
        status = dg.DefaultSensorStatus
        return build_roboto_dataset_sensor(
            asset,
            **self.model_dump(exclude={"running", "since"}),
            since=None if self.since is None else _time(self.since),
            default_status=status.RUNNING if self.running else status.STOPPED,
            roboto_resource_key=roboto_resource_key,
        )


class SyncSchedule(SettingsModel):
    """The schedule that updates partitions."""

    name: str | None = setting(build_roboto_sync_schedule, "name")
    cron_schedule: str | list[str] = setting(build_roboto_sync_schedule, "cron_schedule")
    timezone: str | None = setting(build_roboto_sync_schedule, "execution_timezone")
    partition_keys: list[str] | None = setting(build_roboto_sync_schedule, "partition_keys")
    only_changed: bool = setting(build_roboto_sync_schedule, "only_changed")
    list_all_every: int = setting(build_roboto_sync_schedule, "list_all_every")
    overlap_seconds: float = setting(build_roboto_sync_schedule, "overlap_seconds")
    run_tags: Tags | None = setting(build_roboto_sync_schedule, "run_tags")
    description: str | None = setting(build_roboto_sync_schedule, "description")
    tags: Tags | None = setting(build_roboto_sync_schedule, "tags")
    metadata: dict[str, Any] | None = setting(build_roboto_sync_schedule, "metadata")
    owners: list[str] | None = setting(build_roboto_sync_schedule, "owners")
    running: bool = Field(
        default=False,
        description="Whether the schedule runs without being switched on in the UI. Default false.",
    )

    def build(self, asset: dg.AssetsDefinition, roboto_resource_key: str) -> dg.ScheduleDefinition:
        """Return the schedule of an asset.

        Args:
            asset: Of the component.
            roboto_resource_key: The resource that is the platform.
        """
        status = dg.DefaultScheduleStatus
        return build_roboto_sync_schedule(
            asset,
            **self.model_dump(exclude={"running", "timezone"}),
            execution_timezone=self.timezone,
            default_status=status.RUNNING if self.running else status.STOPPED,
            roboto_resource_key=roboto_resource_key,
        )


class DeliveryChecks(SettingsModel):
    """The checks of what was delivered."""

    blocking: bool = setting(build_roboto_dataset_checks, "blocking")
    checksums: Literal["sample", "all", "none"] = setting(build_roboto_dataset_checks, "checksums")
    sample_files: int = setting(build_roboto_dataset_checks, "sample_files")
    compare_listing: bool = setting(build_roboto_dataset_checks, "compare_listing")
    max_age_hours: float | None = Field(
        default=None, description="How old a sync may be, in hours. Default: any age."
    )

    def build(
        self, asset: dg.AssetsDefinition, roboto_resource_key: str
    ) -> Sequence[dg.AssetChecksDefinition]:
        """Return the checks of an asset.

        Args:
            asset: Of the component.
            roboto_resource_key: The resource that is the platform.
        """
        return build_roboto_dataset_checks(
            asset,
            **self.model_dump(exclude={"max_age_hours"}),
            max_age=None
            if self.max_age_hours is None
            else hours("checks: max_age_hours", self.max_age_hours),
            roboto_resource_key=roboto_resource_key,
        )


class Repetition(SettingsModel):
    """How what fails transiently is retried inside the step."""

    max_attempts: int = setting(RetryConfig, "max_attempts")
    wait_initial_seconds: float = setting(RetryConfig, "wait_initial_seconds")
    wait_max_seconds: float = setting(RetryConfig, "wait_max_seconds")
    deadline_seconds: float | None = setting(RetryConfig, "deadline_seconds")

    def config(self) -> RetryConfig:
        """Return the policy."""
        return RetryConfig(**self.model_dump())


class Shards(SettingsModel):
    """How a partition is divided among many workers."""

    max_shards: int = setting(ShardOptions, "max_shards")
    min_shard_mib: int = setting(ShardOptions, "min_shard_mib")

    def options(self) -> ShardOptions:
        """Return the options."""
        return ShardOptions(**self.model_dump())


def _time(text: str) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 knows no Z
    except ValueError as error:
        raise ConfigurationError(
            f"sensor: since must be a time with its zone, such as 2026-01-01T00:00:00Z, not {text!r}."
        ) from error

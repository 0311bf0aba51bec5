"""The component: the whole pipeline from YAML, for `dg`.

`dg scaffold defs roboto_dagster.RobotoDatasetComponent NAME` writes a starting point.
"""

import datetime as dt
import json
import pathlib
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import dagster as dg
from dagster.components.resolved.core_models import OpSpec
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver
from pydantic import BaseModel, Field

from roboto_dagster.asset_config import DatasetAssetConfig
from roboto_dagster.assets import KINDS, materialize_partitions
from roboto_dagster.checks import build_roboto_dataset_checks
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.partitions import PartitionsDef, partitioning_of
from roboto_dagster.platform.queries import checked_query
from roboto_dagster.resources import (
    AwsCredentialsResource,
    ObjectStoreResource,
    RobotoCredentialsResource,
    RobotoResource,
)
from roboto_dagster.schedules import build_roboto_sync_schedule
from roboto_dagster.sensors import build_roboto_dataset_sensor
from roboto_dagster.sync.options import (
    DEFAULT_RESERVE_BYTES,
    OnEmpty,
    OnMissing,
    OnRefused,
    SyncOptions,
)

_WINDOWS = {
    "hourly": dg.HourlyPartitionsDefinition,
    "daily": dg.DailyPartitionsDefinition,
    "weekly": dg.WeeklyPartitionsDefinition,
    "monthly": dg.MonthlyPartitionsDefinition,
}


class RobotoConnection(dg.Model, dg.Resolvable):
    """How the platform is reached."""

    api_key_env: str | None = Field(
        default=None,
        description="Name of the environment variable that holds the API key. Default: what the SDK finds, which is "
        "ROBOTO_API_KEY or its configuration file.",
    )
    endpoint: str | None = Field(
        default=None,
        description="URL of the API. Default: ROBOTO_SERVICE_ENDPOINT, the profile's, https://api.roboto.ai.",
    )
    profile: str | None = Field(
        default=None,
        description="Profile of the SDK's configuration file. Default: its default profile.",
    )
    org_id: str | None = Field(
        default=None,
        description="Organization to act for. Default: the organization that owns the dataset.",
    )

    def resource(self) -> RobotoResource:
        """Makes the resource; the key stays in the environment until a run needs it."""
        return RobotoResource(
            api_key=dg.EnvVar(self.api_key_env) if self.api_key_env else None,
            endpoint=self.endpoint,
            profile=self.profile,
            org_id=self.org_id,
        )


class StoreConnection(dg.Model, dg.Resolvable):
    """How the files are reached."""

    engine: Literal["auto", "curl", "boto3"] = Field(
        default="auto",
        description="The transfer engine. Default auto: curl where pycurl is installed, else boto3.",
    )
    endpoint_url: str | None = Field(
        default=None,
        description="URL of an S3-compatible store. Default: AWS_ENDPOINT_URL_S3, else AWS itself.",
    )
    max_connections: int | None = Field(
        default=None,
        description="Upper bound of connections in use at once. Default: the engine's choice.",
    )
    stall_timeout_seconds: float = Field(
        default=15.0,
        description="A connection without bytes for so long is dropped and asked again. Default 15.",
    )
    verify: Literal["auto", "checksum", "size"] = Field(
        default="auto",
        description="auto: the best checksum the store gives, else the size. checksum: a file without one fails.",
    )
    credentials: Literal["roboto", "aws"] = Field(
        default="roboto",
        description="roboto: what the platform hands out. aws: this machine's own AWS identity, for your own buckets.",
    )
    aws_profile: str | None = Field(
        default=None,
        description="AWS profile, with credentials: aws. Default: boto3's usual search.",
    )
    aws_role_arn: str | None = Field(
        default=None, description="Role to assume with that identity. Default: none."
    )

    def resource(self) -> ObjectStoreResource:
        """Makes the resource."""
        aws = AwsCredentialsResource(profile=self.aws_profile, role_arn=self.aws_role_arn)
        return ObjectStoreResource(
            engine=self.engine,
            endpoint_url=self.endpoint_url,
            max_connections=self.max_connections,
            stall_timeout_seconds=self.stall_timeout_seconds,
            verify=self.verify,
            credentials=aws if self.credentials == "aws" else RobotoCredentialsResource(),
        )


class DatasetPartitions(dg.Model, dg.Resolvable):
    """What the partitions are: datasets, windows of time, or both."""

    datasets: Literal["dynamic", "none"] | list[str] = Field(
        default="dynamic",
        description="dynamic: one partition for each dataset, added by the sensor. A list of ids: just those. none: "
        "windows of time alone. Default dynamic.",
    )
    dynamic_name: str | None = Field(
        default=None,
        description="Name of the dynamic partitions; assets of the same name share them. Default: <name>_datasets.",
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

    def definition(self, name: str) -> PartitionsDef:
        """Makes Dagster's definition.

        Raises:
            ConfigurationError: There are neither datasets nor windows, or a window lacks its start.
        """
        datasets = self._datasets(name)
        windows = self._windows()
        if datasets is not None and windows is not None:
            return dg.MultiPartitionsDefinition({"dataset": datasets, "window": windows})
        found = datasets or windows
        if found is None:
            msg = f"The partitions of {name} have datasets: none and no window: give one of them."
            raise ConfigurationError(msg)
        return found

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
        timezone = self.timezone or "UTC"
        window: type[Any] = _WINDOWS[self.window]
        made: PartitionsDef = window(start_date=self.start, end_date=self.end, timezone=timezone)
        return made


class DatasetSensor(dg.Model, dg.Resolvable):
    """The sensor that turns new and changed datasets into partitions and runs."""

    query: dict[str, Any] | None = Field(
        default=None,
        description="Which datasets to watch: a condition of the platform's query language, such as {field: tags, "
        "comparator: CONTAINS, value: flight}. Default: all.",
    )
    watch_files: bool = Field(
        default=True,
        description="Whether new and changed files count as a change of their dataset. Default true.",
    )
    quiet_seconds: float = Field(
        default=0.0,
        description="Wait until neither dataset nor files have changed for so long. Default 0.",
    )
    wait_until_ingested: bool = Field(
        default=False,
        description="Wait until all files of the dataset that can be ingested are. Default false.",
    )
    vanished: Literal["keep", "remove"] = Field(
        default="keep",
        description="Whether partitions of datasets that are gone stay in Dagster. Default keep.",
    )
    max_datasets_per_tick: int = Field(
        default=100, description="How many datasets one tick may request runs for. Default 100."
    )
    request_runs: bool = Field(
        default=True,
        description="False adds partitions only, for an asset with an automation condition. Default true.",
    )
    minimum_interval_seconds: int = Field(
        default=60, description="Time between two ticks. Default 60."
    )
    running: bool = Field(
        default=False,
        description="Whether the sensor runs without being switched on in the UI. Default false.",
    )


class SyncSchedule(dg.Model, dg.Resolvable):
    """The schedule that brings partitions up to date."""

    cron_schedule: str = Field(description="When, such as '0 * * * *'.")
    timezone: str | None = Field(default=None, description="Time zone of the cron. Default: UTC.")
    partition_keys: list[str] | None = Field(
        default=None,
        description="Which partitions. Default: all, but of time windows only the last complete one.",
    )
    running: bool = Field(
        default=False,
        description="Whether the schedule runs without being switched on in the UI. Default false.",
    )


class DeliveryChecks(dg.Model, dg.Resolvable):
    """The checks of what was delivered."""

    blocking: bool = Field(
        default=False,
        description="Whether what depends on the asset waits for them. Default false.",
    )
    checksums: Literal["sample", "all", "none"] = Field(
        default="sample", description="Which files are read back. Default sample."
    )
    sample_files: int = Field(default=100, description="Size of the sample. Default 100.")
    compare_listing: bool = Field(
        default=True, description="Whether to compare with the platform's listing. Default true."
    )
    max_age_hours: float | None = Field(
        default=None, description="How old a sync may be. Default: any age."
    )


class Repetition(dg.Model, dg.Resolvable):
    """How what fails transiently is repeated inside the step."""

    max_attempts: int = Field(default=8, description="How often a file is tried in all. Default 8.")
    wait_initial_seconds: float = Field(
        default=0.5, description="Upper bound of the first wait; it doubles. Default 0.5."
    )
    wait_max_seconds: float = Field(
        default=30.0, description="Upper bound of any wait. Default 30."
    )
    deadline_seconds: float | None = Field(
        default=None, description="No attempt begins after so long. Default: no bound."
    )

    def config(self) -> RetryConfig:
        """Makes the policy."""
        return RetryConfig(**self.model_dump())


class ScaffoldParams(BaseModel):
    """What `dg scaffold defs` may be told."""

    name: str | None = Field(default=None, description="Name of the asset. Default: the folder's.")
    destination: str = Field(default="data/roboto", description="Folder for the files.")
    dataset_id: str | None = Field(
        default=None, description="The one dataset to bring. Default: every dataset, by a sensor."
    )


_SCAFFOLD = """\
type: {type_name}

attributes:
  name: {name}
  # Where the files go, taken from the folder in which Dagster runs.
  destination: {destination}
{subject}
  # Which files: patterns as in .gitignore. All of them if left out.
  include_patterns: ["*"]

  # The API key comes from this environment variable when a run needs it.
  roboto:
    api_key_env: ROBOTO_API_KEY

  checks:
    checksums: sample

  op:
    pool: roboto

  translation:
    group_name: roboto

requirements:
  env:
    - ROBOTO_API_KEY
"""
_ALL_DATASETS = """\

  # One partition for each dataset; the sensor adds them and requests their runs.
  partitions:
    datasets: dynamic
  sensor:
    quiet_seconds: 60
"""
_ONE_DATASET = """\
  dataset_id: {dataset_id}

  schedule:
    cron_schedule: "0 * * * *"
"""


class RobotoDatasetScaffolder(dg.Scaffolder[ScaffoldParams]):
    """Writes a starting point that loads as it is."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldParams]:
        """Returns what it may be told."""
        return ScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldParams]) -> None:
        """Writes `defs.yaml`, with comments, or Dagster's own skeleton of a Python component."""
        if request.scaffold_format != "yaml":
            dg.scaffold_component(request)
            return
        params = request.params
        one = _ONE_DATASET.format(dataset_id=params.dataset_id)
        text = _SCAFFOLD.format(
            type_name=request.type_name,
            name=json.dumps(params.name or _asset_name(request.target_path)),
            destination=json.dumps(params.destination),
            subject=one if params.dataset_id else _ALL_DATASETS,
        )
        path = request.target_path if request.append else request.target_path / "defs.yaml"
        with path.open("a" if request.append else "w", encoding="utf-8") as file:
            file.write(f"---\n{text}" if request.append else text)


def _asset_name(path: pathlib.Path) -> str:
    folder = path.parent.name if path.suffix else path.name
    return "".join(letter if letter.isalnum() else "_" for letter in folder) or "roboto_datasets"


@dg.scaffold_with(RobotoDatasetScaffolder)
class RobotoDatasetComponent(dg.Component, dg.Model, dg.Resolvable):
    """Roboto datasets on disk: the asset, and its sensor, schedule and checks.

    Two methods are made to be overridden: `get_asset_spec` says what the asset looks like, `execute`
    what its op does.
    """

    name: str = Field(description="Name of the asset; slashes make a key of several parts.")
    destination: str = Field(
        description="Folder for the files; a relative one is taken from the working directory of the code location."
    )
    dataset_id: str | None = Field(
        default=None, description="The dataset, if the asset is about one. Default: partitions."
    )
    partitions: DatasetPartitions | None = Field(
        default=None,
        description="The partitions, if it is about several datasets. Default: dynamic, one for each dataset.",
    )
    include_patterns: list[str] = Field(
        default_factory=list,
        description="Gitignore-style patterns of the files to bring. Default: all.",
    )
    exclude_patterns: list[str] = Field(
        default_factory=list,
        description="The same for files to leave out; they win over the included. Default: none.",
    )
    on_refused: OnRefused = Field(
        default="fail",
        description="Whether files that no disk could take (unsafe or colliding paths, bad records) fail the partition, "
        "or are left out: skip. Default fail.",
    )
    on_missing: OnMissing = Field(
        default="keep",
        description="Whether files that the platform no longer lists are kept or removed. Default keep.",
    )
    on_empty: OnEmpty = Field(
        default="fail",
        description="Whether a dataset without any wanted file fails, or is materialized empty: allow. Default fail.",
    )
    max_removals: int = Field(
        default=100,
        description="If more files than this would be removed, none is, and the partition fails. Default 100.",
    )
    free_space_reserve_bytes: int | None = Field(
        default=DEFAULT_RESERVE_BYTES,
        description="Bytes to leave free on the disk; null checks nothing. Default 64 MiB.",
    )
    roboto: RobotoConnection = Field(
        default_factory=RobotoConnection, description="How the platform is reached."
    )
    object_store: StoreConnection = Field(
        default_factory=StoreConnection, description="How the files are reached."
    )
    roboto_resource_key: str | None = Field(
        default=None,
        description="A resource of the project to use in place of `roboto`. Default: the component's own.",
    )
    object_store_resource_key: str | None = Field(
        default=None,
        description="A resource of the project to use in place of `object_store`. Default: the component's own.",
    )
    retry: Repetition = Field(
        default_factory=Repetition,
        description="How what fails transiently is repeated inside the step.",
    )
    step_retries: int = Field(
        default=0,
        description="How often Dagster repeats the whole step when something transient is left. Default 0.",
    )
    step_retry_delay_seconds: float = Field(
        default=60.0, description="How long Dagster waits before it repeats a step. Default 60."
    )
    sensor: DatasetSensor | None = Field(
        default=None,
        description="The sensor that turns new and changed datasets into partitions and runs. Default: none.",
    )
    schedule: SyncSchedule | None = Field(
        default=None, description="The schedule that brings partitions up to date. Default: none."
    )
    checks: DeliveryChecks | None = Field(
        default=None, description="The checks of what was delivered. Default: none."
    )
    op: OpSpec | None = Field(
        default=None, description="The op: name, tags, description, pool and backfill_policy."
    )
    translation: (
        Annotated[
            TranslationFn[Any],
            TranslationFnResolver[Any](
                template_vars_for_translation_fn=lambda data: {"data": data}
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="Attributes of the asset (key, group_name, owners, tags, …) that replace ours; `spec` is the asset "
        "as it would be without.",
    )

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """Returns how `dg` presents the component."""
        return dg.ComponentTypeSpec(
            description="Roboto datasets on disk: whole, verified, catalogued, and cheap to repeat.",
            tags=["roboto", "robotics", "s3", "ingestion"],
            produces=["asset", "asset_check", "schedule", "sensor", "resource"],
        )

    # --- made to be overridden ---

    def get_asset_spec(self) -> dg.AssetSpec:
        """Returns what the asset looks like in Dagster; override it to change that."""
        config = self._config()
        partitioning = partitioning_of(config, self._partitions_def())
        spec = dg.AssetSpec(
            key=dg.AssetKey(self.name.split("/")),
            description=partitioning.describe(),
            kinds=set(KINDS),
            code_version=config.code_version(),
            partitions_def=partitioning.whole,
        )
        return spec if self.translation is None else self.translation(spec, self)

    def execute(
        self,
        context: dg.AssetExecutionContext,
        roboto: RobotoResource,
        object_store: ObjectStoreResource,
    ) -> dg.MaterializeResult[Any]:
        """Brings the partitions of a run to the local disk; override it to do more.

        Args:
            context: Of the asset's op.
            roboto: The platform.
            object_store: The store of the files.
        """
        return materialize_partitions(
            context,
            partitioning_of(self._config(), context.assets_def.partitions_def),
            roboto=roboto,
            object_store=object_store,
            retry=self.retry.config(),
            options=SyncOptions(
                on_refused=self.on_refused,
                on_missing=self.on_missing,
                on_empty=self.on_empty,
                max_removals=self.max_removals,
                free_space_reserve_bytes=self.free_space_reserve_bytes,
            ),
        )

    # --- wiring ---

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 -- Dagster's
        """Builds the asset and what was asked for around it."""
        asset = self._asset(self.get_asset_spec())
        return dg.Definitions(
            assets=[asset],
            asset_checks=self._checks(asset),
            sensors=[self._sensor(asset)] if self.sensor else [],
            schedules=[self._schedule(asset)] if self.schedule else [],
            resources=self._resources(),
        )

    def _asset(self, spec: dg.AssetSpec) -> dg.AssetsDefinition:
        op = self.op or OpSpec()
        roboto_key, store_key = self._roboto_key(), self._store_key()
        retry_policy = dg.RetryPolicy(
            max_retries=self.step_retries, delay=self.step_retry_delay_seconds
        )

        @dg.multi_asset(
            name=op.name or "__".join(spec.key.path),
            specs=[spec.merge_attributes(metadata=self._config().to_metadata())],
            description=op.description,
            op_tags=op.tags,
            pool=op.pool,
            backfill_policy=op.backfill_policy,
            retry_policy=retry_policy if self.step_retries else None,
            required_resource_keys={roboto_key, store_key},
        )
        def roboto_dataset(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
            roboto = getattr(context.resources, roboto_key)
            object_store = getattr(context.resources, store_key)
            return self.execute(context, roboto, object_store)

        return roboto_dataset

    def _checks(self, asset: dg.AssetsDefinition) -> Sequence[dg.AssetChecksDefinition]:
        if self.checks is None:
            return []
        hours = self.checks.max_age_hours
        return build_roboto_dataset_checks(
            asset,
            blocking=self.checks.blocking,
            checksums=self.checks.checksums,
            sample_files=self.checks.sample_files,
            compare_listing=self.checks.compare_listing,
            max_age=None if hours is None else dt.timedelta(hours=hours),
            roboto_resource_key=self._roboto_key(),
        )

    def _sensor(self, asset: dg.AssetsDefinition) -> dg.SensorDefinition:
        told = self.sensor or DatasetSensor()
        status = dg.DefaultSensorStatus
        options = told.model_dump(exclude={"running"})
        return build_roboto_dataset_sensor(
            asset,
            **options,
            default_status=status.RUNNING if told.running else status.STOPPED,
            roboto_resource_key=self._roboto_key(),
        )

    def _schedule(self, asset: dg.AssetsDefinition) -> dg.ScheduleDefinition:
        assert self.schedule is not None  # noqa: S101 -- asked by the caller
        status = dg.DefaultScheduleStatus
        return build_roboto_sync_schedule(
            asset,
            self.schedule.cron_schedule,
            partition_keys=self.schedule.partition_keys,
            execution_timezone=self.schedule.timezone,
            default_status=status.RUNNING if self.schedule.running else status.STOPPED,
        )

    def _resources(self) -> dict[str, Any]:
        """Returns the component's own resources, under names that no other component has."""
        own: dict[str, Any] = {}
        if self.roboto_resource_key is None:
            own[self._roboto_key()] = self.roboto.resource()
        if self.object_store_resource_key is None:
            own[self._store_key()] = self.object_store.resource()
        return own

    def _roboto_key(self) -> str:
        return self.roboto_resource_key or f"{self._plain_name()}__roboto"

    def _store_key(self) -> str:
        return self.object_store_resource_key or f"{self._plain_name()}__object_store"

    def _plain_name(self) -> str:
        return self.name.replace("/", "__")

    def _partitions_def(self) -> PartitionsDef | None:
        if self.partitions is None and self.dataset_id is not None:
            return None
        return (self.partitions or DatasetPartitions()).definition(self._plain_name())

    def _config(self) -> DatasetAssetConfig:
        return DatasetAssetConfig(
            destination=pathlib.Path(self.destination).expanduser().absolute(),
            dataset_id=self.dataset_id,
            include_patterns=tuple(self.include_patterns),
            exclude_patterns=tuple(self.exclude_patterns),
            query=checked_query(self.partitions.query if self.partitions else None),
            may_lack_refused=self.on_refused == "skip",
        )

"""A component file that uses every field: it loads, and each setting arrives where it belongs."""

import datetime as dt
import pathlib
import textwrap
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster.components.testing import DefsFolderSandbox, create_defs_folder_sandbox

from roboto_dagster import RobotoDatasetComponent, RobotoFilesIOManager
from roboto_dagster.component.asset_models import Freshness, SourceAsset
from roboto_dagster.component.failure_sensor import FailureSensor
from roboto_dagster.component.framework import DatasetOp
from roboto_dagster.component.models import (
    DatasetSensor,
    DeliveryChecks,
    Repetition,
    RobotoConnection,
    StoreConnection,
    SyncSchedule,
)
from roboto_dagster.component.partitions import DatasetPartitions
from roboto_dagster.component.topics import TopicChecks, TopicExpectation, TopicsFields
from roboto_dagster.testing import LocalRoboto

# Dagster's own loading of YAML uses old names of pydantic's.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning"),
    pytest.mark.slow,
]

# What excludes another field stands in ALTERNATIVES.
EVERY_FIELD = """
name: raw/flight_logs
destination: "{{ env.DESTINATION }}"
partitions:
  datasets: none
  window: daily
  start: "2026-01-01"
  end: "2026-02-01"
  timezone: Europe/Berlin
  query: {field: name, comparator: CONTAINS, value: flight}
include_patterns: ["*.mcap"]
exclude_patterns: ["tmp/*"]
on_refused: skip
on_missing: remove
on_empty: allow
on_unchanged: observe
max_concurrent_partitions: 4
max_removals: 7
free_space_reserve_bytes: 1
retry: {max_attempts: 2, wait_initial_seconds: 0, wait_max_seconds: 0.1, deadline_seconds: 60}
roboto:
  api_key_env: THE_KEY
  endpoint: "{{ env.API }}"
  profile: null
  org_id: null
  config_file: null
  max_attempts: 2
  timeout_seconds: 5
  max_requests_per_second: 50
object_store:
  engine: boto3
  endpoint_url: "{{ env.STORE }}"
  max_connections: 4
  max_bandwidth_mib_s: 80.5
  stall_timeout_seconds: 9
  durability: file
  verify: size
  credentials: roboto
  aws_profile: null
  aws_role_arn: null
  aws_region: null
roboto_resource_key: null
object_store_resource_key: null
step_retries: 2
step_retry_delay_seconds: 1
source:
  key: roboto/acme
  url: https://app.example.com
  group_name: origin
  description: The platform of Acme.
  owners: ["team:robots"]
  tags: {tier: 1}
deps: [raw/maps]
freshness: {fail_window_hours: 24, warn_window_hours: 12}
backfill_policy: {type: multi_run, max_partitions_per_run: 5}
hooks: "{{ my_hooks }}"
check_specs: [{name: reviewed, asset: raw/flight_logs, description: By people.}]
io_manager_key: files
sensor:
  name: my_sensor
  query: {field: tags, comparator: CONTAINS, value: flight}
  since: 2026-01-01T00:00:00Z
  watch_files: false
  quiet_seconds: 5
  wait_until_ingested: true
  on_deleted: keep
  deletion_scan_interval_seconds: 60
  overlap_seconds: 10
  max_datasets_per_tick: 3
  time_budget_seconds: 20
  request_runs: false
  run_tags: {tries: 3}
  minimum_interval_seconds: 30
  description: Looks for flights.
  tags: {tier: 1}
  metadata: {wiki: here}
  owners: ["team:robots"]
  running: true
schedule:
  name: my_schedule
  cron_schedule: ["0 3 * * *", "0 15 * * *"]
  timezone: Europe/Berlin
  partition_keys: ["2026-01-02"]
  only_changed: false
  list_all_every: 12
  overlap_seconds: 60
  run_tags: {tries: 3}
  description: Twice a day.
  tags: {tier: 1}
  metadata: {wiki: here}
  owners: ["team:robots"]
  running: true
checks:
  blocking: true
  checksums: all
  sample_files: 5
  compare_listing: false
  max_age_hours: 48
failure_sensor:
  post: "{{ my_post }}"
  name: my_alert
  run_status: CANCELED
  webserver_url: https://dagster.example.com
  monitor_all_code_locations: true
  minimum_interval_seconds: 60
  description: Posts to the team.
  tags: {tier: 1}
  metadata: {wiki: here}
  running: true
topics:
  - name: tables/flight_topics
    upstream: raw/flight_logs
    destination: "{{ env.DESTINATION }}/topics"
    topics: ["/imu*", "!/camera/**"]
    fields: {/odom: [pose.pose]}
    decoders: "{{ my_decoders }}"
    on_failure: skip
    keep_partial: true
    raw: true
    ros_definitions: {my_msgs/msg/Wheel: float64 speed}
    processes: 2
    durability: file
    on_unchanged: observe
    max_concurrent_partitions: 2
    deps: [raw/maps]
    freshness: {fail_window_hours: 24}
    step_retries: 1
    step_retry_delay_seconds: 2
    backfill_policy: {type: single_run}
    hooks: "{{ my_hooks }}"
    check_specs: [{name: plotted, asset: tables/flight_topics}]
    io_manager_key: files
    op: {name: my_decoding, tags: {tier: 1}, pool: decoders}
    checks:
      topics: {/imu: {rate: [90, 110], max_gap: 0.5, monotonic: true, required: false}}
      blocking: true
      severity: WARN
    translation: {group_name: tables}
op:
  name: my_op
  tags: {dagster-k8s/config: {container_config: {resources: {limits: {cpu: 2}}}}}
  description: Fetches.
  pool: roboto
translation:
  group_name: robots
  owners: ["team:robots"]
  tags: {domain: flight}
  kinds: [mcap]
  description: Logs of flights.
  metadata: {wiki: here}
  automation_condition: "{{ dg.AutomationCondition.on_cron('@daily') }}"
  skippable: false
"""
ALTERNATIVES: dict[str, set[str]] = {
    "RobotoDatasetComponent": {"dataset_id", "partitions_def", "shards", "assets"},
    "DatasetPartitions": {"dynamic_name"},
    "Freshness": {"deadline_cron", "lower_bound_hours", "timezone"},
    "DatasetOp": {"backfill_policy"},
    "DatasetSensor": {"vanished", "vanished_interval_seconds"},  # deprecated names
}
HOOKS = """
    import dagster as dg


    @dg.success_hook
    def cheer(context):
        pass


    @dg.template_var
    def my_hooks():
        return {cheer}


    @dg.template_var
    def my_post():
        return print


    @dg.template_var
    def my_decoders():
        from tests.topic_assets.lines import LinesDecoder

        return [LinesDecoder()]
"""


@pytest.fixture
def sandbox() -> Iterator[DefsFolderSandbox]:
    """An empty project."""
    with create_defs_folder_sandbox() as found:
        yield found


@pytest.fixture
def definitions(
    sandbox: DefsFolderSandbox,
    local: LocalRoboto,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dg.Definitions]:
    """The definitions of a project that has one component file with every field."""
    environment = {"DESTINATION": str(tmp_path), "THE_KEY": local.api_key}
    environment |= {"API": local.api_url, "STORE": local.s3_url}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    path = sandbox.scaffold_component(
        component_cls=RobotoDatasetComponent,
        defs_yaml_contents={
            "type": "roboto_dagster.RobotoDatasetComponent",
            "template_vars_module": ".template_vars",
            "attributes": yaml.safe_load(EVERY_FIELD),
        },
    )
    (path / "template_vars.py").write_text(textwrap.dedent(HOOKS))
    with sandbox.build_all_defs() as found:
        yield dg.Definitions.merge(
            found, dg.Definitions(resources={"files": RobotoFilesIOManager()})
        )


def test_every_field_is_used() -> None:
    """The file has every field but those that exclude another one."""
    given = yaml.safe_load(EVERY_FIELD)
    parts: dict[type[Any], Any] = {
        RobotoDatasetComponent: given,
        DatasetPartitions: given["partitions"],
        Repetition: given["retry"],
        RobotoConnection: given["roboto"],
        StoreConnection: given["object_store"],
        SourceAsset: given["source"],
        Freshness: given["freshness"],
        DatasetSensor: given["sensor"],
        SyncSchedule: given["schedule"],
        DeliveryChecks: given["checks"],
        FailureSensor: given["failure_sensor"],
        DatasetOp: given["op"],
        TopicsFields: given["topics"][0],
        TopicChecks: given["topics"][0]["checks"],
        TopicExpectation: given["topics"][0]["checks"]["topics"]["/imu"],
    }
    unused = {
        model.__name__: set(model.model_fields) - set(fields)
        for model, fields in parts.items()
        if set(model.model_fields) - set(fields)
    }
    assert unused == ALTERNATIVES


def test_every_field_arrives(definitions: dg.Definitions) -> None:
    """Asset, op, source, sensor, schedule, checks and resources are what the file says."""
    dg.Definitions.validate_loadable(definitions)
    key = dg.AssetKey(["raw", "flight_logs"])
    asset = definitions.get_assets_def(key)
    spec = asset.get_asset_spec(key)
    assert {dep.asset_key.to_user_string() for dep in spec.deps} == {"raw/maps", "roboto/acme"}
    assert (spec.group_name, spec.kinds, spec.tags["domain"]) == ("robots", {"mcap"}, "flight")
    assert spec.freshness_policy == dg.FreshnessPolicy.time_window(
        fail_window=dt.timedelta(hours=24), warn_window=dt.timedelta(hours=12)
    )
    assert asset.backfill_policy == dg.BackfillPolicy.multi_run(5)
    assert {hook.name for hook in asset.hook_defs} == {"cheer"}
    assert "files" in asset.required_resource_keys
    op = asset.op
    assert isinstance(op, dg.OpDefinition)
    assert (op.name, op.pool, op.retry_policy) == (
        *("my_op", "roboto"),
        dg.RetryPolicy(max_retries=2, delay=1),
    )
    assert "container_config" in str(op.tags)
    alert, sensor = sorted(definitions.sensors or [], key=lambda each: each.name)
    assert (alert.name, alert.default_status) == ("my_alert", dg.DefaultSensorStatus.RUNNING)
    assert (alert.minimum_interval_seconds, alert.description) == (60, "Posts to the team.")
    (schedule,) = definitions.schedules or []
    assert (sensor.name, list(sensor.owners or ())) == ("my_sensor", ["team:robots"])
    assert (schedule.name, list(schedule.owners or ())) == ("my_schedule", ["team:robots"])
    assert (dict(sensor.tags or {})["tier"], dict(schedule.tags or {})["tier"]) == ("1", "1")
    assert {each.name for each in definitions.resolve_asset_graph().asset_check_keys} == {
        *("files_on_disk", "checksums", "recently_synced", "reviewed"),
        *("imu_rate", "imu_max_gap", "imu_monotonic", "plotted"),
    }
    (source,) = (
        each
        for each in definitions.resolve_all_asset_specs()
        if each.key == dg.AssetKey(["roboto", "acme"])
    )
    assert (source.group_name, source.description) == ("origin", "The platform of Acme.")


def test_every_field_of_topics_arrives(definitions: dg.Definitions) -> None:
    """The asset that decodes depends on that of the logs, and has its partitions."""
    key = dg.AssetKey(["tables", "flight_topics"])
    asset, logs = (
        definitions.get_assets_def(each) for each in (key, dg.AssetKey(["raw", "flight_logs"]))
    )
    spec = asset.get_asset_spec(key)
    assert {dep.asset_key.to_user_string() for dep in spec.deps} == {
        *("raw/maps", "raw/flight_logs")
    }
    assert (spec.group_name, spec.kinds) == ("tables", {"roboto", "parquet"})
    assert spec.freshness_policy is not None
    assert asset.partitions_def == logs.partitions_def
    assert asset.backfill_policy == dg.BackfillPolicy.single_run()
    assert {hook.name for hook in asset.hook_defs} == {"cheer"}
    op = asset.op
    assert isinstance(op, dg.OpDefinition)
    assert (op.name, op.pool, op.tags["tier"]) == ("my_decoding", "decoders", "1")
    assert op.retry_policy == dg.RetryPolicy(max_retries=1, delay=2)
    assert "files" in asset.required_resource_keys


def test_the_file_runs(
    definitions: dg.Definitions, local: LocalRoboto, tmp_path: pathlib.Path
) -> None:
    """A partition is delivered with all those settings, and a downstream asset could load it."""
    dataset_id = local.add_dataset(
        "flight 7", created=dt.datetime(2026, 1, 2, 12, tzinfo=dt.timezone.utc)
    )
    local.add_file(dataset_id, "a.mcap", b"hello")
    keys = [dg.AssetKey(["raw", "flight_logs"]), dg.AssetKey(["tables", "flight_topics"])]
    job = definitions.resolve_implicit_job_def_def_for_assets(keys)
    assert job is not None
    result = job.execute_in_process(partition_key="2026-01-02")
    assert result.success
    assert (tmp_path / dataset_id / "a.mcap").read_bytes() == b"hello"

"""Sharded assets in Dagster runs: the graph, its events, and what is left when steps or runs die."""

import pathlib
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import (
    ConfigurationError,
    RetryConfig,
    RobotoFilesIOManager,
    ShardOptions,
    build_roboto_dataset_asset,
    build_roboto_dataset_checks,
    build_roboto_dataset_job,
    read_manifest,
)
from roboto_dagster.testing import LocalRoboto, faults

pytestmark = pytest.mark.slow

FILES = 12
SHARDS = ShardOptions(max_shards=3, min_shard_mib=1)  # four small files are a MiB of work
ONCE_MORE = dg.RetryPolicy(max_retries=1)
ONE_ATTEMPT = RetryConfig(max_attempts=1)


@pytest.fixture
def dataset_id(local: LocalRoboto) -> str:
    """A dataset of twelve small files."""
    dataset_id = local.add_dataset("flight")
    for number in range(FILES):
        local.add_file(dataset_id, f"{number:02}.mcap", b"x" * 10)
    return dataset_id


class Sharded:
    """One sharded asset with one partition."""

    def __init__(
        self,
        folder: pathlib.Path,
        dataset_id: str,
        resources: dict[str, Any],
        instance: dg.DagsterInstance,
        **options: Any,
    ) -> None:
        self.folder = folder
        self.dataset_id = dataset_id
        self.instance = instance
        self.asset = build_roboto_dataset_asset(
            "logs",
            partitions_def=dg.StaticPartitionsDefinition([dataset_id, "ds_unknown"]),
            destination=folder,
            **{"shards": SHARDS, "retry_policy": ONCE_MORE, "retry": ONE_ATTEMPT, **options},
        )
        checks = build_roboto_dataset_checks(self.asset)
        job = build_roboto_dataset_job(self.asset, executor_def=dg.in_process_executor)
        definitions = dg.Definitions(
            assets=[self.asset], asset_checks=checks, jobs=[job], resources=resources
        )
        self.job = definitions.resolve_job_def("logs_job")

    def run(self, partition_key: str | None = None) -> dg.ExecuteInProcessResult:
        """Run the partition."""
        return self.job.execute_in_process(
            partition_key=partition_key or self.dataset_id,
            instance=self.instance,
            raise_on_error=False,
        )

    def materializations(self) -> list[dg.AssetMaterialization]:
        """Return the asset's events, newest first."""
        records = self.instance.fetch_materializations(self.asset.key, limit=10).records
        return [each.asset_materialization for each in records if each.asset_materialization]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """One in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def sharded(
    tmp_path: pathlib.Path,
    dataset_id: str,
    resources: dict[str, Any],
    instance: dg.DagsterInstance,
) -> Sharded:
    """A sharded asset."""
    return Sharded(tmp_path / "logs", dataset_id, resources, instance)


def steps(result: dg.ExecuteInProcessResult) -> list[str]:
    """Return the steps that succeeded, without what differs from run to run."""
    found = [
        event.step_key or ""
        for event in result.all_events
        if event.event_type_value == "STEP_SUCCESS"
    ]
    return [key.partition("_shards.")[2].partition("[")[0] or key for key in found]


def test_one_materialization_for_all_shards(sharded: Sharded) -> None:
    """With the totals of all of them, and the version of the data."""
    result = sharded.run()
    assert result.success
    assert steps(result).count("logs_shard") == 3
    (event,) = sharded.materializations()
    assert event.partition == sharded.dataset_id
    assert event.metadata["roboto/files_fetched"].value == FILES
    assert event.metadata["roboto/bytes_fetched"].value == FILES * 10
    assert event.tags is not None
    assert "dagster/data_version" in event.tags
    assert len(list((sharded.folder / sharded.dataset_id).iterdir())) == FILES


def test_its_version_is_that_of_the_plain_asset(
    sharded: Sharded, tmp_path: pathlib.Path, dataset_id: str, resources: dict[str, Any]
) -> None:
    """Whoever depends on it does not see how it was transferred."""
    versions = set()
    with dg.DagsterInstance.ephemeral() as other:
        plain = Sharded(tmp_path / "plain", dataset_id, resources, other, shards=None)
        for each in (sharded, plain):
            each.run()
            (event,) = each.materializations()
            versions.add((event.tags or {})["dagster/data_version"])
    assert len(versions) == 1


def test_an_unchanged_partition_fetches_nothing(sharded: Sharded, local: LocalRoboto) -> None:
    """Its one shard is empty."""
    sharded.run()
    local.requests.clear()
    result = sharded.run()
    assert steps(result).count("logs_shard") == 1
    assert not local.requests.matching(service="s3")
    newest, first = sharded.materializations()
    assert newest.metadata["roboto/files_unchanged"].value == FILES
    assert (newest.tags or {})["dagster/data_version"] == (first.tags or {})["dagster/data_version"]


def test_a_failed_shard_is_retried_alone(sharded: Sharded, local: LocalRoboto) -> None:
    """Its other files are kept, and no other shard runs again."""
    local.faults.add(faults.status(503), key="*/07.mcap", times=1)
    result = sharded.run()
    assert result.success
    restarts = [each for each in result.all_events if each.event_type_value == "STEP_RESTARTED"]
    assert len(restarts) == 1
    assert sharded.materializations()[0].metadata["roboto/files_fetched"].value == FILES


def test_a_permanent_failure_names_the_file(sharded: Sharded, local: LocalRoboto) -> None:
    """The step of its shard fails, and is not repeated; the others are on disk."""
    local.faults.add(faults.status(403), key="*/07.mcap")
    result = sharded.run()
    assert not result.success
    (failure,) = [
        each for each in result.get_step_failure_events() if "shard[" in str(each.step_key)
    ]
    data: Any = failure.event_specific_data
    assert "07.mcap: ACCESS_DENIED" in data.user_failure_data.description
    assert len(list((sharded.folder / sharded.dataset_id).iterdir())) == FILES - 1
    assert not sharded.materializations()


def test_a_new_run_fetches_only_what_the_failed_one_has_not(
    sharded: Sharded, local: LocalRoboto
) -> None:
    """What the shards of the first have delivered is known to the next."""
    local.faults.add(faults.status(403), key="*/07.mcap")
    sharded.run()
    local.faults.clear()
    local.requests.clear()
    assert sharded.run().success
    assert {each.key.rpartition("/")[2] for each in local.requests.matching(service="s3")} == {
        "07.mcap"
    }


def test_an_unknown_dataset_fails_the_plan(sharded: Sharded) -> None:
    """With the message that any asset has, before any shard."""
    result = sharded.run("ds_unknown")
    (failure,) = [each for each in result.get_step_failure_events() if "plan" in str(each.step_key)]
    data: Any = failure.event_specific_data
    assert "ds_unknown" in data.user_failure_data.description


def test_a_range_fails_at_once(sharded: Sharded) -> None:
    """A run of a sharded asset is of one partition; Dagster does not repeat the step to see it fail again."""
    ends = {
        "dagster/asset_partition_range_start": sharded.dataset_id,
        "dagster/asset_partition_range_end": "ds_unknown",
    }
    result = sharded.job.execute_in_process(
        instance=sharded.instance, tags=ends, raise_on_error=False
    )
    (failure,) = result.get_step_failure_events()
    data: Any = failure.event_specific_data
    assert "is of one partition, and this one is of 2" in data.user_failure_data.description
    assert not [each for each in result.all_events if each.is_step_up_for_retry]


def test_the_checks_of_a_sharded_asset_run(sharded: Sharded) -> None:
    """After the merge, as after any asset."""
    result = sharded.run()
    evaluations = result.get_asset_check_evaluations()
    assert {each.check_name for each in evaluations} == {
        *("files_on_disk", "checksums", "in_step_with_platform")
    }
    assert all(each.passed for each in evaluations)


def test_it_keeps_the_attributes_of_the_asset(tmp_path: pathlib.Path, dataset_id: str) -> None:
    """Whatever the builder takes."""
    condition = dg.AutomationCondition.eager()
    options: dict[str, Any] = {
        "dataset_id": dataset_id,
        "destination": tmp_path,
        "key_prefix": ["raw"],
        "group_name": "robots",
        "owners": ["team:robots"],
        "tags": {"a": "b"},
        "metadata": {"c": 1},
        "deps": ["bucket"],
        "kinds": {"roboto"},
        "automation_condition": condition,
        "description": "Logs.",
    }
    plain = build_roboto_dataset_asset("logs", **options)
    sharded = build_roboto_dataset_asset("logs", shards=SHARDS, **options)
    one, other = (each.get_asset_spec(each.key) for each in (plain, sharded))
    assert {dep.asset_key for dep in one.deps} == {dep.asset_key for dep in other.deps}
    assert one._replace(deps=[]) == other._replace(deps=[])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shards": 3}, "shards must be ShardOptions"),
        ({"backfill_policy": dg.BackfillPolicy.single_run()}, "runs of one partition each"),
        ({"on_unchanged": "observe"}, "cannot be combined with shards"),
        ({"check_specs": [dg.AssetCheckSpec("mine", asset="logs")]}, "cannot be combined"),
    ],
)
def test_what_cannot_be_combined_is_refused(
    tmp_path: pathlib.Path, dataset_id: str, options: dict[str, Any], message: str
) -> None:
    """When the asset is defined."""
    given: dict[str, Any] = {"shards": SHARDS, **options}
    with pytest.raises(ConfigurationError, match=message):
        build_roboto_dataset_asset("logs", dataset_id=dataset_id, destination=tmp_path, **given)


def test_the_manifest_has_the_facts_of_the_shards(sharded: Sharded) -> None:
    """How each file was verified, and when."""
    sharded.run()
    value: Any = sharded.materializations()[0].metadata["roboto/manifest"].value
    rows = read_manifest(value).to_pylist()
    assert {row["status"] for row in rows} == {"fetched"}
    assert all(row["verified"] and row["fetched_at"] for row in rows)


def test_other_assets_load_it(
    tmp_path: pathlib.Path,
    dataset_id: str,
    resources: dict[str, Any],
    instance: dg.DagsterInstance,
) -> None:
    """By the resource that the asset names, as they would load a plain one."""
    logs = build_roboto_dataset_asset(
        "logs",
        dataset_id=dataset_id,
        destination=tmp_path,
        shards=SHARDS,
        io_manager_key="files",
    )

    @dg.asset
    def names(logs: list[pathlib.Path]) -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata={"names": [each.name for each in logs]})

    files = {**resources, "files": RobotoFilesIOManager()}
    result = dg.materialize([logs, names], resources=files, instance=instance)
    value: Any = result.asset_materializations_for_node("names")[0].metadata["names"].value
    assert len(value) == FILES

"""Which datasets a partition holds, and runs of each kind of partitions."""

import datetime as dt
import pathlib
from collections.abc import Sequence
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import ConfigurationError, build_roboto_dataset_asset
from roboto_dagster.testing import LocalRoboto, faults

DAYS = dg.DailyPartitionsDefinition("2020-03-01", end_date="2020-03-06")


def on(day: int, hour: int = 5) -> dt.datetime:
    """Return a time in March 2020."""
    return dt.datetime(2020, 3, day, hour, tzinfo=dt.timezone.utc)


def add(local: LocalRoboto, name: str, created: dt.datetime, **fields: Any) -> str:
    """Add a dataset with one file, both created then."""
    dataset_id = local.add_dataset(created=created, **fields)
    local.add_file(dataset_id, name, name.encode(), created=created)
    return dataset_id


def run(
    resources: dict[str, Any], folder: pathlib.Path, keys: Sequence[str], **options: Any
) -> dict[str | None, dict[str, Any]]:
    """Materialize keys, in one run if they are several; return the metadata of those that are complete."""
    policy = dg.BackfillPolicy.single_run()
    asset = build_roboto_dataset_asset(
        "logs", destination=folder, backfill_policy=policy, **options
    )
    ends = {"start": keys[0], "end": keys[-1]}
    tags = {f"dagster/asset_partition_range_{name}": key for name, key in ends.items()}
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(
            [asset], resources=resources, tags=tags, instance=instance, raise_on_error=False
        )
        records = instance.fetch_materializations(asset.key, limit=100).records
    found = [record.asset_materialization for record in records]
    return {
        each.partition: {key: value.value for key, value in each.metadata.items()}
        for each in found
        if each is not None
    }


def test_day_holds_the_datasets_created_in_it(
    local: LocalRoboto, resources: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """A daily partition delivers just its day's datasets, from midnight to midnight."""
    first = [add(local, "a.bin", on(1, hour)) for hour in (0, 23)]
    add(local, "a.bin", on(2, 0))
    found = run(resources, tmp_path, ["2020-03-01", "2020-03-02"], partitions_def=DAYS)
    assert found["2020-03-01"]["roboto/dataset_id"] == ", ".join(first)
    assert found["2020-03-02"]["roboto/files_fetched"] == 1


def test_query_narrows_a_window(
    local: LocalRoboto, resources: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """Of the day's datasets only those that fit the query belong to the partition."""
    wanted = add(local, "a.bin", on(3), tags=["flight"])
    add(local, "a.bin", on(3), tags=["test"])
    query = {"field": "tags", "comparator": "CONTAINS", "value": "flight"}
    found = run(resources, tmp_path, ["2020-03-03"], partitions_def=DAYS, query=query)
    assert found["2020-03-03"]["roboto/dataset_id"] == wanted


def test_window_without_datasets_is_complete(
    resources: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """A day without datasets is materialized, empty, with a manifest."""
    found = run(resources, tmp_path, ["2020-03-05"], partitions_def=DAYS)
    assert found["2020-03-05"]["dagster/partition_row_count"] == 0
    assert (tmp_path / ".roboto" / "logs" / "2020-03-05.parquet").exists()


def test_dataset_by_day(
    local: LocalRoboto, resources: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """Of dataset by day a partition holds the dataset's files of that day."""
    dataset_id = add(local, "first.bin", on(1))
    local.add_file(dataset_id, "second.bin", b"2", created=on(2))
    datasets = dg.StaticPartitionsDefinition([dataset_id])
    both = dg.MultiPartitionsDefinition({"dataset": datasets, "day": DAYS})
    found = run(resources, tmp_path, [f"{dataset_id}|2020-03-02"], partitions_def=both)
    (metadata,) = found.values()
    assert metadata["roboto/files_fetched"] == 1
    assert [path.name for path in tmp_path.rglob("*.bin")] == ["second.bin"]


def test_one_bad_partition_of_thirty(
    local: LocalRoboto, resources: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """Thirty partitions in one run, one of them broken: 29 are materialized."""
    ids = [local.add_dataset() for _ in range(30)]
    for dataset_id in ids:
        local.add_file(dataset_id, "a.bin", b"a")
    local.faults.add(faults.status(404), service="s3", key=f"*{ids[7]}*")
    partitions_def = dg.StaticPartitionsDefinition(ids)
    found = run(resources, tmp_path, ids, partitions_def=partitions_def)
    assert found.keys() == set(ids) - {ids[7]}


@pytest.mark.parametrize(
    "ends",
    [("2099-01-01", "2099-01-01"), ("2020-03-05", "2020-03-06"), ("2020-02-01", "2020-02-01")],
    ids=["not over", "after the end", "before the start"],
)
def test_run_of_a_window_that_does_not_exist_fails(
    resources: dict[str, Any], tmp_path: pathlib.Path, ends: tuple[str, str]
) -> None:
    """Dagster would record such a run for no partition at all, as a success."""
    days = dg.DailyPartitionsDefinition(
        "2020-03-01", end_date=None if ends[0].startswith("2099") else "2020-03-06"
    )
    asset = build_roboto_dataset_asset("logs", destination=tmp_path, partitions_def=days)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [asset],
            resources=resources,
            tags={"dagster/partition": ends[1]},
            instance=instance,
            raise_on_error=False,
        )
        assert not result.success
        assert instance.get_materialized_partitions(asset.key) == set()


@pytest.mark.parametrize(
    "partitions_def",
    [
        dg.MultiPartitionsDefinition(
            {"a": dg.StaticPartitionsDefinition(["x"]), "b": dg.StaticPartitionsDefinition(["y"])}
        ),
        dg.DynamicPartitionsDefinition(lambda _: ["ds_a"]),
    ],
    ids=["two of datasets", "dynamic without a name"],
)
@pytest.mark.filterwarnings("ignore:.*partition_fn")
def test_partitions_that_cannot_be_datasets(partitions_def: Any, tmp_path: pathlib.Path) -> None:
    """Other partitions are refused when the asset is defined, with the kinds that work."""
    with pytest.raises(ConfigurationError, match="cannot stand for datasets here"):
        build_roboto_dataset_asset("logs", destination=tmp_path, partitions_def=partitions_def)


def test_code_version_follows_the_configuration(tmp_path: pathlib.Path) -> None:
    """The same settings have the same code version, others another."""

    def version(**options: Any) -> str | None:
        asset = build_roboto_dataset_asset(
            "logs", destination=tmp_path, dataset_id="ds_a", **options
        )
        return asset.code_versions_by_key[asset.key]

    assert version() == version()
    assert version() != version(include_patterns=["*.mcap"])

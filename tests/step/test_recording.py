"""Data versions in Dagster: five runs of single partitions, of ranges, and beside a failure."""

import pathlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from roboto import File

from roboto_dagster import build_roboto_dataset_asset
from roboto_dagster.testing import LocalRoboto

if TYPE_CHECKING:
    from tests.conftest import Materializer

VERSION = "dagster/data_version"
KEY = dg.AssetKey("logs")


@pytest.fixture
def keys(local: LocalRoboto) -> list[str]:
    """Three datasets of two files."""
    found = []
    for name in "abc":
        dataset_id = local.add_dataset(name)
        for path in ("x.csv", "y.csv"):
            local.add_file(dataset_id, path, f"{name}{path}".encode())
        found.append(dataset_id)
    return found


def versions(materialize: "Materializer", keys: list[str]) -> list[str | None]:
    """Return the data version of each partition, as Dagster has it."""
    found = []
    for key in keys:
        record = materialize.instance.get_latest_data_version_record(KEY, partition_key=key)
        tags = (record.event_log_entry.tags if record else None) or {}
        found.append(tags.get(VERSION))
    return found


def events(materialize: "Materializer", result: dg.ExecuteInProcessResult) -> list[str | None]:
    """Return the partitions of all materializations of a run, in order."""
    return [partition for partition, _ in materialize.materializations(result)]


def _rename(local: LocalRoboto, dataset_id: str) -> None:
    file_id = local.record(dataset_id, "x.csv")["file_id"]
    File.from_id(file_id, roboto_client=local.client()).rename_file(file_id, "z.csv")


def _tag(local: LocalRoboto, dataset_id: str) -> None:
    file_id = local.record(dataset_id, "x.csv")["file_id"]
    File.from_id(file_id, roboto_client=local.client()).put_tags(["checked"])


CHANGES: dict[str, tuple[Callable[[LocalRoboto, str], Any], bool]] = {
    "nothing": (lambda _, __: None, False),
    "replaced": (lambda local, key: local.replace_file(key, "x.csv", b"new"), True),
    "added": (lambda local, key: local.add_file(key, "z.csv", b"z"), True),
    "removed": (lambda local, key: local.remove_file(key, "x.csv"), True),
    "renamed": (_rename, True),
    "metadata": (_tag, False),
}


@pytest.mark.parametrize(("change", "is_other"), CHANGES.values(), ids=CHANGES)
def test_a_range_has_a_version_a_partition(
    materialize: "Materializer",
    local: LocalRoboto,
    keys: list[str],
    change: Callable[[LocalRoboto, str], Any],
    *,
    is_other: bool,
) -> None:
    """Just the partition that was changed has another one, and each has one event a run."""
    asset = materialize.range_asset(keys)
    materialize(asset, partition_range=(keys[0], keys[2]))
    before = versions(materialize, keys)
    change(local, keys[1])
    result = materialize(asset, partition_range=(keys[0], keys[2]))
    after = versions(materialize, keys)
    assert (result.success, events(materialize, result)) == (True, keys)
    changed = [old != new for old, new in zip(before, after, strict=True)]
    assert (changed, None in before) == ([False, is_other, False], False)
    assert len(set(before)) == 3


def test_single_range_and_failed_runs_agree(
    materialize: "Materializer", local: LocalRoboto, keys: list[str]
) -> None:
    """However a partition was materialized, its content has the same version."""
    asset = materialize.range_asset(keys)
    single = [materialize(asset, partition_key=key) for key in keys]
    alone = versions(materialize, keys)
    materialize(asset, partition_range=(keys[0], keys[2]))
    assert versions(materialize, keys) == alone
    local.add_file(keys[1], "gone.csv", b"x")
    local.remove_object(keys[1], "gone.csv")
    local.add_file(keys[2], "new.csv", b"x")
    failed = materialize(asset, partition_range=(keys[0], keys[2]))
    assert (failed.success, events(materialize, failed)) == (False, [keys[0], keys[2]])
    after = versions(materialize, keys)
    assert after[:2] == alone[:2]
    assert after[2] not in (alone[2], None)
    assert [events(materialize, result) for result in single] == [[key] for key in keys]


def test_another_destination_and_machine_keep_both_versions(
    materialize: "Materializer", keys: list[str], tmp_path: pathlib.Path
) -> None:
    """Neither the data nor the code is another one if it lies elsewhere."""
    first = materialize.range_asset(keys)
    materialize(first, partition_key=keys[0])
    before = versions(materialize, keys[:1])
    moved = materialize.range_asset(keys, destination=tmp_path / "elsewhere")
    materialize(moved, partition_key=keys[0])
    assert versions(materialize, keys[:1]) == before
    assert moved.code_versions_by_key == first.code_versions_by_key


def test_an_asset_without_partitions_has_a_version(
    materialize: "Materializer", local: LocalRoboto, keys: list[str]
) -> None:
    """It follows the files."""
    asset = materialize.asset(dataset_id=keys[0])
    found = []
    for path in ("more.csv", None):
        result = materialize(asset)
        record = materialize.instance.get_latest_data_version_record(KEY)
        assert record is not None
        found.append((record.event_log_entry.tags or {})[VERSION])
        assert events(materialize, result) == [None]
        if path is not None:
            local.add_file(keys[0], path, b"x")
    assert found[0] != found[1]


def test_direct_invocation_has_the_version(materialize: "Materializer", keys: list[str]) -> None:
    """A unit test sees what Dagster would."""
    asset = materialize.range_asset(keys)
    materialize(asset, partition_key=keys[0])
    context = dg.build_asset_context(partition_key=keys[0])
    result: Any = asset(context, **materialize.resources)
    assert [result.data_version.value] == versions(materialize, keys[:1])


# --- what Dagster makes of it ---


def graph(
    materialize: "Materializer", keys: list[str]
) -> tuple[list[dg.AssetsDefinition], dg.Definitions]:
    """Return an asset of ours between one of a user and one that depends on it."""
    partitions_def = dg.StaticPartitionsDefinition(keys)

    @dg.asset(code_version="1")
    def source() -> dg.MaterializeResult[Any]:
        return dg.MaterializeResult(data_version=dg.DataVersion("s1"))

    logs = materialize.asset(
        partitions_def=partitions_def,
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[dg.AssetKey("source"), dg.AssetKey("elsewhere")],
    )

    @dg.asset(
        partitions_def=partitions_def,
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[logs],
        code_version="1",
    )
    def after(context: dg.AssetExecutionContext) -> None:
        context.log.info("ran")

    assets: list[Any] = [source, logs, after]
    elsewhere = dg.AssetSpec("elsewhere")
    return assets, dg.Definitions([*assets, elsewhere], resources=materialize.resources)


def statuses(
    materialize: "Materializer", definitions: dg.Definitions, name: str, keys: list[str]
) -> Mapping[str, list[str]]:
    """Return why each partition is stale; nothing for one that is not."""
    from dagster._core.definitions.data_version import CachingStaleStatusResolver
    from dagster._core.loader import LoadingContextForTest

    resolver = CachingStaleStatusResolver(
        materialize.instance,
        definitions.get_repository_def().asset_graph,
        LoadingContextForTest(materialize.instance),
    )
    return {
        key: [cause.reason for cause in resolver.get_stale_causes(dg.AssetKey(name), key)]
        for key in keys
    }


def run(
    materialize: "Materializer", definitions: dg.Definitions, selection: list[str], keys: list[str]
) -> dg.ExecuteInProcessResult:
    """Run some of the assets over a range."""
    job = definitions.get_repository_def().get_implicit_job_def_for_assets(
        [dg.AssetKey(name) for name in selection]
    )
    assert job is not None
    return job.execute_in_process(
        instance=materialize.instance,
        asset_selection=[dg.AssetKey(name) for name in selection],
        tags={
            "dagster/asset_partition_range_start": keys[0],
            "dagster/asset_partition_range_end": keys[-1],
        },
        raise_on_error=False,
    )


def test_what_depends_on_a_range_runs_in_the_same_run(
    materialize: "Materializer", keys: list[str]
) -> None:
    """It is never skipped silently."""
    _, definitions = graph(materialize, keys)
    result = run(materialize, definitions, ["logs", "after"], keys)
    assert result.success
    assert {event.node_name for event in result.get_step_success_events()} == {"logs", "after"}


def test_only_what_depends_on_a_changed_partition_is_stale(
    materialize: "Materializer", local: LocalRoboto, keys: list[str]
) -> None:
    """A no-op leaves all fresh; one changed dataset makes its partition downstream stale."""
    _, definitions = graph(materialize, keys)
    dg.materialize([graph(materialize, keys)[0][0]], instance=materialize.instance)
    run(materialize, definitions, ["logs", "after"], keys)
    fresh: dict[str, list[str]] = {key: [] for key in keys}
    run(materialize, definitions, ["logs"], keys)
    for name in ("logs", "after"):
        assert statuses(materialize, definitions, name, keys) == fresh
    local.replace_file(keys[1], "x.csv", b"new")
    run(materialize, definitions, ["logs"], keys)
    assert statuses(materialize, definitions, "after", keys) == {
        **fresh,
        keys[1]: ["has a new dependency data version"],
    }
    assert statuses(materialize, definitions, "logs", keys) == fresh


def test_a_changed_input_makes_all_partitions_stale(
    materialize: "Materializer", keys: list[str]
) -> None:
    """The versions of all deps are recorded with each event of a range."""
    (source, _, _), definitions = graph(materialize, keys)
    run(materialize, definitions, ["logs"], keys)
    dg.materialize([source], instance=materialize.instance)
    found = statuses(materialize, definitions, "logs", keys)
    assert found == {key: ["has a new dependency data version"] for key in keys}


def test_a_changed_setting_makes_all_partitions_stale(
    materialize: "Materializer", keys: list[str]
) -> None:
    """The code version is recorded with each event of a range."""
    asset = materialize.range_asset(keys)
    materialize(asset, partition_range=(keys[0], keys[2]))
    other = materialize.range_asset(keys, include_patterns=["*.csv"])
    found = statuses(
        materialize, dg.Definitions([other], resources=materialize.resources), "logs", keys
    )
    assert found == {key: ["has a new code version"] for key in keys}


def test_materialize_partitions_is_a_body_for_own_assets(
    materialize: "Materializer", keys: list[str]
) -> None:
    """An asset of one's own passes its events on, and may do more."""
    from roboto_dagster.asset_config import DatasetAssetConfig
    from roboto_dagster.assets import materialize_partitions
    from roboto_dagster.partitions import partitioning_of

    partitions_def = dg.StaticPartitionsDefinition(keys)
    config = DatasetAssetConfig.checked(destination=materialize.destination)
    partitioning = partitioning_of(config, partitions_def)

    @dg.asset(
        name="logs",
        partitions_def=partitions_def,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys={"roboto", "object_store"},
    )
    def own(context: dg.AssetExecutionContext) -> Any:
        yield from materialize_partitions(
            context,
            partitioning,
            roboto=context.resources.roboto,
            object_store=context.resources.object_store,
        )
        context.log.info("more")

    result = materialize(own, partition_range=(keys[0], keys[2]))
    assert (result.success, events(materialize, result)) == (True, keys)
    assert None not in versions(materialize, keys)


def test_a_release_without_silent_results_still_gets_right_versions(
    materialize: "Materializer", keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events then come after those of the result, and so count."""
    monkeypatch.setattr("roboto_dagster.step.recording.can_omit_events", lambda: False)
    asset = materialize.range_asset(keys)
    for key in keys:
        materialize(asset, partition_key=key)
    single = versions(materialize, keys)
    materialize(asset, partition_range=(keys[0], keys[2]))
    assert (versions(materialize, keys), None in single) == (single, False)


def test_an_asset_with_an_io_manager_has_its_versions(
    materialize: "Materializer", keys: list[str]
) -> None:
    """The manager of the files stores nothing, and is not asked to."""
    from roboto_dagster import RobotoFilesIOManager

    asset = build_roboto_dataset_asset(
        "logs",
        destination=materialize.destination,
        partitions_def=dg.StaticPartitionsDefinition(keys),
        backfill_policy=dg.BackfillPolicy.single_run(),
        io_manager_key="files",
    )
    result = materialize(asset, partition_range=(keys[0], keys[2]), files=RobotoFilesIOManager())
    assert (result.success, events(materialize, result)) == (True, keys)

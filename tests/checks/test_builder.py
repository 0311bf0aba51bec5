"""Checks of delivered files, in runs of Dagster."""

import datetime as dt
import os
import pathlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roboto_dagster import (
    ConfigurationError,
    DatasetFiles,
    RetryConfig,
    RobotoFilesIOManager,
    RobotoResource,
    build_roboto_dataset_asset,
    build_roboto_dataset_checks,
)
from roboto_dagster.sync.manifest import manifest_path
from roboto_dagster.testing import LocalRoboto, faults
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from tests.conftest import Syncer

Run = Callable[..., dict[Any, dg.AssetCheckEvaluation]]


def by_name(result: dg.ExecuteInProcessResult) -> dict[Any, dg.AssetCheckEvaluation]:
    """Return the evaluations of a run by the name of their check."""
    return {each.check_name: each for each in result.get_asset_check_evaluations()}


def by_partition(result: dg.ExecuteInProcessResult) -> dict[Any, dg.AssetCheckEvaluation]:
    """Return the evaluations of a run by check and partition."""
    return {
        (each.check_name, each.partition): each for each in result.get_asset_check_evaluations()
    }


@pytest.fixture
def dataset_id(local: LocalRoboto) -> str:
    """A dataset of three files."""
    made = local.add_dataset()
    for name in "abc":
        local.add_file(made, f"{name}.bin", name.encode() * 10)
    return made


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Where the files go."""
    return tmp_path / "data"


@pytest.fixture
def check(resources: dict[str, Any], folder: pathlib.Path, dataset_id: str) -> Run:
    """Runs the checks, by default alone, and returns their evaluations by name."""

    def run(
        *, sync: bool = False, partitions_def: Any = None, key: str | None = None, **options: Any
    ) -> dict[str, dg.AssetCheckEvaluation]:
        asset = build_roboto_dataset_asset(
            "logs",
            destination=folder,
            partitions_def=partitions_def,
            dataset_id=None if partitions_def else dataset_id,
        )
        checks = build_roboto_dataset_checks(asset, **options)
        keys = [key for each in checks for key in each.check_keys]
        selection: dg.AssetSelection = dg.AssetSelection.checks(*keys)
        if sync:
            selection = selection | dg.AssetSelection.assets(asset)
        result = dg.materialize(
            [asset, *checks],
            selection=selection,
            resources=resources,
            partition_key=key,
            raise_on_error=False,
        )
        return by_name(result) if key or not partitions_def else by_partition(result)

    return run


def violations(evaluation: dg.AssetCheckEvaluation) -> list[tuple[Any, Any]]:
    """Return path and problem of each violation that a check names."""
    table: Any = evaluation.metadata["roboto/violations"].value
    return [(row.data["relative_path"], row.data["problem"]) for row in table.records]


def test_all_pass_after_a_sync(check: Run) -> None:
    """What was just delivered is right, and the checks report how much they have checked."""
    found = check(sync=True, max_age=dt.timedelta(hours=1))
    assert {name: each.passed for name, each in found.items()} == {
        "files_on_disk": True,
        "checksums": True,
        "in_step_with_platform": True,
        "recently_synced": True,
    }
    assert found["checksums"].metadata["roboto/files_checked"].value == 3


def test_missing_and_resized_files_are_named(
    check: Run, folder: pathlib.Path, dataset_id: str
) -> None:
    """A file that is gone or of another size fails `files_on_disk`."""
    check(sync=True)
    (folder / dataset_id / "a.bin").unlink()
    (folder / dataset_id / "b.bin").write_bytes(b"b")
    evaluation = check()["files_on_disk"]
    assert not evaluation.passed
    assert sorted(violations(evaluation)) == [
        ("a.bin", "missing"),
        ("b.bin", "1 byte on disk, 10 delivered"),
    ]
    assert f"missing (`{dataset_id}`, `a.bin`)" in (evaluation.description or "")


def test_changed_bytes_are_found(check: Run, folder: pathlib.Path, dataset_id: str) -> None:
    """Other bytes of the same size pass by their size and fail by their checksum."""
    check(sync=True)
    (folder / dataset_id / "c.bin").write_bytes(b"C" * 10)
    found = check(checksums="all")
    assert found["files_on_disk"].passed
    ((path, problem),) = violations(found["checksums"])
    assert path == "c.bin"
    assert "of the bytes is" in problem


def test_sample_of_checksums(check: Run) -> None:
    """A sample reads back so many files and no more."""
    check(sync=True)
    found = check(checksums="sample", sample_files=2)
    assert found["checksums"].metadata["roboto/files_checked"].value == 2


def test_checks_can_be_left_out(check: Run) -> None:
    """Neither checksums nor the platform need to be looked at."""
    assert set(check(sync=True, checksums="none", compare_listing=False)) == {"files_on_disk"}


def test_manifest_behind_the_platform(check: Run, local: LocalRoboto, dataset_id: str) -> None:
    """New, changed and removed files on the platform are distinguished."""
    check(sync=True)
    local.add_file(dataset_id, "d.bin", b"d")
    local.replace_file(dataset_id, "a.bin", b"new")
    local.remove_file(dataset_id, "b.bin")
    assert sorted(violations(check()["in_step_with_platform"])) == [
        ("a.bin", "version 2 on the platform, 1 in the manifest"),
        ("b.bin", "no longer listed by the platform"),
        ("d.bin", "listed by the platform, not in the manifest"),
    ]


def test_failed_files_stay_named(check: Run, local: LocalRoboto) -> None:
    """What the last sync could not deliver fails the check until it is delivered."""
    local.faults.add(faults.status(404), service="s3", key="*a.bin")
    check(sync=True)
    evaluation = check()["files_on_disk"]
    assert violations(evaluation) == [("a.bin", "not delivered by the last sync: NOT_FOUND")]


def test_old_sync(check: Run, folder: pathlib.Path) -> None:
    """A sync that is older than allowed fails `recently_synced`."""
    check(sync=True)
    (manifest,) = folder.rglob("*.parquet")
    os.utime(manifest, (0, 0))
    assert not check(max_age=dt.timedelta(hours=1))["recently_synced"].passed


def test_unreadable_manifest(check: Run, folder: pathlib.Path) -> None:
    """A manifest that is none fails the checks with its path, and no check crashes."""
    check(sync=True)
    (manifest,) = folder.rglob("*.parquet")
    manifest.write_bytes(b"no parquet")
    evaluation = check()["files_on_disk"]
    assert not evaluation.passed
    assert str(manifest) in violations(evaluation)[0][1]


def test_nothing_materialized(check: Run, dataset_id: str) -> None:
    """Checks of an asset that was never materialized fail, and report it."""
    partitions = dg.StaticPartitionsDefinition([dataset_id])
    evaluation = check(partitions_def=partitions)["files_on_disk", None]
    assert not evaluation.passed
    assert "no partition was ever materialized here" in (evaluation.description or "")


def test_run_checks_its_own_partitions(
    check: Run, local: LocalRoboto, folder: pathlib.Path, dataset_id: str
) -> None:
    """In a run of the asset only that run's partition is looked at; alone, all of them."""
    other = local.add_dataset()
    local.add_file(other, "x.bin", b"x")
    partitions = dg.StaticPartitionsDefinition([dataset_id, other])
    check(sync=True, partitions_def=partitions, key=dataset_id)
    (folder / dataset_id / "a.bin").unlink()
    assert check(sync=True, partitions_def=partitions, key=other)["files_on_disk"].passed
    found = check(partitions_def=partitions)
    assert {key: found["files_on_disk", key].passed for key in (dataset_id, other)} == {
        dataset_id: False,
        other: True,
    }


def test_blocking_check_keeps_others_waiting(
    resources: dict[str, Any], folder: pathlib.Path, dataset_id: str
) -> None:
    """With `blocking=True` what depends on the asset does not run on what a check has failed."""
    logs = build_roboto_dataset_asset("logs", destination=folder, dataset_id=dataset_id)
    checks = build_roboto_dataset_checks(
        logs, blocking=True, max_age=dt.timedelta(microseconds=1), checksums="none"
    )

    @dg.asset(deps=[logs])
    def downstream() -> None: ...

    result = dg.materialize([logs, *checks, downstream], resources=resources, raise_on_error=False)
    assert not result.success
    assert [event.asset_key for event in result.get_asset_materialization_events()] == [logs.key]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checksums": "some"}, "checksums must be .sample., .all. or .none., not 'some'"),
        ({"sample_files": 0}, "sample_files must be an integer, at least 1, not 0"),
        ({"sample_files": True}, "sample_files must be .*, not True"),
        ({"sample_files": "10"}, "sample_files must be .*, not '10'"),
        ({"max_age": 48}, "max_age must be a timedelta above 0, .*, not 48"),
        ({"max_age": dt.timedelta(0)}, "max_age must be a timedelta above 0"),
        ({"max_age": dt.timedelta(hours=-1)}, "max_age must be a timedelta above 0"),
        ({"blocking": "no"}, "blocking must be .*, not 'no'"),
        ({"compare_listing": None}, "compare_listing must be .*, not None"),
        ({"roboto_resource_key": ""}, "roboto_resource_key"),
        ({"roboto_resource_key": "a b"}, "roboto_resource_key"),
        ({"max_age": dt.timedelta.max}, "max_age must be .*, at most ten years"),
    ],
    ids=str,
)
def test_settings_that_cannot_work(
    folder: pathlib.Path, options: dict[str, Any], message: str
) -> None:
    """They are refused when the checks are built, with the name of the setting."""
    asset = build_roboto_dataset_asset("logs", destination=folder, dataset_id="ds_1")
    with pytest.raises(ConfigurationError, match=message):
        build_roboto_dataset_checks(asset, **options)


def test_checks_of_what_is_no_asset_of_ours() -> None:
    """An asset of another package is refused by name."""

    @dg.asset
    def other() -> None: ...

    with pytest.raises(ConfigurationError, match="other is no dataset asset of roboto_dagster"):
        build_roboto_dataset_checks(other)
    with pytest.raises(ConfigurationError, match="'logs' is no asset"):
        build_roboto_dataset_checks("logs")  # type: ignore[arg-type]  # on purpose


# --- which partitions ---


@pytest.fixture
def two(
    local: LocalRoboto, dataset_id: str, folder: pathlib.Path
) -> tuple[str, str, dg.AssetsDefinition]:
    """Two datasets and an asset with both as partitions, which one run may hold."""
    other = local.add_dataset()
    local.add_file(other, "x.bin", b"x")
    asset = build_roboto_dataset_asset(
        "logs",
        destination=folder,
        partitions_def=dg.StaticPartitionsDefinition([dataset_id, other]),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    return dataset_id, other, asset


def materialize_range(
    definitions: list[Any], first: str, last: str, **options: Any
) -> dg.ExecuteInProcessResult:
    """Run several partitions in one run."""
    tags = {
        "dagster/asset_partition_range_start": first,
        "dagster/asset_partition_range_end": last,
    }
    return dg.materialize(definitions, tags=tags, raise_on_error=False, **options)


def test_the_run_of_another_asset_checks_all_partitions(
    resources: dict[str, Any], two: tuple[str, str, dg.AssetsDefinition]
) -> None:
    """A day of another asset is no partition of this one: all that were materialized are checked."""
    first, last, logs = two
    checks = build_roboto_dataset_checks(logs)

    @dg.asset(partitions_def=dg.DailyPartitionsDefinition("2026-01-01"))
    def other() -> None: ...

    materialize_range([logs], first, last, resources=resources)
    selection = dg.AssetSelection.assets(other) | dg.AssetSelection.checks_for_assets(logs)
    result = dg.materialize(
        [logs, other, *checks],
        selection=selection,
        resources=resources,
        partition_key="2026-01-05",
    )
    found = by_partition(result)
    assert {each.passed for each in found.values()} == {True}
    assert {partition for _, partition in found} == {first, last}


def test_a_deleted_dataset_hides_no_other(
    local: LocalRoboto, resources: dict[str, Any], two: tuple[str, str, dg.AssetsDefinition]
) -> None:
    """What the platform has no more is a violation of that partition; the others are checked."""
    first, last, logs = two
    checks = build_roboto_dataset_checks(logs)
    materialize_range([logs], first, last, resources=resources)
    local.client().delete(f"v1/datasets/{first}")
    result = dg.materialize(
        [logs, *checks],
        selection=dg.AssetSelection.checks_for_assets(logs),
        resources=resources,
    )
    found = by_partition(result)
    evaluation = found["in_step_with_platform", first]
    table: Any = evaluation.metadata["roboto/violations"].value
    assert [row.data["partition"] for row in table.records] == [first]
    assert (evaluation.passed, found["in_step_with_platform", last].passed) == (False, True)


def test_removed_partitions_are_left_out(
    local: LocalRoboto, resources: dict[str, Any], folder: pathlib.Path, dataset_id: str
) -> None:
    """A dynamic partition that a sensor has removed is not checked, although its files are kept."""
    gone = local.add_dataset()
    local.add_file(gone, "x.bin", b"x")
    partitions = dg.DynamicPartitionsDefinition(name="flights")
    logs = build_roboto_dataset_asset("logs", destination=folder, partitions_def=partitions)
    checks = build_roboto_dataset_checks(logs)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("flights", [dataset_id, gone])
        options: dict[str, Any] = {"resources": resources, "instance": instance}
        for key in (dataset_id, gone):
            dg.materialize([logs], partition_key=key, **options)
        local.client().delete(f"v1/datasets/{gone}")
        instance.delete_dynamic_partition("flights", gone)
        selection = dg.AssetSelection.checks_for_assets(logs)
        result = dg.materialize([logs, *checks], selection=selection, **options)
    found = by_partition(result)
    assert {name: each.passed for name, each in found.items()} == dict.fromkeys(found, True)
    assert {partition for _, partition in found} == {dataset_id}


# --- partitions ---


def shown(
    instance: dg.DagsterInstance, asset: dg.AssetsDefinition, checks: dg.AssetChecksDefinition
) -> dict[tuple[str, str], str]:
    """Return the state of each check and partition, as Dagster's UI shows it."""
    import asyncio

    from dagster._core.loader import LoadingContextForTest
    from dagster._core.storage.asset_check_state import AssetCheckState

    async def ask(key: dg.AssetCheckKey) -> Any:
        return await AssetCheckState.gen(
            LoadingContextForTest(instance), (key, asset.partitions_def)
        )

    found = {}
    for key in checks.check_keys:
        for status, subset in asyncio.run(ask(key)).subsets.items():
            for partition in subset.subset_value.get_partition_keys():
                found[key.name, partition] = status.value
    return found


def test_yesterdays_failed_partition_stays_failed(
    resources: dict[str, Any], folder: pathlib.Path, two: tuple[str, str, dg.AssetsDefinition]
) -> None:
    """Another partition that is right today does not hide it, in single runs as in ranges."""
    first, last, logs = two
    (checks,) = build_roboto_dataset_checks(logs, compare_listing=False)
    with dg.DagsterInstance.ephemeral() as instance:
        options: dict[str, Any] = {"resources": resources, "instance": instance}
        materialize_range([logs], first, last, **options)
        (folder / first / "a.bin").unlink()
        dg.materialize(
            [logs, checks],
            selection=dg.AssetSelection.checks_for_assets(logs),
            tags={"dagster/partition": first},
            **options,
        )
        dg.materialize([logs, checks], partition_key=last, **options)
        states = shown(instance, logs, checks)
        assert states == {
            ("files_on_disk", first): "FAILED",
            ("files_on_disk", last): "SUCCEEDED",
            ("checksums", first): "FAILED",
            ("checksums", last): "SUCCEEDED",
        }
        materialize_range([logs, checks], first, last, **options)
        assert set(shown(instance, logs, checks).values()) == {"SUCCEEDED"}


def test_a_run_of_checks_for_a_partition_checks_that_one(
    resources: dict[str, Any], two: tuple[str, str, dg.AssetsDefinition]
) -> None:
    """As the UI starts them for one partition."""
    first, last, logs = two
    (checks,) = build_roboto_dataset_checks(logs)
    materialize_range([logs], first, last, resources=resources)
    result = dg.materialize(
        [logs, checks],
        selection=dg.AssetSelection.checks_for_assets(logs),
        resources=resources,
        tags={"dagster/partition": last},
    )
    assert {partition for _, partition in by_partition(result)} == {last}


def test_blocking_checks_gate_just_the_partition_concerned(
    local: LocalRoboto, resources: dict[str, Any], two: tuple[str, str, dg.AssetsDefinition]
) -> None:
    """A condition lets through the partitions whose latest materialization has passed."""
    first, last, logs = two
    (checks,) = build_roboto_dataset_checks(logs, blocking=True)
    condition = dg.AutomationCondition.all_deps_blocking_checks_passed() & (
        ~dg.AutomationCondition.any_deps_missing()
    )

    @dg.asset(partitions_def=logs.partitions_def, deps=[logs], automation_condition=condition)
    def after() -> None: ...

    definitions = dg.Definitions([logs, after], asset_checks=[checks], resources=resources)
    with dg.DagsterInstance.ephemeral() as instance:
        options: dict[str, Any] = {"resources": resources, "instance": instance}
        assert materialize_range([logs, checks], first, last, **options).success
        local.add_file(first, "gone.bin", b"x")
        local.remove_object(first, "gone.bin")
        assert not materialize_range([logs, checks], first, last, **options).success
        found = dg.evaluate_automation_conditions(definitions, instance)
        assert set(found.get_requested_partitions(dg.AssetKey("after"))) == {last}


def test_partitions_are_checked_side_by_side(
    local: LocalRoboto, resources: dict[str, Any], two: tuple[str, str, dg.AssetsDefinition]
) -> None:
    """Each listing waits for the other one; the evaluations come in the order of the keys."""
    first, last, logs = two
    (checks,) = build_roboto_dataset_checks(logs, checksums="none")
    materialize_range([logs], first, last, resources=resources)
    together = threading.Barrier(2)
    local.faults.add(
        faults.call(lambda: together.wait(60) and None), route="*/files/query", times=2
    )
    selection = dg.AssetSelection.checks_for_assets(logs)
    result = dg.materialize([logs, checks], selection=selection, resources=resources)
    found = result.get_asset_check_evaluations()
    assert [each.partition for each in found] == sorted([first, first, last, last])
    assert all(each.passed for each in found)


def test_each_evaluation_points_to_its_materialization(
    resources: dict[str, Any], two: tuple[str, str, dg.AssetsDefinition]
) -> None:
    """Without, Dagster shows it nowhere."""
    first, last, logs = two
    (checks,) = build_roboto_dataset_checks(logs)
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize_range(
            [logs, checks], first, last, resources=resources, instance=instance
        )
        for (_, partition), evaluation in by_partition(result).items():
            only = dg.AssetRecordsFilter(asset_key=logs.key, asset_partitions=[partition])
            (latest,) = instance.fetch_materializations(only, limit=5).records
            target = evaluation.target_materialization_data
            assert target is not None
            assert (target.storage_id, target.run_id) == (latest.storage_id, result.run_id)


def test_releases_without_partitions_of_checks_have_one_evaluation(
    resources: dict[str, Any],
    two: tuple[str, str, dg.AssetsDefinition],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of all partitions of the run together, as before."""
    monkeypatch.setattr("roboto_dagster.checks.specs._can_be_by_partition", lambda: False)
    first, last, logs = two
    (checks,) = build_roboto_dataset_checks(logs)
    result = materialize_range([logs, checks], first, last, resources=resources)
    found = by_partition(result)
    assert {partition for _, partition in found} == {None}
    assert found["files_on_disk", None].metadata["roboto/partitions_checked"].value == 2


def test_an_unreadable_manifest_fails_the_checksums_of_its_partition(
    resources: dict[str, Any], folder: pathlib.Path, two: tuple[str, str, dg.AssetsDefinition]
) -> None:
    """And of no other."""
    first, last, logs = two
    (checks,) = build_roboto_dataset_checks(logs)
    materialize_range([logs], first, last, resources=resources)
    (folder / ".roboto" / "logs" / f"{first}.parquet").write_bytes(b"PAR1 no more")
    selection = dg.AssetSelection.checks_for_assets(logs)
    found = by_partition(dg.materialize([logs, checks], selection=selection, resources=resources))
    assert [found["checksums", key].passed for key in (first, last)] == [False, True]
    assert "cannot be read" in str(found["checksums", first].description)


# --- one op ---


def test_all_checks_are_one_op(resources: dict[str, Any], folder: pathlib.Path) -> None:
    """One step evaluates them all; each can be selected alone."""
    logs = build_roboto_dataset_asset("logs", destination=folder, dataset_id="ds_1")
    (checks,) = build_roboto_dataset_checks(logs, max_age=dt.timedelta(hours=1))
    assert (checks.op.name, len(list(checks.check_keys))) == ("logs_checks", 4)
    one = dg.AssetSelection.checks(dg.AssetCheckKey(logs.key, "files_on_disk"))
    result = dg.materialize([logs, checks], selection=one, resources=resources)
    assert set(by_name(result)) == {"files_on_disk"}


def test_a_failed_partition_does_not_redden_the_checks(
    local: LocalRoboto, resources: dict[str, Any], two: tuple[str, str, dg.AssetsDefinition]
) -> None:
    """The checks of a run that fails for one partition are evaluated, none is "Execution failed"."""
    first, last, logs = two
    local.faults.add(faults.status(404), service="s3", key="*a.bin")
    checks = build_roboto_dataset_checks(logs, max_age=dt.timedelta(hours=1), blocking=True)
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize_range(
            [logs, *checks], first, last, resources=resources, instance=instance
        )
        states = shown(instance, logs, *checks)
    assert not result.success
    for name, state in states.items():
        assert state == ("FAILED" if name == ("files_on_disk", first) else "SUCCEEDED"), name


def test_a_run_without_any_report_evaluates_nothing(
    local: LocalRoboto, resources: dict[str, Any], folder: pathlib.Path
) -> None:
    """If the platform is the problem, the checks would only meet it again."""
    local.faults.add(faults.status(500), route="/v1/datasets/*")
    logs = build_roboto_dataset_asset("logs", destination=folder, dataset_id="ds_1")
    local.requests.clear()
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [logs, *build_roboto_dataset_checks(logs)],
            resources=resources,
            instance=instance,
            raise_on_error=False,
        )
        events = instance.all_logs(result.run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    assert (result.success, events, local.requests.count()) == (False, [], 1)


def test_checks_after_a_step_that_was_retried(
    local: LocalRoboto, resources: dict[str, Any], folder: pathlib.Path, dataset_id: str
) -> None:
    """Evaluated by the failed attempt, and again by their own step: the last verdict counts."""
    logs = build_roboto_dataset_asset(
        "logs",
        destination=folder,
        dataset_id=dataset_id,
        retry=RetryConfig(max_attempts=1),
        retry_policy=dg.RetryPolicy(max_retries=1),
    )
    local.faults.add(faults.status(503), service="s3", key="*a.bin", times=1)
    (checks,) = build_roboto_dataset_checks(logs)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([logs, checks], resources=resources, instance=instance)
        records = instance.event_log_storage.get_latest_asset_check_execution_by_key(
            list(checks.check_keys)
        )
    assert result.success
    assert {record.status.value for record in records.values()} == {"SUCCEEDED"}


def test_all_blocking_checks_are_evaluated(check: Run, folder: pathlib.Path) -> None:
    """One that fails does not keep the others of the op from being evaluated."""
    check(sync=True)
    for path in folder.rglob("*.bin"):
        path.unlink()
    found = check(blocking=True, max_age=dt.timedelta(hours=1))
    assert {name: each.passed for name, each in found.items()} == {
        "files_on_disk": False,
        "checksums": False,
        "in_step_with_platform": True,
        "recently_synced": True,
    }


def test_direct_invocation(
    resources: dict[str, Any], folder: pathlib.Path, dataset_id: str
) -> None:
    """The checks can be called in a unit test, as Dagster documents it."""
    logs = build_roboto_dataset_asset("logs", destination=folder, dataset_id=dataset_id)
    (checks,) = build_roboto_dataset_checks(logs, max_age=dt.timedelta(hours=1))
    dg.materialize([logs], resources=resources)
    context = dg.build_asset_check_context(resources={"roboto": resources["roboto"]})
    results: Any = checks(context)
    assert {each.check_name: each.passed for each in results} == {
        "files_on_disk": True,
        "checksums": True,
        "in_step_with_platform": True,
        "recently_synced": True,
    }


# --- what cannot be looked at ---


def test_no_check_passes_on_what_it_has_not_seen(check: Run, folder: pathlib.Path) -> None:
    """With a manifest that is none, every check that reads it fails."""
    check(sync=True)
    (manifest,) = folder.rglob("*.parquet")
    manifest.write_bytes(b"no parquet")
    found = check()
    assert {each.passed for each in found.values()} == {False}


def test_a_platform_that_cannot_be_reached_fails_its_check_alone(
    check: Run, resources: dict[str, Any]
) -> None:
    """The other checks do not need it."""
    check(sync=True)
    resources["roboto"] = RobotoResource(api_key="x", endpoint="http://127.0.0.1:9", max_attempts=1)
    found = check()
    assert {name: each.passed for name, each in found.items()} == {
        "files_on_disk": True,
        "checksums": True,
        "in_step_with_platform": False,
    }


def test_a_path_that_cannot_be_a_file_is_a_failed_file(
    check: Run, local: LocalRoboto, dataset_id: str
) -> None:
    """The sync has refused it; the manifest that reports it is no broken one."""
    local.add_file(dataset_id, "bad\x01.bin", b"1", key="x")
    check(sync=True)
    assert violations(check()["files_on_disk"]) == [
        ("bad\\x01.bin", "not delivered by the last sync: UNSAFE_PATH")
    ]


def test_special_files_and_links_are_not_opened(
    check: Run, folder: pathlib.Path, dataset_id: str
) -> None:
    """A FIFO would wait for ever, a link lead out of the destination."""
    check(sync=True)
    (folder / dataset_id / "a.bin").unlink()
    os.mkfifo(folder / dataset_id / "a.bin")
    (folder / dataset_id / "b.bin").rename(folder / "elsewhere")
    (folder / dataset_id / "b.bin").symlink_to(folder / "elsewhere")
    found = check(checksums="all")
    assert sorted(violations(found["files_on_disk"])) == [
        ("a.bin", "not a regular file"),
        ("b.bin", "not a regular file"),
    ]
    assert [path for path, _ in sorted(violations(found["checksums"]))] == ["a.bin", "b.bin"]


def test_a_manifest_that_leads_out_of_the_destination(check: Run, folder: pathlib.Path) -> None:
    """A planted `..` is not followed: the manifest is called what it is."""
    check(sync=True)
    (manifest,) = folder.rglob("*.parquet")
    table = pq.read_table(manifest)
    paths = pa.array(["../../etc/passwd", "b.bin", "c.bin"])
    position = table.schema.get_field_index("relative_path")
    planted = table.set_column(position, table.schema.field(position), paths)
    pq.write_table(planted, manifest)
    ((_, problem),) = violations(check()["files_on_disk"])
    assert "../../etc/passwd" in problem


# --- while a run is under way ---


def test_a_file_that_a_run_has_just_replaced_is_right(
    local: LocalRoboto, folder: pathlib.Path, dataset_id: str, check: Run, syncer: "Syncer"
) -> None:
    """The manifest is that of the last run until this one ends: its log counts as well."""
    check(sync=True)
    local.replace_file(dataset_id, "a.bin", b"A" * 11)
    local.add_file(dataset_id, "slow.bin", b"s")
    held, go = threading.Event(), threading.Event()

    def hold(_: Any, answer: Any) -> Any:
        held.set()
        go.wait(30)
        return answer

    local.faults.add(faults.Fault(name="hold", after=hold), service="s3", key="*/slow.bin")
    syncer.destination = folder
    syncer.manifest = manifest_path(folder, "logs", dataset_id)
    run = threading.Thread(target=syncer, args=[dataset_id])
    run.start()
    try:
        assert held.wait(60)
        wait_until(lambda: (folder / dataset_id / "a.bin").stat().st_size == 11)
        found = check(checksums="all", compare_listing=False)
        assert {name: each.passed for name, each in found.items()} == {
            "files_on_disk": True,
            "checksums": True,
        }
    finally:
        go.set()
        run.join()


# --- what is shown ---


def test_names_are_escaped_in_the_description(
    local: LocalRoboto, check: Run, folder: pathlib.Path, dataset_id: str
) -> None:
    """A file's name is chosen by whoever uploads it: no image is fetched for it, no line forged."""
    name = "![x](http:evil).bin"
    local.add_file(dataset_id, name, b"x")
    check(sync=True)
    (folder / dataset_id / name).unlink()
    description = check()["files_on_disk"].description or ""
    assert f"`{name}`" in description


def test_what_was_verified_is_counted(check: Run) -> None:
    """Numbers agree with their nouns, and nothing is shown that is empty."""
    evaluation = check(sync=True)["files_on_disk"]
    assert evaluation.description == "Verified 3 files in 1 partition."
    assert "roboto/violations" not in evaluation.metadata


# --- files that are skipped on purpose ---


@pytest.fixture
def with_refused(local: LocalRoboto, dataset_id: str) -> str:
    """The dataset, with files that no disk could take and a marker of a directory."""
    local.add_file(dataset_id, "bad\x01.bin", b"1", key="x")
    local.add_file(dataset_id, "N.bin", b"1", key="y")
    local.add_file(dataset_id, "n.bin", b"2", key="z")
    local.add_record(dataset_id, relative_path="no.bin", uri="gs://bucket/key", size=3)
    return dataset_id


def test_skipped_files_are_the_same_for_all(
    resources: dict[str, Any], folder: pathlib.Path, with_refused: str
) -> None:
    """What the manifest calls skipped neither fails a check nor is handed to another asset."""
    logs = build_roboto_dataset_asset(
        "logs", destination=folder, dataset_id=with_refused, on_refused="skip"
    )
    loaded: list[str] = []

    @dg.asset(ins={"logs": dg.AssetIn(input_manager_key="files")})
    def reader(logs: DatasetFiles) -> None:
        loaded.extend(file.relative_path for file in logs.files)
        assert logs.table().num_rows == len(logs)

    result = dg.materialize(
        [logs, *build_roboto_dataset_checks(logs, checksums="all"), reader],
        resources={**resources, "files": RobotoFilesIOManager()},
    )
    found = by_name(result)
    assert {name: each.passed for name, each in found.items()} == dict.fromkeys(found, True)
    assert sorted(loaded) == ["a.bin", "b.bin", "c.bin"]
    (event,) = result.asset_materializations_for_node("logs")
    assert event.metadata["roboto/files_skipped"].value == 4
    assert event.metadata["dagster/row_count"].value == 3


def test_refused_files_fail_where_they_are_not_skipped(
    resources: dict[str, Any], folder: pathlib.Path, with_refused: str
) -> None:
    """By default the partition fails for them, and the check names each."""
    logs = build_roboto_dataset_asset("logs", destination=folder, dataset_id=with_refused)
    (checks,) = build_roboto_dataset_checks(logs, compare_listing=False, checksums="none")
    options: dict[str, Any] = {"resources": resources, "raise_on_error": False}
    assert not dg.materialize([logs, checks], **options).success
    alone = dg.AssetSelection.checks_for_assets(logs)
    result = dg.materialize([logs, checks], selection=alone, **options)
    named = dict(violations(by_name(result)["files_on_disk"]))
    assert set(named) == {"bad\\x01.bin", "N.bin", "n.bin", "no.bin"}

"""Checks of delivered files, in runs of Dagster."""

import datetime as dt
import os
import pathlib
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import (
    ConfigurationError,
    build_roboto_dataset_asset,
    build_roboto_dataset_checks,
)
from roboto_dagster.testing import LocalRoboto, faults

Run = Callable[..., dict[str, dg.AssetCheckEvaluation]]


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
        return {each.check_name: each for each in result.get_asset_check_evaluations()}

    return run


def offenders(evaluation: dg.AssetCheckEvaluation) -> list[tuple[Any, Any]]:
    """Return path and problem of each offender that a check names."""
    table: Any = evaluation.metadata["roboto/offenders"].value
    return [(row.data["relative_path"], row.data["problem"]) for row in table.records]


def test_all_pass_after_a_sync(check: Run) -> None:
    """What was just delivered is right, and the checks say how much they have looked at."""
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
    assert sorted(offenders(evaluation)) == [
        ("a.bin", "cannot be read: No such file or directory"),
        ("b.bin", "1 bytes, where 10 were delivered"),
    ]
    assert "a.bin cannot be read: No such file" in (evaluation.description or "")


def test_changed_bytes_are_found(check: Run, folder: pathlib.Path, dataset_id: str) -> None:
    """Other bytes of the same size pass by their size and fail by their checksum."""
    check(sync=True)
    (folder / dataset_id / "c.bin").write_bytes(b"C" * 10)
    found = check(checksums="all")
    assert found["files_on_disk"].passed
    ((path, problem),) = offenders(found["checksums"])
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
    """New, changed and removed files on the platform are told apart."""
    check(sync=True)
    local.add_file(dataset_id, "d.bin", b"d")
    local.replace_file(dataset_id, "a.bin", b"new")
    local.remove_file(dataset_id, "b.bin")
    assert sorted(offenders(check()["in_step_with_platform"])) == [
        ("a.bin", "version 2 on the platform, 1 here"),
        ("b.bin", "the platform does not list it any more"),
        ("d.bin", "the platform has it, the manifest not"),
    ]


def test_failed_files_stay_named(check: Run, local: LocalRoboto) -> None:
    """What the last sync could not deliver fails the check until it is delivered."""
    local.faults.add(faults.status(404), service="s3", key="*a.bin")
    check(sync=True)
    evaluation = check()["files_on_disk"]
    assert offenders(evaluation) == [("a.bin", "not whole since the last sync: NOT_FOUND")]


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
    assert str(manifest) in offenders(evaluation)[0][1]


def test_nothing_materialized(check: Run, dataset_id: str) -> None:
    """Checks of an asset that was never materialized fail, and say so."""
    partitions = dg.StaticPartitionsDefinition([dataset_id])
    evaluation = check(partitions_def=partitions)["files_on_disk"]
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
    evaluation = check(partitions_def=partitions)["files_on_disk"]
    assert evaluation.metadata["roboto/partitions_checked"].value == 2
    assert not evaluation.passed


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
        ({"checksums": "some"}, "checksums='some'"),
        ({"sample_files": 0}, "sample_files=0"),
        ({"sample_files": True}, "sample_files=True"),
        ({"sample_files": "10"}, "sample_files='10'"),
        ({"max_age": 48}, "max_age=48"),
        ({"max_age": dt.timedelta(0)}, "max_age="),
        ({"max_age": dt.timedelta(hours=-1)}, "max_age="),
        ({"blocking": "no"}, "blocking='no'"),
        ({"compare_listing": None}, "compare_listing=None"),
        ({"roboto_resource_key": ""}, "roboto_resource_key=''"),
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

    with pytest.raises(ConfigurationError, match="other is not one of roboto_dagster"):
        build_roboto_dataset_checks(other)
    with pytest.raises(ConfigurationError, match="'logs' is no asset"):
        build_roboto_dataset_checks("logs")  # type: ignore[arg-type]  # on purpose

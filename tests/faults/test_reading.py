"""R1 to R6: what checks and other assets make of what was delivered."""

import os
import pathlib
from collections.abc import Callable
from typing import Any

import dagster as dg
import pyarrow.dataset as pad
import pytest

from roboto_dagster import (
    DatasetFiles,
    RobotoFilesIOManager,
    build_roboto_dataset_asset,
    build_roboto_dataset_checks,
)
from roboto_dagster.sync.manifest import manifest_path
from roboto_dagster.testing import LocalRoboto
from roboto_dagster.testing.faults import Fault
from tests.faults.matrix import covers
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


class Readers:
    """Two datasets in one run, and what reads them afterwards.

    Attributes:
        ids: The datasets.
        folder: The destination.
        resources: Of the asset, its checks and its reader.
        logs: The asset.
        checks: Its checks.
    """

    def __init__(self, local: LocalRoboto, resources: dict[str, Any], folder: pathlib.Path) -> None:
        self.resources = {**resources, "files": RobotoFilesIOManager()}
        self.ids = [local.add_dataset("first"), local.add_dataset("second")]
        self.folder = folder
        for dataset_id in self.ids:
            local.add_file(dataset_id, "a.csv", b"x\n1\n")
        partitions = dg.StaticPartitionsDefinition(self.ids)
        self.logs = build_roboto_dataset_asset(
            "logs",
            destination=folder,
            partitions_def=partitions,
            backfill_policy=dg.BackfillPolicy.single_run(),
        )
        self.checks = build_roboto_dataset_checks(self.logs, checksums="all")

    def sync(self) -> dg.ExecuteInProcessResult:
        """Materialize both partitions in one run."""
        tags = {START: self.ids[0], END: self.ids[1]}
        return dg.materialize(
            [self.logs], resources=self.resources, tags=tags, raise_on_error=False
        )

    def check(self) -> dict[str, set[str]]:
        """Return the partitions that each check of its own run calls wrong."""
        result = dg.materialize(
            [self.logs, *self.checks],
            selection=dg.AssetSelection.checks_for_assets(self.logs),
            resources=self.resources,
        )
        evaluations = result.get_asset_check_evaluations()
        found: dict[str, set[str]] = {}
        for each in evaluations:
            found[each.check_name] = found.get(each.check_name, set()) | _wrong(each)
        looked_at = {(each.check_name, each.partition) for each in evaluations}
        assert looked_at == {(name, key) for name in found for key in self.ids}
        return found

    def load(self, annotation: Any = DatasetFiles) -> Any:
        """Load both partitions into another asset."""
        loaded = []

        def reader(logs: Any) -> None:
            loaded.append(logs)

        reader.__annotations__["logs"] = annotation
        reads = dg.asset(ins={"logs": dg.AssetIn(input_manager_key="files")})(reader)
        dg.materialize([self.logs, reads], selection=[reads], resources=self.resources)
        return loaded[0]


def _wrong(evaluation: dg.AssetCheckEvaluation) -> set[str]:
    if evaluation.passed:
        return set()
    table: Any = evaluation.metadata["roboto/violations"].value
    return {row.data["partition"] for row in table.records}


@pytest.fixture
def readers(local: LocalRoboto, resources: dict[str, Any], tmp_path: pathlib.Path) -> Readers:
    """Both datasets, delivered."""
    made = Readers(local, resources, tmp_path / "data")
    assert made.sync().success
    return made


@covers("R1")
def test_a_manifest_that_is_none(readers: Readers) -> None:
    """It is named by each check; the other partition is checked all the same."""
    first = readers.ids[0]
    manifest_path(readers.folder, "logs", first).write_bytes(b"no parquet")
    assert readers.check() == {
        "files_on_disk": {first},
        "checksums": {first},
        "in_step_with_platform": {first},
    }
    with pytest.raises(Exception, match="cannot be read"):
        readers.load()


def _missing(path: pathlib.Path) -> None:
    path.unlink()


def _cut(path: pathlib.Path) -> None:
    path.write_bytes(b"x")


def _fifo(path: pathlib.Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: pathlib.Path) -> None:
    path.rename(path.with_name("elsewhere.csv"))
    path.symlink_to("elsewhere.csv")


@covers("R2")
@pytest.mark.parametrize("harm", [_missing, _cut, _fifo, _link])
def test_a_file_that_is_not_as_it_was(
    readers: Readers, harm: Callable[[pathlib.Path], None]
) -> None:
    """Both checks of the disk name its partition, and it is not handed on."""
    first = readers.ids[0]
    harm(readers.folder / first / "a.csv")
    wrong = readers.check()
    assert (wrong["files_on_disk"], wrong["checksums"]) == ({first}, {first})
    with pytest.raises(Exception, match=r"1 of 1 file is not complete on disk: a.csv"):
        readers.load()


@covers("R3")
def test_a_dataset_that_is_gone(readers: Readers, local: LocalRoboto) -> None:
    """Its partition is out of step, the other is looked at."""
    local.client().delete(f"v1/datasets/{readers.ids[0]}")
    assert readers.check()["in_step_with_platform"] == {readers.ids[0]}


@covers("R4")
def test_columns_that_differ(
    local: LocalRoboto, resources: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """All columns are there, or the file that does not fit is named."""
    made = Readers(local, resources, tmp_path / "data")
    local.add_file(made.ids[1], "b.csv", b"x,y\n2,3\n")
    made.sync()
    assert made.load(pad.Dataset).schema.names == ["x", "y"]
    local.add_file(made.ids[1], "c.csv", b"x\ntext\n")
    made.sync()
    with pytest.raises(Exception, match=r"column x is int64 in .*; string in .*c.csv"):
        made.load(pad.Dataset)


@covers("R5")
def test_a_run_that_was_killed(readers: Readers, local: LocalRoboto) -> None:
    """What it has published is right, although the manifest is that of the run before."""
    first = readers.ids[0]
    manifest = manifest_path(readers.folder, "logs", first)
    before = manifest.read_bytes()
    local.replace_file(first, "a.csv", b"x\n1\n2\n")
    local.add_file(first, "b.csv", b"x\n3\n")
    state: dict[pathlib.Path, bytes] = {}

    def keep_state(_: Any, answer: Any) -> Any:
        published = readers.folder / first / "a.csv"
        wait_until(lambda: published.stat().st_size == 6)
        state.update({path: path.read_bytes() for path in manifest.parent.rglob(".*.publish-log")})
        return answer

    local.faults.add(Fault(name="kill", after=keep_state), service="s3", key=f"*/{first}/b.csv")
    readers.sync()
    for path, data in {**state, manifest: before}.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    wrong = readers.check()
    assert (wrong["files_on_disk"], wrong["checksums"]) == (set(), set())


@covers("R6")
def test_one_of_two_partitions_fails(readers: Readers, local: LocalRoboto) -> None:
    """The run's checks have verdicts: only the one about files on disk has failed."""
    local.add_file(readers.ids[0], "lost.csv", b"x\n1\n")
    local.remove_object(readers.ids[0], "lost.csv")
    tags = {START: readers.ids[0], END: readers.ids[1]}
    (checks,) = readers.checks
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [readers.logs, checks],
            resources=readers.resources,
            tags=tags,
            instance=instance,
            raise_on_error=False,
        )
        logs = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    assert not result.success
    evaluations: list[Any] = [
        each.dagster_event.event_specific_data for each in logs if each.dagster_event
    ]
    assert len(evaluations) == 6
    failed = {(each.check_name, each.partition) for each in evaluations if not each.passed}
    assert failed == {("files_on_disk", readers.ids[0])}

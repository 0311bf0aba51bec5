"""Runs of shards on the local platform: divided, transferred by several, merged, whatever is lost between."""

import pathlib
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from roboto_dagster.errors import ManifestError
from roboto_dagster.sync.options import SyncOptions
from roboto_dagster.sync.report import SyncReport
from roboto_dagster.sync.shards.division import ShardOptions
from roboto_dagster.sync.shards.places import run_folder, shard_manifest, shards_folder
from roboto_dagster.sync.shards.plan_file import ShardPlan, planned_rows
from roboto_dagster.sync.shards.runs import merge_shards, plan_shards, transfer_shard
from roboto_dagster.testing import LocalRoboto, faults

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from tests.conftest import Syncer

OPTIONS = ShardOptions(max_shards=4, min_shard_mib=1)  # four small files are a MiB of work
FILES = 20


class Sharded:
    """One partition, transferred by shards."""

    def __init__(self, syncer: "Syncer", local: LocalRoboto, dataset_id: str) -> None:
        self.syncer = syncer
        self.dataset_id = dataset_id
        self._local = local

    def folder(self, run_id: str = "run") -> pathlib.Path:
        """Return the folder of a run."""
        return run_folder(self.syncer.manifest, run_id)

    def plan(self, run_id: str = "run") -> ShardPlan:
        """Plan a run."""
        scopes = self.syncer.scopes(self.dataset_id)
        return plan_shards(scopes, self.syncer.settings(), self.folder(run_id), OPTIONS)

    def transfer(self, plan: ShardPlan, *shards: int, run_id: str = "run") -> list[SyncReport]:
        """Transfer some shards, or all."""
        numbers = shards or range(1, len(plan.shards) + 1)
        settings, folder = self.syncer.settings(), self.folder(run_id)
        return [transfer_shard(settings, folder, plan.plan_hash, each) for each in numbers]

    def merge(self, run_id: str = "run", options: SyncOptions | None = None) -> SyncReport:
        """Merge; the log of requests then holds those of the merge alone."""
        self._local.requests.clear()
        settings = self.syncer.settings(options=options or SyncOptions())
        return merge_shards(settings, self.folder(run_id))

    def objects_asked_for(self) -> list[str]:
        """Return the names of what the store was asked for."""
        return [each.key.rpartition("/")[2] for each in self._local.requests.matching(service="s3")]


@pytest.fixture
def sharded(syncer: "Syncer", local: LocalRoboto) -> Sharded:
    """A dataset of twenty small files."""
    dataset_id = local.add_dataset("flight")
    for number in range(FILES):
        local.add_file(dataset_id, f"logs/{number:02}.mcap", f"{number:02}".encode() * 10)
    return Sharded(syncer, local, dataset_id)


def test_every_file_is_in_one_shard(sharded: Sharded) -> None:
    """The plan divides all of them, alike each time."""
    plan = sharded.plan()
    rows = list(planned_rows(sharded.folder() / "plan.parquet", sharded.syncer.destination))
    assert [each.files for each in plan.shards] == [5, 5, 5, 5]
    assert sorted(row.file.relative_path for row in rows) == [
        f"logs/{n:02}.mcap" for n in range(20)
    ]
    assert sharded.plan().plan_hash == plan.plan_hash


def test_the_merge_reports_what_the_shards_have_fetched(sharded: Sharded) -> None:
    """It asks neither the platform nor the store, and the manifest is that of any other sync."""
    sharded.transfer(sharded.plan())
    report = sharded.merge()
    assert not sharded.objects_asked_for()
    assert (report.files_fetched, report.files_unchanged, report.bytes_fetched) == (20, 0, 400)
    assert report.listed_at is not None  # by which a schedule knows what has changed since
    assert {row["status"] for row in sharded.syncer.rows().values()} == {"fetched"}
    assert len(sharded.syncer.files()) == FILES
    assert not shards_folder(sharded.syncer.manifest).parent.parent.exists()


def test_nothing_is_fetched_again_after_a_run_of_shards(sharded: Sharded) -> None:
    """The next plan has one shard that is empty, and its merge delivers nothing."""
    sharded.transfer(sharded.plan())
    sharded.merge()
    plan = sharded.plan("next")
    assert plan.shards == [(0, 0)]
    sharded.transfer(plan, run_id="next")
    report = sharded.merge("next")
    assert (report.files_fetched, report.files_unchanged) == (0, FILES)
    assert not sharded.objects_asked_for()


def test_a_shard_that_is_run_again_keeps_what_it_has(sharded: Sharded, local: LocalRoboto) -> None:
    """As after a killed worker whose step is retried."""
    plan = sharded.plan()
    sharded.transfer(plan, 1)
    local.requests.clear()
    (report,) = sharded.transfer(plan, 1)
    assert (report.files_fetched, report.files_unchanged) == (0, 5)
    assert not sharded.objects_asked_for()


def test_the_merge_delivers_what_lost_shards_have_not(sharded: Sharded) -> None:
    """A run that is re-executed from its failure loses the shards that had not started."""
    plan = sharded.plan()
    sharded.transfer(plan, 1, 3)
    report = sharded.merge()
    assert len(sharded.objects_asked_for()) == FILES // 2
    assert (report.files_fetched, report.bytes_fetched) == (FILES, 400)
    assert "2 of 4 shards did not end (2, 4)" in "\n".join(line for _, line in sharded.syncer.lines)


def test_a_new_run_keeps_what_the_shards_of_a_dead_one_have_delivered(
    sharded: Sharded, local: LocalRoboto
) -> None:
    """Only its rest is divided."""
    sharded.transfer(sharded.plan("dead"), 1, 2, run_id="dead")
    plan = sharded.plan("new")
    assert sum(each.files for each in plan.shards) == FILES // 2
    local.requests.clear()
    sharded.transfer(plan, run_id="new")
    assert len(sharded.objects_asked_for()) == FILES // 2


def test_a_plain_sync_keeps_what_shards_have_delivered(sharded: Sharded) -> None:
    """It does not matter which way a partition is run next."""
    sharded.transfer(sharded.plan(), 1)
    report = sharded.syncer(sharded.dataset_id)
    assert (report.files_fetched, report.files_unchanged) == (15, 5)
    assert len(sharded.objects_asked_for()) == 15


def test_a_failed_file_fails_its_shard_and_the_merge(sharded: Sharded, local: LocalRoboto) -> None:
    """All others are complete, and the folder of the run stays for the next one."""
    local.faults.add(faults.status(404), key="*/07.mcap")
    plan = sharded.plan()
    reports = sharded.transfer(plan)
    assert sorted(report.files_failed for report in reports) == [0, 0, 0, 1]
    merged = sharded.merge()
    assert (merged.files_failed, merged.files_fetched) == (1, FILES - 1)
    assert sharded.folder().exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param(LocalRoboto.remove_file, "NOT_FOUND", id="deleted"),
        pytest.param(
            lambda local, *place: local.replace_file(*place, b"longer than before" * 9),
            "SIZE_MISMATCH",
            id="replaced",
        ),
    ],
)
def test_a_file_that_has_changed_since_the_plan_needs_a_new_one(
    sharded: Sharded, local: LocalRoboto, change: Callable[..., object], code: str
) -> None:
    """To repeat the shard does not help, and the failure says what does."""
    plan = sharded.plan()
    change(local, sharded.dataset_id, "logs/07.mcap")
    failed = [report for report in sharded.transfer(plan) if report.failures] + [sharded.merge()]
    assert [each.error_codes for each in failed] == [{code: 1}, {code: 1}]
    advice = {failure.advice for each in failed for failure in each.failures}
    assert all("start a new run, which lists it again" in each for each in advice)
    sharded.transfer(sharded.plan("new"), run_id="new")
    assert sharded.merge("new").is_complete


def test_the_disk_decides_between_the_shards_of_several_runs(sharded: Sharded) -> None:
    """A file that a later run has delivered is not taken for that of a dead one, whichever manifest is read first."""
    # The first is read first, and what it knows of these files is out of date.
    for run_id in ("a", "b"):
        sharded.transfer(sharded.plan(run_id), run_id=run_id)
        if run_id == "a":
            for path in (sharded.syncer.destination / sharded.dataset_id / "logs").iterdir():
                path.unlink()
    report = sharded.merge("b")
    assert (report.files_fetched, report.bytes_fetched) == (FILES, 400)
    assert not sharded.objects_asked_for()


def test_only_the_merge_removes(sharded: Sharded, local: LocalRoboto) -> None:
    """A shard sees a part of the files: what others have is not missing."""
    sharded.syncer(sharded.dataset_id)
    local.remove_file(sharded.dataset_id, "logs/00.mcap")
    for number in range(1, 12):
        local.add_file(sharded.dataset_id, f"new/{number}.mcap", b"new")
    plan = sharded.plan()
    sharded.transfer(plan)
    assert f"{sharded.dataset_id}/logs/00.mcap" in sharded.syncer.files()
    report = sharded.merge(options=SyncOptions(on_missing="remove"))
    assert report.files_removed == 1
    assert f"{sharded.dataset_id}/logs/00.mcap" not in sharded.syncer.files()


def test_a_shard_of_another_plan_is_refused(sharded: Sharded) -> None:
    """Its number means other files now."""
    plan = sharded.plan()
    with pytest.raises(ManifestError, match="is another one than shard 1 belongs to"):
        transfer_shard(sharded.syncer.settings(), sharded.folder(), "0" * 16, 1)
    sharded.transfer(plan, 1)


def test_workers_that_do_not_share_the_destination_are_told_so(sharded: Sharded) -> None:
    """The plan is not there."""
    plan = sharded.plan()
    shutil.rmtree(sharded.folder())
    with pytest.raises(ManifestError, match="the workers do not share the destination"):
        sharded.transfer(plan, 1)


def test_a_damaged_plan_is_an_error_with_advice(sharded: Sharded) -> None:
    """What is on disk is not trusted."""
    plan = sharded.plan()
    path = sharded.folder() / "plan.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(
        ManifestError, match=r"cannot be read: .* Run the partition again, from its"
    ):
        sharded.transfer(plan, 1)


def test_a_damaged_shard_manifest_costs_no_file(sharded: Sharded) -> None:
    """The merge compares what is on disk with the store."""
    plan = sharded.plan()
    sharded.transfer(plan)
    shard_manifest(sharded.folder(), 2).write_bytes(b"PAR1 and then nothing")
    report = sharded.merge()
    assert report.files_failed == 0
    assert len(sharded.syncer.files()) == FILES


def test_bad_records_go_through_a_plan(sharded: Sharded, local: LocalRoboto) -> None:
    """The merge names them, as any sync does."""
    local.add_file(sharded.dataset_id, "../evil", b"x")
    plan = sharded.plan()
    sharded.transfer(plan)
    report = sharded.merge()
    assert [each.code for each in report.failures] == ["UNSAFE_PATH"]

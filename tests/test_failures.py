"""From events of failed runs back to failures that a program can read."""

import contextlib
import pathlib
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import (
    DownloadSession,
    ManifestError,
    ObjectStore,
    ObjectStoreResource,
    RetryConfig,
    ShardOptions,
    build_roboto_dataset_asset,
    failures_of_run,
)
from roboto_dagster.testing import LocalRoboto, faults


def dataset(local: LocalRoboto, *names: str) -> str:
    """Add a dataset with files."""
    dataset_id = local.add_dataset()
    for name in names:
        local.add_file(dataset_id, name, b"data")
    return dataset_id


def run(
    resources: dict[str, Any],
    folder: pathlib.Path,
    instance: dg.DagsterInstance,
    *keys: str,
    retry_policy: dg.RetryPolicy | None = None,
) -> dg.ExecuteInProcessResult:
    """Materialize datasets in one run."""
    asset = build_roboto_dataset_asset(
        "logs",
        destination=folder,
        partitions_def=dg.StaticPartitionsDefinition(list(keys)),
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry=RetryConfig(max_attempts=1),
        retry_policy=retry_policy,
        max_concurrent_partitions=1,
    )
    ends = {"start": keys[0], "end": keys[-1]}
    tags = {f"dagster/asset_partition_range_{name}": key for name, key in ends.items()}
    return dg.materialize(
        [asset], resources=resources, tags=tags, instance=instance, raise_on_error=False
    )


def test_failed_files_are_typed(
    local: LocalRoboto, resources: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """A failed run lists its partitions, and of each the files with code, attempts and message."""
    complete, broken = dataset(local, "a.bin"), dataset(local, "b.bin", "c.bin")
    local.faults.add(faults.status(404), service="s3", key="*b.bin")
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(resources, tmp_path, instance, complete, broken)
        (failure,) = failures_of_run(instance, result.run_id)
    assert (failure.partition_key, failure.dataset_id) == (broken, broken)
    assert failure.error_codes == {"NOT_FOUND": 1}
    (file,) = failure.files
    assert (file.relative_path, file.error_code, file.transient) == ("b.bin", "NOT_FOUND", False)
    assert "upload the file again" in file.advice
    assert not failure.transient
    assert "1 of 2 files" in failure.description


def test_manifest_has_them_all(
    local: LocalRoboto, resources: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """Events name the first hundred files, the manifest every one."""
    broken = dataset(local, *(f"{number:03}.bin" for number in range(120)))
    local.faults.add(faults.status(404), service="s3")
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(resources, tmp_path, instance, broken)
        (failure,) = failures_of_run(instance, result.run_id)
    assert len(failure.files) == 100
    assert {file.error_code for file in failure.all_files()} == {"NOT_FOUND"}
    assert len(failure.all_files()) == 120


def test_unplanned_partition_has_a_reason(
    resources: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """A dataset that does not exist is a failure without files or manifest."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(resources, tmp_path, instance, "ds_nowhere")
        (failure,) = failures_of_run(instance, result.run_id)
    assert "ds_nowhere" in failure.description
    assert (failure.files, failure.manifest) == ([], None)
    with pytest.raises(ManifestError, match="has no manifest"):
        failure.all_files()


def test_a_retried_partition_is_no_failure(
    local: LocalRoboto, resources: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """What a later attempt of the same run has downloaded is not reported."""
    key = dataset(local, "a.bin")
    local.faults.add(faults.status(503), service="s3", times=1)
    with dg.DagsterInstance.ephemeral() as instance:
        policy = dg.RetryPolicy(max_retries=1)
        result = run(resources, tmp_path, instance, key, retry_policy=policy)
        assert result.success
        assert failures_of_run(instance, result.run_id) == []


def test_an_interrupted_run_names_what_it_did_not_get_to(
    local: LocalRoboto, resources: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """What was complete is none, and of the others a re-run may succeed."""
    keys = [dataset(local, "a.bin") for _ in range(3)]

    class Interrupting(ObjectStoreResource):
        def open_store(self, session: DownloadSession, *args: Any, **options: Any) -> ObjectStore:
            if keys[1] in str(args):
                raise KeyboardInterrupt
            return super().open_store(session, *args, **options)

    store = Interrupting(**dict(resources["object_store"]))
    with dg.DagsterInstance.ephemeral() as instance:
        with contextlib.suppress(KeyboardInterrupt):
            run({**resources, "object_store": store}, tmp_path, instance, *keys)
        (found,) = instance.get_runs()
        failures = failures_of_run(instance, found.run_id)
    assert {each.partition_key: each.reason for each in failures} == {
        keys[1]: "interrupted",
        keys[2]: "interrupted",
    }
    assert all(each.transient and "process of the run" in each.description for each in failures)


@pytest.mark.parametrize(
    ("reason", "text"),
    [("canceled", "The run was cancelled before"), ("interrupted", "The process of the run ended")],
)
def test_a_run_that_never_started_is_known(
    tmp_path: pathlib.Path, resources: dict[str, Any], reason: str, text: str
) -> None:
    """A queued run that is cancelled, or whose process was killed, delivers no partition; other assets are left out."""
    logs = build_roboto_dataset_asset("logs", destination=tmp_path, dataset_id="ds_1")
    other = dg.asset(name="other")(lambda: None)
    definitions = dg.Definitions(assets=[logs, other], resources=resources)
    job = definitions.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        planned = instance.create_run_for_job(job)
        assert failures_of_run(instance, planned.run_id) == []  # it may yet start
        if reason == "canceled":
            instance.report_run_canceled(planned)
        else:  # as the monitor does
            instance.report_run_failed(planned)
        (failure,) = failures_of_run(instance, planned.run_id)
    assert (failure.asset_key, failure.partition_key, failure.reason) == (logs.key, None, reason)
    assert failure.description.startswith(text)
    assert "before the step of this partition started" in failure.description


def test_a_step_that_fails_before_any_partition_is_known(
    tmp_path: pathlib.Path, resources: dict[str, Any]
) -> None:
    """The error of a step that could not even start its partitions is the reason of each of them, in their order."""
    swapped = {"roboto": resources["object_store"], "object_store": resources["roboto"]}
    keys = [f"ds_{number}" for number in range(9)]
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(swapped, tmp_path, instance, *keys)
        failures = failures_of_run(instance, result.run_id)
    assert [each.partition_key for each in failures] == keys
    assert all("Are the resources swapped?" in each.description for each in failures)


def test_a_sharded_asset_that_was_not_even_planned_is_known(
    tmp_path: pathlib.Path, resources: dict[str, Any]
) -> None:
    """Of an asset of several steps any may fail: its partition is not complete."""
    logs = build_roboto_dataset_asset(
        "logs", destination=tmp_path, dataset_id="ds_nowhere", shards=ShardOptions()
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [logs], resources=resources, instance=instance, raise_on_error=False
        )
        (failure,) = failures_of_run(instance, result.run_id)
    assert (failure.asset_key, failure.reason) == (logs.key, "failed")
    assert "ds_nowhere" in failure.description


def test_what_is_skipped_since_another_asset_failed_is_left_out(
    tmp_path: pathlib.Path, resources: dict[str, Any]
) -> None:
    """A dataset that waits for an asset of others is no failure of its own."""

    @dg.asset
    def upstream() -> None:
        raise ValueError("broken")

    logs = build_roboto_dataset_asset(
        "logs", destination=tmp_path, dataset_id="ds_1", deps=[upstream]
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [upstream, logs], resources=resources, instance=instance, raise_on_error=False
        )
        assert failures_of_run(instance, result.run_id) == []


def test_permanent_failure_is_not_run_again(
    local: LocalRoboto, resources: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """Neither level repeats what is not retryable: one request to the store, one attempt of the step."""
    key = dataset(local, "a.bin")
    local.faults.add(faults.status(404), service="s3")
    local.requests.clear()
    with dg.DagsterInstance.ephemeral() as instance:
        policy = dg.RetryPolicy(max_retries=3)
        result = run(resources, tmp_path, instance, key, retry_policy=policy)
    assert not result.success
    assert [event for event in result.all_events if event.is_step_up_for_retry] == []
    assert local.requests.count(service="s3", method="GET") <= 1

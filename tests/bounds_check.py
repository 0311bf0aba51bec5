"""What `tests/bounds.py` runs in each environment: every import, a session with both engines, an asset."""

import importlib
import pathlib
import pkgutil
import tempfile

import dagster as dg
from roboto import Association

import roboto_dagster
from roboto_dagster import (
    DownloadableFile,
    DownloadSession,
    ObjectStoreResource,
    RobotoDatasetComponent,
    StoreRegistry,
    TopicCheck,
    TopicsMetadata,
    build_roboto_dataset_asset,
    build_roboto_dataset_checks,
    build_roboto_topics_asset,
    build_topic_checks,
    failures_of_run,
)
from roboto_dagster.testing import LocalRoboto
from roboto_dagster.testing.sample_logs import write_sample_logs

BIG = bytes(range(256)) * 80_000  # 20 MB: arrives in ranges


def import_everything() -> None:
    """Import each module and each public name."""
    for module in pkgutil.walk_packages(roboto_dagster.__path__, "roboto_dagster."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in roboto_dagster.__all__:
        getattr(roboto_dagster, name)


def download(local: LocalRoboto, dataset_id: str, engine: str, folder: pathlib.Path) -> None:
    """Download a big file and a missing one: the first arrives, the second is reported."""
    uri = local.record(dataset_id, "big.bin")["uri"]
    items = [
        DownloadableFile(bucket_name="b", source_uri=one, destination_path=folder / engine / name)
        for one, name in ((uri, "big.bin"), (f"{uri}-missing", "missing.bin"))
    ]
    session = DownloadSession(items, Association.dataset(dataset_id), local.client())
    store = StoreRegistry.get_store_for_uri(
        uri, session.credential_provider, engine=engine, endpoint_url=local.s3_url
    )
    try:
        with store:
            for file in session:
                session.register_download(
                    file, store.get(file["source_uri"], file["destination_path"])
                )
    except Exception as failure:  # noqa: BLE001 -- a group of one, which 3.10 has only from a package
        failures = [str(each) for each in getattr(failure, "exceptions", [failure])]
        assert ["NOT_FOUND" in each for each in failures] == [True], failures
    assert (folder / engine / "big.bin").read_bytes() == BIG, engine
    assert not (folder / engine / "missing.bin").exists()


def materialize(local: LocalRoboto, dataset_id: str, engine: str, folder: pathlib.Path) -> None:
    """Materialize an asset with this engine."""
    asset = build_roboto_dataset_asset("logs", dataset_id=dataset_id, destination=folder / "asset")
    store = ObjectStoreResource(engine=engine, endpoint_url=local.s3_url)
    result = dg.materialize([asset], resources={**local.resources(), "object_store": store})
    assert result.success
    assert (folder / "asset" / dataset_id / "big.bin").read_bytes() == BIG


def materialize_range(local: LocalRoboto, folder: pathlib.Path) -> None:
    """Materialize a range twice: each partition has one event a run, evaluations, and a data version."""
    keys = []
    for name in "abc":
        keys.append(local.add_dataset(name))
        local.add_file(keys[-1], "x.csv", name.encode())
    asset = build_roboto_dataset_asset(
        "logs",
        destination=folder / "range",
        partitions_def=dg.StaticPartitionsDefinition(keys),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    checks = build_roboto_dataset_checks(asset)
    tags = {
        "dagster/asset_partition_range_start": keys[0],
        "dagster/asset_partition_range_end": keys[-1],
    }
    with dg.DagsterInstance.ephemeral() as instance:
        versions = []
        for new in (None, b"new"):
            if new:
                local.replace_file(keys[1], "x.csv", new)
            result = dg.materialize(
                [asset, *checks], resources=local.resources(), tags=tags, instance=instance
            )
            evaluated = {
                (each.check_name, each.partition, each.passed)
                for each in result.get_asset_check_evaluations()
            }
            names = {each.check_name for each in result.get_asset_check_evaluations()}
            assert evaluated == {(name, key, True) for name in names for key in keys}, evaluated
            made = [each.partition for each in result.asset_materializations_for_node("logs")]
            logged = [
                event.partition
                for event in result.all_events
                if event.event_type_value == "ASSET_MATERIALIZATION"
            ]
            assert logged == keys, (keys, made, logged)
            records = [
                instance.get_latest_data_version_record(asset.key, partition_key=key)
                for key in keys
            ]
            versions.append(
                [
                    (each.event_log_entry.tags or {})["dagster/data_version"]
                    for each in records
                    if each
                ]
            )
    assert [old == new for old, new in zip(*versions, strict=True)] == [True, False, True], versions


def decode_range(local: LocalRoboto, folder: pathlib.Path) -> None:
    """Decode a range of partitions in the run that delivers them."""
    log = write_sample_logs(folder / "samples") / "drone-runs" / "drone_1.mcap"
    keys = [local.add_dataset(name) for name in "ab"]
    for key in keys:
        local.add_file(key, "x.mcap", log.read_bytes())
    logs = build_roboto_dataset_asset(
        "logs",
        destination=folder / "logs",
        partitions_def=dg.StaticPartitionsDefinition(keys),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    topics = build_roboto_topics_asset(
        "topics",
        upstream=logs,
        destination=folder / "topics",
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    checks = build_topic_checks(topics, {"/pose": TopicCheck(monotonic=True)})
    result = dg.materialize(
        [logs, topics, *checks],
        resources=local.resources(),
        tags={
            "dagster/asset_partition_range_start": keys[0],
            "dagster/asset_partition_range_end": keys[1],
        },
    )
    made = [event.partition for event in result.get_asset_materialization_events()]
    assert made == [*keys, *keys], made
    evaluated = [(each.partition, each.passed) for each in result.get_asset_check_evaluations()]
    assert evaluated == [(key, True) for key in keys], evaluated
    values = TopicsMetadata.from_metadata(
        result.asset_materializations_for_node("topics")[-1].metadata
    )
    assert values is not None
    assert values.rows_by_topic == {"/pose": 600}, values


def load_component(folder: pathlib.Path) -> None:
    """Describe the component as `dg` does, and load what it builds."""
    assert RobotoDatasetComponent.get_spec().tags
    component = RobotoDatasetComponent.from_attributes_dict(
        attributes={
            "name": "raw/logs",
            "destination": str(folder / "component"),
            "partitions_def": {"type": "daily", "start_date": "2026-01-01"},
            "backfill_policy": {"type": "single_run"},
            "freshness": {"fail_window_hours": 24},
            "source": {"group_name": "origin"},
            "sensor": {"owners": ["team:robots"]},
            "schedule": {"cron_schedule": "@daily", "owners": ["team:robots"]},
            "checks": {},
            "topics": [
                {
                    "name": "topics",
                    "destination": str(folder / "component topics"),
                    "checks": {"topics": {"/imu": {"monotonic": True}}},
                }
            ],
        }
    )
    dg.Definitions.validate_loadable(dg.component_defs(component=component))


def cancel_a_run(local: LocalRoboto, folder: pathlib.Path) -> None:
    """Cancel a run before it starts: what it has not delivered is known."""
    asset = build_roboto_dataset_asset("logs", dataset_id="ds_1", destination=folder / "cancelled")
    definitions = dg.Definitions(assets=[asset], resources=local.resources())
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(definitions.resolve_implicit_global_asset_job_def())
        instance.report_run_canceled(run)
        (failure,) = failures_of_run(instance, run.run_id)
    assert failure.reason == "canceled", failure


def main() -> None:
    """Try both engines on a platform on this machine."""
    import_everything()
    with LocalRoboto() as local, tempfile.TemporaryDirectory() as folder:
        dataset_id = local.add_dataset("bounds")
        local.add_file(dataset_id, "big.bin", BIG)
        for engine in ("curl", "boto3"):
            download(local, dataset_id, engine, pathlib.Path(folder))
            materialize(local, dataset_id, engine, pathlib.Path(folder, engine))
        materialize_range(local, pathlib.Path(folder))
        decode_range(local, pathlib.Path(folder, "decoded"))
        load_component(pathlib.Path(folder))
        cancel_a_run(local, pathlib.Path(folder))


if __name__ == "__main__":
    main()

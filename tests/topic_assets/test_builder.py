"""Topics assets in real runs: events, metadata, data versions, failures; what cannot work is refused."""

import datetime as dt
import pathlib
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from roboto_dagster import (
    ConfigurationError,
    SyncMetadata,
    TopicsMetadata,
    build_roboto_topics_asset,
    failures_of_run,
    ros_distribution_definitions,
)
from roboto_dagster.testing import LocalRoboto
from tests.step.test_recording import statuses
from tests.topic_assets.lab import LOG, Topics
from tests.topic_assets.lines import LinesDecoder, log_of

if TYPE_CHECKING:
    from tests.conftest import Materializer

KEY = dg.AssetKey("topics")


def versions(materialize: "Materializer", keys: list[str]) -> list[str | None]:
    """Return the data version of each partition, as Dagster has it."""
    found = []
    for key in keys:
        record = materialize.instance.get_latest_data_version_record(KEY, partition_key=key)
        tags = (record.event_log_entry.tags if record else None) or {}
        found.append(tags.get("dagster/data_version"))
    return found


def failure_of(result: dg.ExecuteInProcessResult) -> Any:
    """Return the one failure of a run."""
    (event,) = result.get_step_failure_events()
    return event.event_specific_data.user_failure_data  # type: ignore[union-attr]  # a step failure's


def test_each_partition_has_tables_and_an_event(
    topics: Topics, materialize: "Materializer"
) -> None:
    """A table a log and topic, and metadata with rows, time, gaps and columns."""
    result = topics.run(topics.asset())
    assert result.success
    found = topics.metadata(result)
    assert list(found) == topics.keys
    values = found[topics.keys[0]]
    assert values["roboto/rows_by_topic"] == {"/gps": 2, "/imu": 101}
    assert (values["dagster/partition_row_count"], values["roboto/tables"]) == (103, 2)
    assert (values["roboto/logs_total"], values["roboto/logs_skipped"]) == (2, 1)
    assert (values["roboto/first_time"], values["roboto/last_time"]) == (0.0, 1.0)
    assert (values["roboto/max_gap_seconds"], values["roboto/steps_back"]) == (1.0, 0)
    columns = [each.name for each in values["dagster/column_schema"].columns]
    assert "/imu: value.x" in columns
    tables = sorted((topics.folder / topics.keys[0] / "drive.lines").iterdir())
    assert [each.name for each in tables] == ["%2Fgps.parquet", "%2Fimu.parquet"]
    assert all(versions(materialize, topics.keys))


def test_metadata_reads_back(topics: Topics, materialize: "Materializer") -> None:
    """Programs read the numbers by name."""
    topics.run(topics.asset())
    event: Any = materialize.instance.get_latest_materialization_event(KEY)
    values = TopicsMetadata.from_metadata(event.asset_materialization.metadata)
    assert values is not None
    assert (values.row_count, dict(values.rows_by_topic)) == (103, {"/gps": 2, "/imu": 101})
    assert TopicsMetadata.from_metadata({}) is None
    assert SyncMetadata.from_metadata(event.asset_materialization.metadata) is None


def test_only_what_changed_is_decoded_again(topics: Topics, materialize: "Materializer") -> None:
    """And only its partition has another data version."""
    asset = topics.asset()
    topics.run(asset)
    before = versions(materialize, topics.keys)
    topics.local.replace_file(topics.keys[1], "drive.lines", log_of({"/imu": 10}))
    topics.sync()
    found = topics.metadata(topics.run(asset))
    decoded = [
        (each["roboto/logs_decoded"], each["roboto/logs_unchanged"]) for each in found.values()
    ]
    assert decoded == [(0, 1), (1, 0)]
    after = versions(materialize, topics.keys)
    assert (after[0] == before[0], after[1] == before[1]) == (True, False)


def test_a_changed_option_is_another_code_version(topics: Topics) -> None:
    """Dagster shows the partitions as stale; the folder is no option."""

    def version(**options: Any) -> str | None:
        return topics.asset(**options).get_asset_spec(KEY).code_version

    assert version() == version(destination=topics.folder / "elsewhere", processes=2)
    newer = [LinesDecoder(version="2")]
    changed: list[dict[str, Any]] = [
        {"topics": ["/imu"]},
        {"fields": {"/imu": ["value.x"]}},
        {"keep_partial": True},
        {"raw": True},
        {"on_failure": "skip"},
        {"decoders": newer},
    ]
    found = {version(**each) for each in changed}
    assert len(found - {version()}) == len(changed)


def test_a_failed_partition_leaves_the_others(topics: Topics, materialize: "Materializer") -> None:
    """The failure names log, topic, code and advice; programs read the same."""
    damaged = LOG + b"!/gps CORRUPT bytes are damaged\n"
    topics.local.replace_file(topics.keys[0], "drive.lines", damaged)
    topics.sync()
    result = topics.run(topics.asset())
    assert list(topics.metadata(result)) == [topics.keys[1]]
    failure = failure_of(result)
    assert "1 of 2 partitions is not complete" in failure.description
    assert "drive.lines, /gps: CORRUPT: bytes are damaged. Bytes of the log" in failure.description
    (row,) = failure.metadata["roboto/failures"].records
    assert (row.data["error_code"], row.data["topic"]) == ("CORRUPT", "/gps")
    (found,) = failures_of_run(materialize.instance, result.run_id)
    assert (found.partition_key, found.of_topics) == (topics.keys[0], True)
    (file,) = found.files
    assert (file.relative_path, file.topic, file.error_code) == ("drive.lines", "/gps", "CORRUPT")
    assert file.advice.startswith("Bytes of the log are damaged")
    assert [(each.topic, each.error_code) for each in found.all_files()] == [("/gps", "CORRUPT")]


def test_failures_may_be_skipped(topics: Topics) -> None:
    """The partition is materialized, and its metadata has them."""
    damaged = LOG + b"!/gps CORRUPT bytes are damaged\n"
    topics.local.replace_file(topics.keys[0], "drive.lines", damaged)
    topics.sync()
    result = topics.run(topics.asset(on_failure="skip"))
    found = topics.metadata(result)
    assert (result.success, list(found)) == (True, topics.keys)
    (row,) = found[topics.keys[0]]["roboto/skipped"].records
    assert row.data["error_code"] == "CORRUPT"
    assert found[topics.keys[0]]["roboto/error_codes"] == {"CORRUPT": 1}


def test_an_incomplete_upstream_is_not_decoded(topics: Topics) -> None:
    """A lost file would be a table that is missing without an error."""
    (topics.logs_folder / topics.keys[0] / "notes.txt").unlink()
    result = topics.run(topics.asset())
    assert list(topics.metadata(result)) == [topics.keys[1]]
    assert "notes.txt (missing)" in failure_of(result).description


def test_unchanged_partitions_may_be_observed(topics: Topics, materialize: "Materializer") -> None:
    """As those of dataset assets."""
    asset = topics.asset(on_unchanged="observe")
    assert topics.run(asset, key=topics.keys[0]).success
    again = topics.run(asset, key=topics.keys[0])
    assert (again.success, topics.metadata(again)) == (True, {})
    assert [each.partition for each in materialize.observations(again)] == [topics.keys[0]]


def test_only_the_changed_partition_is_stale(topics: Topics, materialize: "Materializer") -> None:
    """And the others are observed, though another partition of their input has a new version."""
    asset = topics.asset(on_unchanged="observe")
    definitions = dg.Definitions(assets=[topics.logs, asset], resources=topics.resources)
    topics.run(asset)
    topics.local.replace_file(topics.keys[1], "drive.lines", log_of({"/imu": 10}))
    topics.sync()
    assert statuses(materialize, definitions, "topics", topics.keys) == {
        topics.keys[0]: [],
        topics.keys[1]: ["has a new dependency data version"],
    }
    result = topics.run(asset)
    assert [each.partition for each in materialize.observations(result)] == [topics.keys[0]]
    assert list(topics.metadata(result)) == [topics.keys[1]]
    assert statuses(materialize, definitions, "topics", topics.keys) == {
        key: [] for key in topics.keys
    }


def test_an_asset_of_one_dataset_has_a_row_count(
    topics: Topics, materialize: "Materializer"
) -> None:
    """Without partitions, Dagster's standard key is that of all rows."""
    logs = materialize.asset(dataset_id=topics.keys[0])
    assert materialize(logs).success
    asset = topics.asset(upstream=logs, backfill_policy=None)
    result = dg.materialize(
        [logs, asset],
        selection=[asset],
        instance=materialize.instance,
        resources=materialize.resources,
        raise_on_error=False,
    )
    assert topics.metadata(result)[None]["dagster/row_count"] == 103


def test_downstream_of_both_runs_in_one_run(topics: Topics) -> None:
    """Logs are delivered and decoded by one run."""
    topics.local.replace_file(topics.keys[0], "drive.lines", log_of({"/imu": 10}))
    result = topics.run(topics.logs, topics.asset(), key=topics.keys[0])
    assert result.success
    found = [event.asset_key for event in result.get_asset_materialization_events()]
    assert found == [dg.AssetKey("logs"), KEY]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"upstream": "logs"}, "upstream must be an asset"),
        ({"upstream": dg.AssetSpec("x")}, "upstream must deliver Roboto datasets"),
        ({"on_failure": "ignore"}, "on_failure must be"),
        ({"keep_partial": "no"}, "keep_partial must be"),
        ({"raw": 1}, "raw"),
        ({"topics": "/imu"}, "topics"),
        ({"topics": [1]}, "topics"),
        ({"fields": {"/imu": "x"}}, "fields"),
        ({"fields": ["x"]}, "fields"),
        ({"ros_definitions": ["x"]}, "ros_definitions"),
        ({"processes": 0}, "processes must be"),
        ({"durability": "all"}, "durability must be"),
        ({"decoders": LinesDecoder()}, "decoders must be a list"),
        ({"decoders": [LinesDecoder]}, "decoders must hold objects"),
        ({"decoders": [LinesDecoder(), LinesDecoder()]}, "different names"),
        ({"max_concurrent_partitions": 0}, "max_concurrent_partitions must be"),
        ({"on_unchanged": "skip"}, "on_unchanged must be"),
        (
            {"metadata": {"roboto/topic_patterns": 1}},
            "metadata must not hold roboto/topic_patterns",
        ),
        ({"owners": "me"}, "owners must be a list"),
    ],
)
def test_what_cannot_work_is_refused(
    tmp_path: pathlib.Path, options: dict[str, Any], message: str
) -> None:
    """When the asset is defined, by a message that names the setting."""
    from roboto_dagster import build_roboto_dataset_asset, build_roboto_topics_asset

    logs = build_roboto_dataset_asset("logs", destination=tmp_path / "logs", dataset_id="ds_a")
    given: dict[str, Any] = {"upstream": logs, "destination": tmp_path / "topics"}
    with pytest.raises(ConfigurationError, match=message):
        build_roboto_topics_asset("topics", **{**given, **options})


def test_destination_and_name_are_other_than_upstreams(tmp_path: pathlib.Path) -> None:
    """Tables of a log are in a folder of the log's name."""
    from roboto_dagster import build_roboto_dataset_asset, build_roboto_topics_asset

    logs = build_roboto_dataset_asset("logs", destination=tmp_path, dataset_id="ds_a")
    with pytest.raises(ConfigurationError, match="destination must be another folder"):
        build_roboto_topics_asset("topics", upstream=logs, destination=tmp_path)
    with pytest.raises(ConfigurationError, match="give it another name"):
        build_roboto_topics_asset("logs", upstream=logs, destination=tmp_path / "topics")


def test_one_of_several_assets_is_given_by_its_spec(tmp_path: pathlib.Path) -> None:
    """The message for all of them shows how."""
    from roboto_dagster import build_roboto_dataset_assets, build_roboto_topics_asset

    logs = build_roboto_dataset_assets(
        "logs", {"camera": ["*.mcap"], "text": ["*.csv"]}, destination=tmp_path, dataset_id="ds_a"
    )
    with pytest.raises(ConfigurationError, match="get_asset_spec"):
        build_roboto_topics_asset("topics", upstream=logs, destination=tmp_path / "topics")
    asset = build_roboto_topics_asset(
        "topics", upstream=logs.get_asset_spec(dg.AssetKey("camera")), destination=tmp_path / "t"
    )
    assert asset.asset_deps[KEY] == {dg.AssetKey("camera")}


WINDOW = dg.DailyPartitionsDefinition("2026-01-01")


@pytest.mark.parametrize("kind", ["windows", "dynamic", "windows of a dataset"])
def test_every_kind_of_partitions(
    kind: str, materialize: "Materializer", local: LocalRoboto, tmp_path: pathlib.Path
) -> None:
    """The asset has the partitions of its upstream asset, whatever they stand for."""
    created = dt.datetime(2026, 1, 2, 12, tzinfo=dt.timezone.utc)
    dataset_id = local.add_dataset("flight", created=created)
    local.add_file(dataset_id, "drive.lines", LOG, created=created)
    datasets = dg.DynamicPartitionsDefinition(name="flights")
    materialize.instance.add_dynamic_partitions("flights", [dataset_id])
    both = dg.MultiPartitionsDefinition({"dataset": datasets, "window": WINDOW})
    partitions_def, key = {
        "windows": (WINDOW, "2026-01-02"),
        "dynamic": (datasets, dataset_id),
        "windows of a dataset": (
            both,
            dg.MultiPartitionKey({"dataset": dataset_id, "window": "2026-01-02"}),
        ),
    }[kind]
    logs = materialize.asset(partitions_def=partitions_def)
    asset = build_roboto_topics_asset(
        "topics", upstream=logs, destination=tmp_path / "topics", decoders=[LinesDecoder()]
    )
    result = dg.materialize(
        [logs, asset],
        resources=materialize.resources,
        partition_key=key,
        instance=materialize.instance,
    )
    events = result.get_asset_materialization_events()
    assert [(each.asset_key, each.partition) for each in events] == [
        (logs.key, key),
        (asset.key, key),
    ]
    assert (tmp_path / "topics" / dataset_id / "drive.lines" / "%2Fimu.parquet").exists()


def test_a_window_without_datasets_has_no_tables(
    materialize: "Materializer", tmp_path: pathlib.Path
) -> None:
    """It is complete, and has a data version."""
    logs = materialize.asset(partitions_def=WINDOW)
    asset = build_roboto_topics_asset("topics", upstream=logs, destination=tmp_path / "topics")
    result = dg.materialize(
        [logs, asset],
        resources=materialize.resources,
        partition_key="2026-01-01",
        instance=materialize.instance,
    )
    (event,) = result.asset_materializations_for_node("topics")
    values = TopicsMetadata.from_metadata(event.metadata)
    assert values is not None
    assert (values.row_count, values.tables, values.rows_by_topic) == (0, 0, {})
    assert versions(materialize, ["2026-01-01"]) != [None]


def test_what_a_cancelled_run_has_not_decoded_is_known(
    topics: Topics, materialize: "Materializer"
) -> None:
    """By partition, as of dataset assets."""
    asset = topics.asset()
    definitions = dg.Definitions(assets=[topics.logs, asset], resources=topics.resources)
    job = definitions.resolve_implicit_job_def_def_for_assets([asset.key])
    assert job is not None
    run = materialize.instance.create_run_for_job(
        job, tags={"dagster/partition": topics.keys[0]}, asset_selection=frozenset([asset.key])
    )
    materialize.instance.report_run_canceled(run)
    found = failures_of_run(materialize.instance, run.run_id)
    assert [(each.asset_key, each.reason) for each in found] == [(asset.key, "canceled")]


def test_definitions_of_a_distribution_are_given_by_its_name(topics: Topics) -> None:
    """As those that the function returns; a name that is none is refused."""
    by_name = topics.asset(ros_definitions="humble").get_asset_spec(KEY)
    definitions = ros_distribution_definitions("humble")
    same = topics.asset(ros_definitions=definitions).get_asset_spec(KEY)
    assert by_name.code_version == same.code_version
    with pytest.raises(
        ConfigurationError, match="no definitions of the ROS 2 distribution 'hydro'"
    ):
        topics.asset(ros_definitions="hydro")


def test_it_can_be_called_directly(topics: Topics) -> None:
    """In a unit test, as Dagster documents it."""
    result = topics.asset()(dg.build_asset_context(partition_key=topics.keys[0]))
    assert isinstance(result, dg.MaterializeResult)
    metadata: Any = result.metadata
    values = TopicsMetadata.from_metadata(metadata)
    assert values is not None
    assert values.row_count == 103

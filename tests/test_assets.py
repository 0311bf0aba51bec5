"""The asset in Dagster runs: events, metadata, partitions, failures, retries."""

import dataclasses
import inspect
import pathlib
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from roboto_dagster import (
    ConfigurationError,
    RobotoResource,
    build_roboto_dataset_asset,
)
from roboto_dagster.sync.options import SyncOptions
from roboto_dagster.testing import LocalRoboto, faults

if TYPE_CHECKING:
    from tests.conftest import Materializer

DOCUMENTED_KEYS = {
    "dagster/uri",
    "dagster/row_count",
    "roboto/dataset_id",
    "roboto/files_total",
    "roboto/files_fetched",
    "roboto/files_unchanged",
    "roboto/files_removed",
    "roboto/files_failed",
    "roboto/bytes_fetched",
    "roboto/bytes_total",
    "roboto/duration_seconds",
    "roboto/throughput_mib_s",
    "roboto/manifest",
    "roboto/attempts",
}


@pytest.fixture
def dataset_ids(local: LocalRoboto) -> list[str]:
    """Three datasets of one, two and three files."""
    found = []
    for size in (1, 2, 3):
        dataset_id = local.add_dataset(f"flight {size}")
        for number in range(size):
            local.add_file(dataset_id, f"{number}.mcap", b"x" * size)
        found.append(dataset_id)
    return found


@pytest.fixture
def dataset_id(dataset_ids: list[str]) -> str:
    """The dataset of two files."""
    return dataset_ids[1]


def failure_of(result: dg.ExecuteInProcessResult) -> Any:
    """Return the one step failure of a run."""
    (event,) = result.get_step_failure_events()
    return event.event_specific_data


def error_text(result: dg.ExecuteInProcessResult) -> str:
    """Return description, table and stack of the one failure of a run."""
    data = failure_of(result)
    return f"{data.user_failure_data} {data.error.to_string()}"


# --- one dataset ---


def test_one_dataset_is_one_materialization(materialize: "Materializer", dataset_id: str) -> None:
    """The files are there, and Dagster has one event with the documented metadata."""
    result = materialize(materialize.asset(dataset_id=dataset_id))
    ((partition, metadata),) = materialize.materializations(result)
    assert (result.success, partition) == (True, None)
    assert (set(metadata) >= DOCUMENTED_KEYS, "roboto/failures" in metadata) == (True, False)
    assert (metadata["dagster/row_count"], metadata["roboto/bytes_fetched"]) == (2, 4)
    assert pathlib.Path(metadata["roboto/manifest"]).is_file()
    assert metadata["dagster/uri"] == (materialize.destination / dataset_id).as_uri()


def test_a_second_run_fetches_nothing(
    materialize: "Materializer", local: LocalRoboto, dataset_id: str
) -> None:
    """Unchanged files cost no request to the store, run after run."""
    asset = materialize.asset(dataset_id=dataset_id)
    materialize(asset)
    local.requests.clear()
    ((_, metadata),) = materialize.materializations(materialize(asset))
    assert local.requests.count(service="s3") == 0
    assert (metadata["roboto/files_unchanged"], metadata["roboto/files_fetched"]) == (2, 0)


def test_definition_shows_what_it_is(tmp_path: pathlib.Path) -> None:
    """Kinds, group, owners, tags and a description come with the asset."""
    asset = build_roboto_dataset_asset(
        "logs",
        dataset_id="ds_1",
        destination=tmp_path,
        key_prefix=["robots", "arm"],
        group_name="robots",
        owners=["team:robots"],
        tags={"tier": "gold"},
        deps=[dg.AssetKey("upstream")],
    )
    (spec,) = list(asset.specs)
    assert spec.key == dg.AssetKey(["robots", "arm", "logs"])
    assert (spec.group_name, list(spec.owners), spec.tags["tier"]) == (
        "robots",
        ["team:robots"],
        "gold",
    )
    assert (spec.kinds, "ds_1" in (spec.description or "")) == ({"roboto", "s3"}, True)
    assert dg.AssetKey("upstream") in [dep.asset_key for dep in spec.deps]


def test_the_resources_are_named_as_documented(tmp_path: pathlib.Path) -> None:
    """A user binds `roboto` and `object_store`."""
    asset = build_roboto_dataset_asset("logs", dataset_id="ds_1", destination=tmp_path)
    assert {"roboto", "object_store"} <= set(asset.required_resource_keys)


def test_two_assets_share_a_destination(materialize: "Materializer", dataset_id: str) -> None:
    """Each has a manifest of its own below the same folder."""
    other = build_roboto_dataset_asset(
        "other", dataset_id=dataset_id, destination=materialize.destination
    )
    materialize(materialize.asset(dataset_id=dataset_id))
    materialize(other)
    folder = materialize.destination / ".roboto"
    assert sorted(path.name for path in folder.iterdir()) == ["logs", "other"]


def test_a_relative_destination_is_of_the_working_directory(
    materialize: "Materializer",
    dataset_id: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A relative folder is taken where the code location was loaded."""
    monkeypatch.chdir(tmp_path)
    asset = materialize.asset(dataset_id=dataset_id, destination="here")
    monkeypatch.chdir("/")
    materialize(asset)
    assert (tmp_path / "here" / dataset_id / "0.mcap").exists()


# --- definitions that cannot work ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({}, "either a dataset_id or a partitions_def|dataset_id", id="neither"),
        pytest.param(
            {
                "dataset_id": "ds_1",
                "partitions_def": dg.StaticPartitionsDefinition(["ds_1"]),
            },
            "dataset_id",
            id="both",
        ),
        pytest.param({"dataset_id": ""}, "no dataset id", id="empty-id"),
        pytest.param({"dataset_id": "flight 1"}, "no dataset id", id="no-id"),
        pytest.param(
            {"dataset_id": "ds_1", "include_patterns": "*.mcap"},
            "one string is not a list",
            id="a-text",
        ),
        pytest.param(
            {"dataset_id": "ds_1", "exclude_patterns": ["!"]},
            "exclude_patterns has a pattern",
            id="pattern",
        ),
        pytest.param(
            {"dataset_id": "ds_1", "include_patterns": ["[z-a]"]}, "pattern", id="bad-range"
        ),
        pytest.param({"dataset_id": "ds_1", "on_empty": "ignore"}, "on_empty", id="on-empty"),
        pytest.param({"dataset_id": "ds_1", "on_missing": "delete"}, "on_missing", id="missing"),
        pytest.param({"dataset_id": "ds_1", "max_removals": -1}, "max_removals", id="removals"),
        pytest.param({"dataset_id": "ds_1", "destination": ""}, "destination must", id="empty"),
        pytest.param({"dataset_id": "ds_1", "destination": "s3://b/x"}, "not a URL", id="url"),
        pytest.param(
            {"dataset_id": "ds_1", "destination": dg.EnvVar("X")}, "os.environ", id="env-var"
        ),
        pytest.param(
            {"dataset_id": "ds_1", "include_patterns": [1]}, "include_patterns must", id="number"
        ),
        pytest.param({"dataset_id": "ds_1", "retry": {"max_attempts": 2}}, "retry", id="retry"),
        pytest.param({"dataset_id": "ds_1", "query": "tags"}, "query", id="query"),
        pytest.param({"dataset_id": 7}, "dataset_id must be a string", id="number-as-id"),
        pytest.param({"dataset_id": "ds_1", "max_removals": "5"}, "max_removals", id="text"),
        pytest.param({"dataset_id": "ds_1", "destination": " s3://b/x"}, "URL", id="space-url"),
        pytest.param({"dataset_id": "ds_1", "destination": "a\nb"}, "destination must", id="lines"),
        pytest.param(
            {"dataset_id": "ds_1", "include_patterns": ["", "# c"]}, "no pattern", id="none"
        ),
        pytest.param({"dataset_id": "ds_1", "exclude_patterns": [" "]}, "no pattern", id="blank"),
        pytest.param({"dataset_id": "ds_1", "name": ""}, "name must", id="no-name"),
        pytest.param({"dataset_id": "ds_1", "kinds": "roboto"}, "kinds must", id="kinds"),
        pytest.param({"dataset_id": "ds_1", "deps": "raw"}, "deps must", id="deps"),
        pytest.param({"dataset_id": "ds_1", "metadata": "x"}, "metadata must", id="metadata"),
        pytest.param(
            {"dataset_id": "ds_1", "metadata": {"roboto/destination": "/elsewhere"}},
            "metadata must not hold roboto/destination",
            id="our-metadata",
        ),
        pytest.param(
            {"dataset_id": "ds_1", "backfill_policy": "multi"}, "backfill_policy", id="backfill"
        ),
        pytest.param({"dataset_id": "ds_1", "op_tags": ["a"]}, "op_tags must", id="op-tags"),
        pytest.param({"dataset_id": "ds_1", "hooks": ["a"]}, "hooks must", id="hooks"),
        pytest.param({"dataset_id": "ds_1", "owners": "team:a"}, "owners must", id="owners"),
        pytest.param({"dataset_id": "ds_1", "key_prefix": 3}, "key_prefix must", id="prefix"),
        pytest.param({"dataset_id": "ds_1", "io_manager_key": ""}, "io_manager_key", id="io"),
    ],
)
def test_a_definition_that_cannot_work_fails_when_it_is_loaded(
    tmp_path: pathlib.Path, options: dict[str, Any], message: str
) -> None:
    """A mistake is an error when the code location loads, not in a run."""
    with pytest.raises(ConfigurationError, match=message):
        build_roboto_dataset_asset(**{"name": "logs", "destination": tmp_path, **options})


# --- partitions ---


def test_a_static_partition(materialize: "Materializer", dataset_ids: list[str]) -> None:
    """A run of one partition downloads that dataset alone."""
    asset = materialize.asset(partitions_def=dg.StaticPartitionsDefinition(dataset_ids))
    ((partition, metadata),) = materialize.materializations(
        materialize(asset, partition_key=dataset_ids[0])
    )
    assert (partition, metadata["roboto/dataset_id"]) == (dataset_ids[0], dataset_ids[0])
    assert not (materialize.destination / dataset_ids[1]).exists()


def test_a_dynamic_partition(materialize: "Materializer", dataset_ids: list[str]) -> None:
    """A key that a sensor added works like any other."""
    partitions = dg.DynamicPartitionsDefinition(name="datasets")
    materialize.instance.add_dynamic_partitions("datasets", dataset_ids)
    asset = materialize.asset(partitions_def=partitions)
    result = materialize(asset, partition_key=dataset_ids[2])
    ((partition, metadata),) = materialize.materializations(result)
    assert (partition, metadata["roboto/files_fetched"]) == (dataset_ids[2], 3)


def test_a_range_in_one_run(materialize: "Materializer", dataset_ids: list[str]) -> None:
    """Each partition of the range has exactly one materialization, with its own metadata."""
    result = materialize(
        materialize.range_asset(dataset_ids), partition_range=(dataset_ids[0], dataset_ids[2])
    )
    found = {
        partition: (metadata["roboto/dataset_id"], metadata["roboto/files_fetched"])
        for partition, metadata in materialize.materializations(result)
    }
    assert found == {each: (each, size) for each, size in zip(dataset_ids, (1, 2, 3), strict=True)}
    assert len(materialize.materializations(result)) == 3


def test_complete_partitions_are_materialized_although_another_failed(
    materialize: "Materializer", local: LocalRoboto, dataset_ids: list[str]
) -> None:
    """Of a range, the complete ones are materialized once each; the run fails for the other."""
    local.remove_object(dataset_ids[1], "0.mcap")
    result = materialize(
        materialize.range_asset(dataset_ids), partition_range=(dataset_ids[0], dataset_ids[2])
    )
    found = [
        (key, meta["roboto/files_fetched"]) for key, meta in materialize.materializations(result)
    ]
    assert (result.success, found) == (False, [(dataset_ids[0], 1), (dataset_ids[2], 3)])
    # Events of a range leave out tables of one row.
    left_out = {"dagster/row_count", "roboto/attempts"}
    keys = DOCUMENTED_KEYS - left_out | {"dagster/partition_row_count"}
    assert all(set(meta) >= keys for _, meta in materialize.materializations(result))
    assert [each.partition for each in materialize.observations(result)] == [dataset_ids[1]]
    text = error_text(result)
    assert "1 of 3 partitions is not complete; the other 2 are materialized." in text


def test_an_unknown_dataset_costs_no_other_partition(
    materialize: "Materializer", dataset_ids: list[str]
) -> None:
    """A key whose dataset is gone, and one that is no id at all, fail by themselves."""
    keys = [dataset_ids[0], "ds_gone", "flight 7", dataset_ids[2]]
    result = materialize(materialize.range_asset(keys), partition_range=(keys[0], keys[3]))
    assert [key for key, _ in materialize.materializations(result)] == [
        dataset_ids[0],
        dataset_ids[2],
    ]
    text = error_text(result)
    assert "ds_gone: listing the files of ds_gone: the Roboto API answered 404" in text
    assert "'flight 7' is no dataset id" in text


def test_partitions_are_remembered_by_the_instance(
    materialize: "Materializer", local: LocalRoboto, dataset_ids: list[str]
) -> None:
    """Dagster itself knows which partitions are there after a run that failed in part."""
    local.remove_object(dataset_ids[1], "0.mcap")
    asset = materialize.range_asset(dataset_ids)
    materialize(asset, partition_range=(dataset_ids[0], dataset_ids[2]))
    found = materialize.instance.get_materialized_partitions(asset.key)
    assert found == {dataset_ids[0], dataset_ids[2]}


# --- failures ---


def test_a_failure_names_every_file(
    materialize: "Materializer", local: LocalRoboto, dataset_id: str
) -> None:
    """Code, attempts and advice are in the description and in a table; retries are not allowed."""
    local.remove_object(dataset_id, "0.mcap")
    result = materialize(materialize.asset(dataset_id=dataset_id))
    data = failure_of(result).user_failure_data
    assert "0.mcap: NOT_FOUND" in data.description
    assert "1 other file is complete on disk" in data.description
    assert data.metadata["roboto/error_codes"].value == {"NOT_FOUND": 1}
    (record,) = data.metadata["roboto/failures"].records
    assert (record.data["relative_path"], record.data["transient"]) == ("0.mcap", False)
    assert pathlib.Path(data.metadata["roboto/manifest"].value).is_file()
    assert materialize.materializations(result) == []


def test_a_failure_is_also_an_observation(
    materialize: "Materializer", local: LocalRoboto, dataset_id: str
) -> None:
    """Dagster shows a failure's metadata in the run's log only, an observation's on the asset."""
    local.remove_object(dataset_id, "0.mcap")
    (observation,) = materialize.observations(materialize(materialize.asset(dataset_id=dataset_id)))
    assert set(observation.metadata) >= {"roboto/failures", "roboto/error_codes"}
    assert "`0.mcap`: NOT_FOUND" in (observation.description or "")


def test_retries_succeed_and_are_logged(
    materialize: "Materializer", local: LocalRoboto, dataset_id: str
) -> None:
    """A busy store is asked again inside the step, and the run's log reports it."""
    local.faults.add(faults.status(503, "SlowDown"), key="*/0.mcap", times=1)
    result = materialize(materialize.asset(dataset_id=dataset_id))
    assert (result.success, len(materialize.materializations(result))) == (True, 1)
    logged = [entry.user_message for entry in materialize.log(result)]
    assert [line[:40] for line in logged if "THROTTLED" in line] == [
        "0.mcap: THROTTLED (HTTP 503 SlowDown: Pl"
    ]


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        pytest.param(faults.status(403, "AccessDenied"), 1, id="permanent-is-not-repeated"),
        pytest.param(faults.status(503, "SlowDown"), 2, id="transient-is"),
    ],
)
def test_a_retry_policy_repeats_only_what_is_retryable(
    materialize: "Materializer",
    local: LocalRoboto,
    dataset_id: str,
    fault: faults.Fault,
    attempts: int,
) -> None:
    """Dagster's own policy stands on top of ours, and leaves permanent failures alone."""
    local.faults.add(fault, key="*/0.mcap")
    policy = dg.RetryPolicy(max_retries=1)
    result = materialize(materialize.asset(dataset_id=dataset_id, retry_policy=policy))
    asked = local.requests.count(route=f"/v1/datasets/{dataset_id}/files/query")
    assert (result.success, asked) == (False, attempts)


def test_a_retry_policy_succeeds(
    materialize: "Materializer", local: LocalRoboto, dataset_id: str
) -> None:
    """What was still busy after our own retries is fetched in Dagster's, and only that."""
    local.faults.add(faults.status(503, "SlowDown"), key="*/0.mcap", times=3)
    policy = dg.RetryPolicy(max_retries=1)
    result = materialize(materialize.asset(dataset_id=dataset_id, retry_policy=policy))
    ((_, metadata),) = materialize.materializations(result)
    assert (metadata["roboto/files_fetched"], metadata["roboto/files_unchanged"]) == (1, 1)


# --- empty datasets ---


def test_an_empty_dataset_fails(materialize: "Materializer", local: LocalRoboto) -> None:
    """No file at all is an error with the dataset, the patterns and what to do."""
    dataset_id = local.add_dataset("empty")
    asset = materialize.asset(dataset_id=dataset_id, include_patterns=["*.mcap"])
    text = error_text(materialize(asset))
    assert f"no file in {dataset_id} that include_patterns ['*.mcap'] match" in text
    assert 'set on_empty="allow"' in text.replace("\\", "")


def test_an_empty_dataset_can_be_allowed(materialize: "Materializer", local: LocalRoboto) -> None:
    """Then it is materialized with no rows."""
    dataset_id = local.add_dataset("empty")
    result = materialize(materialize.asset(dataset_id=dataset_id, on_empty="allow"))
    ((_, metadata),) = materialize.materializations(result)
    assert (result.success, metadata["dagster/row_count"]) == (True, 0)


# --- bad input: one clear error, nothing half-published, few requests, no secret ---

SECRET = "wrong-key-that-nobody-may-see"


@pytest.mark.filterwarnings("ignore:RobotoResource got its api_key as plain text")
@pytest.mark.parametrize(
    ("roboto", "message", "requests"),
    [
        pytest.param({"api_key": SECRET}, "Check ROBOTO_API_KEY", 1, id="wrong-key"),
        pytest.param({"api_key": ""}, "There is no Roboto API key", 0, id="no-key"),
        pytest.param({"api_key": f"{SECRET}\n"}, "a line break", 0, id="key-with-a-newline"),
        pytest.param(
            {"api_key": SECRET, "endpoint": "http://127.0.0.1:9"},
            "cannot be reached",
            0,
            id="unreachable",
        ),
    ],
)
def test_a_platform_that_cannot_be_used(
    materialize: "Materializer",
    local: LocalRoboto,
    dataset_id: str,
    caplog: pytest.LogCaptureFixture,
    *,
    roboto: dict[str, Any],
    message: str,
    requests: int,
) -> None:
    """Key and endpoint: what is wrong is named, asked for once, and no key is shown."""
    settings: dict[str, Any] = {"endpoint": local.api_url, "max_attempts": 1, **roboto}
    resource = RobotoResource(**settings)
    result = materialize(materialize.asset(dataset_id=dataset_id), roboto=resource)
    assert message in error_text(result)
    assert SECRET not in f"{error_text(result)} {caplog.text} {materialize.log(result)}"
    assert local.requests.count() == requests
    assert not list(materialize.destination.rglob("*.mcap"))


def test_an_endpoint_with_a_trailing_slash_works(
    materialize: "Materializer", local: LocalRoboto, dataset_id: str
) -> None:
    """The usual way to copy a URL is no error."""
    roboto = RobotoResource(api_key=local.api_key, endpoint=f"{local.api_url}/")
    assert materialize(materialize.asset(dataset_id=dataset_id), roboto=roboto).success
    assert all(not each.route.startswith("//") for each in local.requests)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param({"data": []}, "offers no credentials", id="none"),
        pytest.param({"data": [{}]}, "gave an unusable answer", id="malformed"),
        pytest.param({}, "gave an unusable answer", id="empty-object"),
    ],
)
def test_credentials_that_are_none(
    materialize: "Materializer",
    local: LocalRoboto,
    dataset_id: str,
    answer: dict[str, Any],
    message: str,
) -> None:
    """One error for each file that names what came, after a bounded number of requests."""
    local.faults.add(faults.answer_json(answer), route="*/credentials")
    result = materialize(materialize.asset(dataset_id=dataset_id))
    assert message in error_text(result)
    assert failure_of(result).user_failure_data.metadata["roboto/error_codes"].value == {
        "CREDENTIALS_INVALID": 2
    }
    assert local.requests.count(service="s3") == 0
    assert local.requests.count(route="*/credentials") <= 3


def test_a_destination_that_is_a_file(
    materialize: "Materializer", local: LocalRoboto, dataset_id: str
) -> None:
    """The path is named, and the platform is not asked."""
    materialize.destination.write_bytes(b"precious")
    local.requests.clear()
    result = materialize(materialize.asset(dataset_id=dataset_id))
    assert f"The destination {materialize.destination} cannot be a folder" in error_text(result)
    assert (local.requests.count(), materialize.destination.read_bytes()) == (0, b"precious")


def test_a_listing_that_breaks(
    materialize: "Materializer", local: LocalRoboto, dataset_id: str
) -> None:
    """Nothing is fetched from half a list."""
    local.faults.add(faults.status(500), route="*/files/query")
    result = materialize(materialize.asset(dataset_id=dataset_id))
    assert f"listing the files of {dataset_id}: the Roboto API answered 500" in error_text(result)
    assert local.requests.count(service="s3") == 0


def test_swapped_resources_are_named(materialize: "Materializer", dataset_id: str) -> None:
    """A slip in the resources is an error that reports it."""
    swapped = {
        "roboto": materialize.resources["object_store"],
        "object_store": materialize.resources["roboto"],
    }
    text = error_text(materialize(materialize.asset(dataset_id=dataset_id), **swapped))
    assert "Are the resources swapped?" in text


# --- direct invocation, as Dagster documents unit tests ---


def test_direct_invocation(materialize: "Materializer", dataset_id: str) -> None:
    """The asset can be called like a function, and returns its metadata."""
    asset = materialize.asset(dataset_id=dataset_id)
    result: Any = asset(dg.build_asset_context(), **materialize.resources)
    assert result.metadata["dagster/row_count"].value == 2
    assert (materialize.destination / dataset_id / "0.mcap").exists()


def test_direct_invocation_of_partitions(
    materialize: "Materializer", dataset_ids: list[str]
) -> None:
    """With a key, or a range of them."""
    asset = materialize.range_asset(dataset_ids)
    context = dg.build_asset_context(partition_key=dataset_ids[0])
    one: Any = asset(context, **materialize.resources)
    assert one.metadata["roboto/dataset_id"].value == dataset_ids[0]
    both = dg.PartitionKeyRange(dataset_ids[1], dataset_ids[2])
    asset(dg.build_asset_context(partition_key_range=both), **materialize.resources)
    delivered = {path.name for path in materialize.destination.iterdir()} - {".roboto"}
    assert delivered == set(dataset_ids)


@pytest.mark.parametrize(
    ("partitions_def", "key"),
    [
        (dg.DynamicPartitionsDefinition(name="flights"), "{}"),
        (
            dg.MultiPartitionsDefinition(
                {
                    "dataset": dg.DynamicPartitionsDefinition(name="flights"),
                    "day": dg.DailyPartitionsDefinition("2020-01-01", end_offset=1),
                }
            ),
            "{}|2020-01-01",
        ),
    ],
    ids=["dynamic", "dynamic-by-day"],
)
def test_direct_invocation_of_a_dynamic_partition(
    materialize: "Materializer",
    dataset_id: str,
    partitions_def: dg.PartitionsDefinition[Any],
    key: str,
) -> None:
    """It needs no instance that has the key."""
    asset = build_roboto_dataset_asset(
        "logs", destination=materialize.destination, partitions_def=partitions_def
    )
    context = dg.build_asset_context(partition_key=key.format(dataset_id))
    result: Any = asset(context, **materialize.resources)
    assert "dagster/partition_row_count" in result.metadata


@pytest.mark.parametrize("key", ["2019-12-31", "2999-01-01", "ds_1"])
def test_direct_invocation_of_a_window_that_does_not_exist(
    materialize: "Materializer", key: str
) -> None:
    """It fails as the run would."""
    asset = build_roboto_dataset_asset(
        "logs",
        destination=materialize.destination,
        partitions_def=dg.DailyPartitionsDefinition("2020-01-01", end_date="2020-02-01"),
    )
    with pytest.raises(dg.Failure, match=f"no partition '{key}'"):
        asset(dg.build_asset_context(partition_key=key), **materialize.resources)


def test_direct_invocation_that_fails(
    materialize: "Materializer", local: LocalRoboto, dataset_id: str
) -> None:
    """It raises the failure that a run would end with."""
    local.remove_object(dataset_id, "0.mcap")
    asset = materialize.asset(dataset_id=dataset_id)
    with pytest.raises(dg.Failure, match=r"0.mcap: NOT_FOUND"):
        asset(dg.build_asset_context(), **materialize.resources)


def test_direct_invocation_without_a_partition(
    materialize: "Materializer", dataset_ids: list[str]
) -> None:
    """The error reports that a key is missing."""
    asset = materialize.range_asset(dataset_ids)
    with pytest.raises(ConfigurationError, match="give it a partition key"):
        asset(dg.build_asset_context(), **materialize.resources)


# --- what is printed ---


def test_lines_of_a_range_name_their_partition(
    materialize: "Materializer", dataset_ids: list[str]
) -> None:
    """Of several partitions in one run, each line names its own."""
    result = materialize(
        materialize.range_asset(dataset_ids), partition_range=(dataset_ids[0], dataset_ids[1])
    )
    ours = [
        entry.user_message
        for entry in materialize.log(result)
        if entry.dagster_event is None and "fetch" in entry.user_message
    ]
    assert len(ours) == 4
    starts = tuple(f"{each}{after}" for each in dataset_ids for after in (": ", " (flight "))
    assert [line for line in ours if not line.startswith(starts)] == []


@pytest.mark.filterwarnings("ignore:RobotoResource got its api_key as plain text")
def test_a_failure_is_printed_once(
    materialize: "Materializer", local: LocalRoboto, dataset_id: str
) -> None:
    """A wrong key concerns no file: the failure has the message, and no cause repeats it."""
    roboto = RobotoResource(api_key="wrong", endpoint=local.api_url, max_attempts=1)
    result = materialize(materialize.asset(dataset_id=dataset_id), roboto=roboto)
    data = failure_of(result)
    assert data.error.cause is None
    printed = [
        entry.user_message for entry in materialize.log(result) if entry.dagster_event is None
    ]
    assert [line for line in printed if "ROBOTO_API_KEY" in line] == []


# --- one table of defaults ---


def test_defaults_are_those_of_the_dataclasses() -> None:
    """The function repeats the defaults of the settings that it passes on; none differs."""
    parameters = inspect.signature(build_roboto_dataset_asset).parameters
    shared = [field for field in dataclasses.fields(SyncOptions) if field.name in parameters]
    assert len(shared) == len(dataclasses.fields(SyncOptions))
    differing = [each.name for each in shared if parameters[each.name].default != each.default]
    assert differing == []


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (
            {
                "dagster/asset_partition_range_start": "ds_2",
                "dagster/asset_partition_range_end": "ds_1",
            },
            "There is no partition from 'ds_2' to 'ds_1'",
        ),
        ({}, "this run is of none of them: give it a partition key"),
    ],
    ids=["empty range", "no partition"],
)
def test_a_run_of_no_partition_fails_at_once(
    tmp_path: pathlib.Path, resources: dict[str, Any], tags: dict[str, str], message: str
) -> None:
    """A range's end comes before its start, or there is no key: Dagster would record a success of nothing, or repeat it."""
    asset = build_roboto_dataset_asset(
        "logs",
        destination=tmp_path,
        partitions_def=dg.StaticPartitionsDefinition(["ds_1", "ds_2"]),
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=dg.RetryPolicy(max_retries=2),
    )
    result = dg.materialize([asset], resources=resources, tags=tags, raise_on_error=False)
    (failure,) = result.get_step_failure_events()
    description = str(failure.step_failure_data.user_failure_data.description)  # type: ignore[union-attr]  # it has one
    assert message in description
    assert not [each for each in result.all_events if each.is_step_up_for_retry]

"""The checks of decoded topics: what they find in manifests, by partition, and beside a failure."""

import dataclasses
import pathlib
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import ConfigurationError, TopicCheck, build_topic_checks
from roboto_dagster.checks.topic_inspector import TopicInspector
from roboto_dagster.topic_assets.config import TopicsAssetConfig
from roboto_dagster.topic_assets.tables import RecordedTopic
from tests.topic_assets.lab import LOG, Topics
from tests.topic_assets.lines import log_of

RIGHT = TopicCheck(rate=(90, 110), max_gap=0.5, monotonic=True)
ROW = RecordedTopic(
    partition_key="ds_a",
    dataset_id="ds_a",
    relative_path="drive.mcap",
    topic="/imu",
    type_name="Imu",
    path=pathlib.Path("x.parquet"),
    size_bytes=1,
    rows=101,
    first_ns=0,
    last_ns=1_000_000_000,
    max_gap_ns=10_000_000,
    steps_back=0,
    null_times=0,
)


def problems(
    monkeypatch: pytest.MonkeyPatch, check: TopicCheck, *rows: RecordedTopic, topic: str = "/imu"
) -> dict[str, list[str]]:
    """Return what each check of a topic finds in some rows of a manifest."""
    from roboto_dagster.checks import topic_inspector

    monkeypatch.setattr(topic_inspector, "recorded_topics", lambda *_: rows)
    config = TopicsAssetConfig(folder=pathlib.Path("/t"), dataset_id="ds_a")
    inspector = TopicInspector(config, dg.AssetKey("topics"), None)
    found = {}
    for name, bounds in check.inspections().items():
        metadata = {
            topic_inspector.PATTERN: topic,
            topic_inspector.INSPECTION: name,
            topic_inspector.BOUNDS: bounds,
            topic_inspector.REQUIRED: check.required,
        }
        spec = dg.AssetCheckSpec(name, asset="topics", metadata=metadata)
        findings = inspector.inspect(spec, ["ds_a"], seed="", is_wanted=lambda: True)
        found[name] = [each.problem for each in findings.violations]
    return found


def test_what_is_as_expected_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred rows a second, none of them late."""
    assert problems(monkeypatch, RIGHT, ROW) == {"rate": [], "max_gap": [], "monotonic": []}


@pytest.mark.parametrize(
    ("change", "violated"),
    [
        ({"rows": 11}, "rate"),
        ({"rows": 1001}, "rate"),
        ({"rows": 1, "last_ns": 0, "max_gap_ns": None}, "rate"),
        ({"max_gap_ns": 500_000_001}, "max_gap"),
        ({"steps_back": 1}, "monotonic"),
        ({"null_times": 3}, "monotonic"),
    ],
)
def test_each_expectation_is_a_check_of_its_own(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], violated: str
) -> None:
    """The others pass."""
    found = problems(monkeypatch, RIGHT, dataclasses.replace(ROW, **change))
    assert [name for name, each in found.items() if each] == [violated]
    assert found[violated][0].startswith("/imu ")


def test_bounds_may_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """At least so many, or at most."""
    for rate, number in (((90, None), 0), ((None, 90), 1), ((None, 110), 0), ((110, None), 1)):
        assert len(problems(monkeypatch, TopicCheck(rate=rate), ROW)["rate"]) == number


def test_what_was_not_seen_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic that is missing, one that could not be decoded, a log that could not."""
    check = TopicCheck(max_gap=0.5)
    assert problems(monkeypatch, check) == {"max_gap": ["no log has the topic /imu"]}
    assert problems(monkeypatch, TopicCheck(max_gap=0.5, required=False)) == {"max_gap": []}
    failed = dataclasses.replace(ROW, path=None, code="MISSING_DEFINITION", rows=0)
    assert problems(monkeypatch, check, failed) == {
        "max_gap": ["/imu could not be decoded: MISSING_DEFINITION"]
    }
    log = dataclasses.replace(failed, topic=None, code="TRUNCATED")
    assert problems(monkeypatch, check, log) == {
        "max_gap": ["the log could not be decoded: TRUNCATED"]
    }


def test_a_pattern_stands_for_each_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of other topics are not looked at."""
    late = dataclasses.replace(ROW, topic="/imu2", steps_back=2)
    other = dataclasses.replace(ROW, topic="/gps", steps_back=2)
    found = problems(monkeypatch, TopicCheck(monotonic=True), ROW, late, other, topic="/imu*")
    assert found == {"monotonic": ["/imu2 goes back in time at 2 rows"]}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "expects nothing"),
        ({"rate": (110, 90)}, "smaller bound first"),
        ({"rate": 90}, "rate must be"),
        ({"rate": (None, None)}, "rate must be"),
        ({"rate": (-1, 2)}, "rate must be"),
        ({"rate": (float("nan"), 2)}, "rate must be"),
        ({"max_gap": 0}, "max_gap must be"),
        ({"monotonic": "yes"}, "monotonic must be"),
    ],
)
def test_an_expectation_that_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    """When it is written."""
    with pytest.raises(ConfigurationError, match=message):
        TopicCheck(**settings)


def test_checks_have_names_that_differ(topics: Topics) -> None:
    """Two topics whose names differ in a slash only get a hash."""
    (checks,) = build_topic_checks(
        topics.asset(),
        dict.fromkeys(("/imu/data", "/imu_data", "/gps"), TopicCheck(monotonic=True)),
    )
    names = sorted(key.name for key in checks.check_keys)
    assert names[0] == "gps_monotonic"
    assert len({*names}) == 3
    assert all(name.startswith("imu_data_") for name in names[1:])


@pytest.mark.parametrize(
    ("check", "description"),
    [
        (TopicCheck(rate=(90, 110)), "Each table of `/imu` has 90 to 110 rows per second."),
        (TopicCheck(rate=(0.5, None)), "Each table of `/imu` has at least 0.5 rows per second."),
        (TopicCheck(rate=(None, 110)), "Each table of `/imu` has at most 110 rows per second."),
        (TopicCheck(max_gap=0.5), "No table of `/imu` has more than 0.5 s between two rows."),
    ],
)
def test_a_description_has_the_bounds(topics: Topics, check: TopicCheck, description: str) -> None:
    """Whoever looks at a check need not look for its definition."""
    (checks,) = build_topic_checks(topics.asset(), {"/imu": check})
    assert [spec.description for spec in checks.check_specs] == [description]


def test_what_cannot_be_checked_is_refused(topics: Topics) -> None:
    """A dataset asset has no topics."""
    with pytest.raises(ConfigurationError, match="is no topics asset"):
        build_topic_checks(topics.logs, {"/imu": RIGHT})
    for wrong in ({}, {"!/imu": RIGHT}, {"/imu": (90, 110)}, [RIGHT]):
        with pytest.raises(ConfigurationError, match=r"topics must|expectation of"):
            build_topic_checks(topics.asset(), wrong)  # type: ignore[arg-type]  # on purpose


def test_each_partition_has_an_evaluation(topics: Topics) -> None:
    """In a run of the asset, and beside a partition that fails."""
    slow, cut = log_of({"/imu": 10}), LOG + b"! TRUNCATED cut\n"
    topics.local.replace_file(topics.keys[1], "drive.lines", slow)
    topics.sync()
    asset = topics.asset()
    checks = build_topic_checks(asset, {"/imu": RIGHT}, severity=dg.AssetCheckSeverity.WARN)
    result = topics.run(asset, *checks)
    assert result.success
    found = {
        (each.check_name, each.partition): each.passed
        for each in result.get_asset_check_evaluations()
    }
    assert found == {
        (f"imu_{name}", key): name != "rate" or key == topics.keys[0]
        for name in ("rate", "max_gap", "monotonic")
        for key in topics.keys
    }
    assert {each.severity for each in result.get_asset_check_evaluations()} == {
        dg.AssetCheckSeverity.WARN
    }
    topics.local.replace_file(topics.keys[1], "drive.lines", cut)
    topics.sync()
    result = topics.run(asset, *checks)
    assert not result.success
    events = [entry.dagster_event for entry in topics.log(result)]
    found = {
        (each.event_specific_data.check_name, each.event_specific_data.partition): (
            each.event_specific_data.passed
        )
        for each in events
        if each and each.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
    }
    assert len(found) == 6
    assert {key for (_, key), passed in found.items() if not passed} == {topics.keys[1]}

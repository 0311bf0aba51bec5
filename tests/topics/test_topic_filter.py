"""Which topics are decoded: patterns as users write them."""

import pickle

import pytest

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.topics.topic_filter import TopicFilter, pattern_matches


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("/imu", "/imu", True),
        ("/imu", "/imu/data", False),
        ("/imu*", "/imu_raw", True),
        ("/imu*", "/imu/data", False),
        ("/imu**", "/imu/data", True),
        ("/camera/**", "/camera/left/image", True),
        ("/camera/**", "/camera", False),
        ("**/image", "/camera/left/image", True),
        ("/a/**/b", "/a/b", True),
        ("/a/**/b", "/a/x/y/b", True),
        ("imu", "/robot/imu/data", True),
        ("imu", "/robot/imu_raw", False),
        ("*", "/robot/imu", True),
        ("vehicle_*", "vehicle_imu/1", True),
        ("/cam[01]", "/cam1", True),
        ("/cam[!01]", "/cam1", False),
        ("/a.b", "/axb", False),
        ("/cam?", "/cam/", False),
    ],
)
def test_patterns(pattern: str, topic: str, expected: bool) -> None:  # noqa: FBT001 - a table
    """`*` stays within a level, `**` does not, and a bare name is found at any level."""
    assert pattern_matches(pattern, topic) is expected


@pytest.mark.parametrize(
    ("patterns", "included", "excluded"),
    [
        ([], ["/imu", "/camera/left"], []),
        (["/imu*", "!/camera/**"], ["/imu"], ["/camera/left", "/odom"]),
        (["!/camera/**"], ["/imu", "/odom"], ["/camera/left"]),
        (["!/camera/**", "/camera/left"], ["/camera/left"], ["/camera/right", "/odom"]),
        (["**", "!/imu", "/imu"], ["/imu"], []),
    ],
)
def test_the_last_match_decides(
    patterns: list[str], included: list[str], excluded: list[str]
) -> None:
    """Exclusions alone leave the rest; otherwise a topic has to be named."""
    topics = TopicFilter(topics=patterns)
    assert [name for name in included + excluded if topics.includes(name)] == included


def test_fields_of_a_topic() -> None:
    """All patterns that match a topic add their fields; a topic without any keeps all."""
    topics = TopicFilter(fields={"/odom": ["pose.pose"], "/o*": ["header", "pose.pose"]})
    assert topics.fields_of("/odom") == ("pose.pose", "header")
    assert topics.fields_of("/imu") is None


@pytest.mark.parametrize(
    "arguments",
    [{"topics": "/imu"}, {"fields": {"/imu": "header"}}, {"topics": [""]}, {"topics": ["/x[z-a]"]}],
)
def test_a_filter_that_cannot_work_is_refused(arguments: dict[str, object]) -> None:
    """A text in place of a list would be read letter by letter."""
    with pytest.raises(ConfigurationError):
        TopicFilter(**arguments)  # type: ignore[arg-type]  # on purpose


def test_a_filter_goes_to_another_process() -> None:
    """A log may be decoded in a process of its own."""
    topics = TopicFilter(topics=("/imu*",), fields={"/imu": ("header",)}, raw=True)
    assert pickle.loads(pickle.dumps(topics)) == topics  # noqa: S301 - our own bytes

"""Topics of ROS, row by row, beside the readers of mcap-ros1-support, mcap-ros2-support and rosbags."""

import pathlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from mcap.writer import CompressionType
from mcap_ros1.decoder import DecoderFactory as Ros1Factory
from mcap_ros2.decoder import DecoderFactory as Ros2Factory

from benchmarks.topics.logs import bags, mcap_logs, ros
from benchmarks.topics.logs.streams import Stream
from tests.topics.comparison.peers import Rows, bag_rows, db3_rows, mcap_rows
from tests.topics.comparison.reading import Decoded, decode, differences

pytestmark = pytest.mark.slow

FACTORIES: dict[int, Any] = {1: Ros1Factory, 2: Ros2Factory}


def assert_equal(ours: Decoded, theirs: Rows) -> None:
    """Compare all topics; a container without sequence numbers or publish times has neither."""
    assert ours.faults == []
    assert ours.tables.keys() == theirs.keys()
    wrong = {topic: differences(ours.rows(topic), rows) for topic, rows in theirs.items()}
    assert {topic: found for topic, found in wrong.items() if found} == {}


def every_type(version: ros.RosVersion) -> Sequence[Stream]:
    """A topic of each type that ROS comes with, of values at the edges of their types."""
    return [
        ros.ros_stream(version, f"/{name}", name, 4, seed=number, plain=False)
        for number, name in enumerate(sorted(ros.type_store(version).fielddefs))
    ]


@pytest.mark.parametrize("version", [1, 2])
def test_every_type_in_mcap(tmp_path: pathlib.Path, version: ros.RosVersion) -> None:
    """As the MCAP libraries read them; that of ROS 1 takes a second for ten types, and fails on some: each fifth will do."""
    streams = every_type(version)
    if version == 1:
        streams = [each for each in streams if "Action" not in each.topic][::5]
    path = mcap_logs.write_mcap(tmp_path / "a.mcap", streams, 6)
    assert_equal(decode(path), mcap_rows(path, FACTORIES[version]()))


@pytest.mark.parametrize("compression", ["none", "lz4", "bz2"])
def test_every_type_in_a_bag(tmp_path: pathlib.Path, compression: bags.BagCompression) -> None:
    """As rosbags reads them, in each compression."""
    path = bags.write_bag(tmp_path / "a.bag", every_type(1), 6, compression)
    assert_equal(decode(path), bag_rows(path, ros.type_store(1)))


def test_every_type_in_a_db3(tmp_path: pathlib.Path) -> None:
    """As rosbags reads them."""
    path = bags.write_db3(tmp_path / "a", every_type(2), 6)
    assert_equal(decode(path), db3_rows(path.parent, ros.type_store(2)))


@pytest.mark.parametrize("compression", list(CompressionType))
@pytest.mark.parametrize("use_chunking", [True, False])
def test_each_way_to_write_an_mcap(
    tmp_path: pathlib.Path, compression: CompressionType, *, use_chunking: bool
) -> None:
    """Compressed or not, with many chunks or without."""
    options = {"use_chunking": use_chunking, "chunk_size": 2000}
    streams = ros.small_streams(2, payloads=5)
    path = mcap_logs.write_mcap(tmp_path / "a.mcap", streams, 50, compression, **options)
    assert_equal(decode(path), mcap_rows(path, Ros2Factory()))


def test_more_rows_than_a_batch_has(tmp_path: pathlib.Path) -> None:
    """Rows of several batches stand in the order of the file."""
    streams = [ros.ros_stream(2, "/a", "std_msgs/msg/String", 7, plain=False)]
    path = mcap_logs.write_mcap(tmp_path / "a.mcap", streams, 12_000)
    assert_equal(decode(path), mcap_rows(path, Ros2Factory()))


_SCALARS = (
    "bool",
    "byte",
    "char",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    "float32",
    "float64",
    "string",
)
_NAMES = ("x", "data", "class", "frame_id", "a1", "values", "is_ok", "stamp", "import", "header")


@st.composite
def definitions(draw: st.DrawFn, version: ros.RosVersion) -> dict[str, str]:
    """Texts of up to four types; each may hold those behind it."""
    count = draw(st.integers(1, 4))
    found = {}
    for number in range(count):
        inner = [f"own_msgs/T{other}" for other in range(number + 1, count)]
        known = ["std_msgs/Header", "geometry_msgs/Point", *inner]
        names = draw(st.lists(st.sampled_from(_NAMES), max_size=5, unique=True))
        if number == 0 and not names:
            names = ["x"]
        lines = [f"{draw(_field_type(known, version))} {name}" for name in names]
        if draw(st.booleans()):
            lines.insert(0, "int32 LIMIT=7")
        found[f"own_msgs/msg/T{number}"] = "\n".join(lines) + "\n"
    return found


def _field_type(known: Sequence[str], version: ros.RosVersion) -> st.SearchStrategy[str]:
    times = ["time", "duration"] if version == 1 else ["builtin_interfaces/Time"]
    bounded = ["", "", "[]", "[3]", "[1]", *(["[<=3]"] if version == 2 else [])]
    scalar = st.sampled_from([*_SCALARS, *times, *known])
    return st.builds(lambda kind, suffix: kind + suffix, scalar, st.sampled_from(bounded))


def _has_array_of_nothing(texts: dict[str, str]) -> bool:
    """Return whether messages without fields stand in an array: in ROS 1 they have no bytes, and are not supported."""
    empty = [
        name.replace("/msg/", "/")
        for name, text in texts.items()
        if not text.replace("int32 LIMIT=7", "").strip()
    ]
    return any(f"{name}[" in text for name in empty for text in texts.values())


@pytest.mark.parametrize("version", [1, 2])
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_types_of_ones_own(
    tmp_path: pathlib.Path, version: ros.RosVersion, data: st.DataObject
) -> None:
    """Whatever definitions there are: nested, arrays of all kinds, keywords as names, nothing at all."""
    texts = data.draw(definitions(version))
    assume(version == 2 or not _has_array_of_nothing(texts))
    store = ros.own_types(version, texts)
    stream = ros.ros_stream(version, "/own", "own_msgs/msg/T0", 3, store=store, plain=False)
    path = mcap_logs.write_mcap(tmp_path / "a.mcap", [stream], 4)
    assert_equal(decode(path), mcap_rows(path, FACTORIES[version]()))

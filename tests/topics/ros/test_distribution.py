"""Definitions that come with a distribution of ROS."""

import pathlib
import sys

import pytest
from rosbags.typesys import Stores, get_typestore

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.topics.definitions import read_definition
from roboto_dagster.topics.ros.decoder import Db3Decoder
from roboto_dagster.topics.ros.distribution import ros_distribution_definitions
from roboto_dagster.topics.topic_filter import TopicFilter
from tests.topics.decoded import decode
from tests.topics.ros.test_db3 import write


@pytest.mark.parametrize("distribution", ["foxy", "humble", "Jazzy"])
def test_all_definitions_are_complete(distribution: str) -> None:
    """Each can be read alone."""
    definitions = ros_distribution_definitions(distribution)
    assert {"sensor_msgs/msg/Imu", "nav_msgs/msg/Odometry"} <= set(definitions)
    for name, text in definitions.items():
        read_definition(name, text.encode(), is_ros1=False)


def test_a_bag_recorded_before_iron(tmp_path: pathlib.Path) -> None:
    """Its messages are decoded by the definitions of the distribution that recorded it."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    kinds = store.types
    stamp = kinds["builtin_interfaces/msg/Time"](sec=3, nanosec=4)
    header = kinds["std_msgs/msg/Header"](stamp=stamp, frame_id="map")
    point = kinds["geometry_msgs/msg/Point"](x=1.0, y=2.0, z=3.0)
    name = "geometry_msgs/msg/PointStamped"
    payload = bytes(store.serialize_cdr(kinds[name](header=header, point=point), name))
    path = write(
        tmp_path / "a.db3", [(1, 9, payload)], topics=[(1, "/p", name, "cdr")], definitions=None
    )
    assert decode(Db3Decoder(), path).codes == [("/p", "MISSING_DEFINITION")]
    humble = TopicFilter(ros_definitions=ros_distribution_definitions("humble"))
    decoded = decode(Db3Decoder(), path, humble)
    assert decoded.column("/p", "point") == [{"x": 1.0, "y": 2.0, "z": 3.0}]
    assert decoded.column("/p", "header")[0] == {
        "stamp": {"sec": 3, "nanosec": 4},
        "frame_id": "map",
    }


def test_an_unknown_distribution() -> None:
    """The message names those that there are."""
    with pytest.raises(
        ConfigurationError, match=r"no definitions of the ROS 2 distribution 'windows'.*humble"
    ):
        ros_distribution_definitions("windows")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the extra."""
    monkeypatch.setitem(sys.modules, "rosbags.typesys", None)
    with pytest.raises(ConfigurationError, match=r"roboto-dagster\[topics-ros\]"):
        ros_distribution_definitions("humble")

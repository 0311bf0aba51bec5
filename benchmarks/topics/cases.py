"""What is measured: kinds of logs, how large they are, and what ours has to reach."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping

from benchmarks.topics import loops
from benchmarks.topics.logs import bags, mcap_logs, protobuf, ros, ulog

OURS, LOOP, ARROW = "ours", "loop", "pyarrow"
MAX_RSS_MIB = 400


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LogCase:
    """A kind of log.

    Attributes:
        name: Short, for arguments and the report.
        title: What it holds.
        file_name: Of the log.
        write: Writes it: a path, and how many ticks.
        ticks: In full.
        quick_ticks: Only to see whether it works.
        loop: The bare loop of the library; None if only memory is of interest.
        bound: CPU time of the bare loop over ours: at least this.
        arrow_bound: CPU time of pyarrow writing as many bytes, over ours: at least this. None: not measured.
    """

    name: str
    title: str
    file_name: str
    write: Callable[[pathlib.Path, int], pathlib.Path]
    ticks: int
    quick_ticks: int
    loop: Callable[[pathlib.Path], int] | None
    bound: float | None = None
    arrow_bound: float | None = None

    @property
    def contenders(self) -> tuple[str, ...]:
        """Who is measured, one after the other."""
        others = ((LOOP, self.loop), (ARROW, self.arrow_bound))
        return (OURS, *(name for name, wanted in others if wanted is not None))


def _ros2(path: pathlib.Path, ticks: int) -> pathlib.Path:
    return mcap_logs.write_mcap(path, ros.small_streams(2, 2000), ticks)


def _ros1(path: pathlib.Path, ticks: int) -> pathlib.Path:
    return mcap_logs.write_mcap(path, ros.small_streams(1, 2000), ticks)


def _bag(path: pathlib.Path, ticks: int) -> pathlib.Path:
    return bags.write_bag(path, ros.small_streams(1, 2000), ticks, "lz4")


def _db3(path: pathlib.Path, ticks: int) -> pathlib.Path:
    return bags.write_db3(path.with_suffix(""), ros.small_streams(2, 2000), ticks)


def _protobuf(path: pathlib.Path, ticks: int) -> pathlib.Path:
    streams = [
        protobuf.stream_of("/imu", [protobuf.random_imu(seed) for seed in range(2000)]),
        protobuf.stream_of("/scan", [protobuf.random_scan(seed) for seed in range(2000)]),
    ]
    return mcap_logs.write_mcap(path, streams, ticks)


def _json(path: pathlib.Path, ticks: int) -> pathlib.Path:
    return mcap_logs.write_mcap(path, [protobuf.json_stream(payloads=2000)], ticks)


def _many(path: pathlib.Path, ticks: int) -> pathlib.Path:
    streams = [*ros.many_streams(2), ros.image_stream(2, 320, 240)]
    return mcap_logs.write_mcap(path, streams, ticks)


def _images(path: pathlib.Path, ticks: int) -> pathlib.Path:
    cloud = ros.ros_stream(
        2, "/cloud", "sensor_msgs/msg/PointCloud2", 8, lengths={"data": 400_000}, every=4
    )
    streams = [ros.image_stream(2), cloud, *ros.small_streams(2)]
    return mcap_logs.write_mcap(path, streams, ticks)


_CASES = (
    LogCase(
        name="ros2-mcap",
        title="MCAP, small messages of ROS 2",
        file_name="a.mcap",
        write=_ros2,
        ticks=30_000,
        quick_ticks=200,
        loop=loops.ros2_loop,
        bound=1.5,
    ),
    LogCase(
        name="ros1-mcap",
        title="MCAP, small messages of ROS 1",
        file_name="a.mcap",
        write=_ros1,
        ticks=30_000,
        quick_ticks=200,
        loop=loops.ros1_loop,
        bound=1.0,
    ),
    LogCase(
        name="bag",
        title="bag of ROS 1, lz4, small messages",
        file_name="a.bag",
        write=_bag,
        ticks=30_000,
        quick_ticks=200,
        loop=loops.bag_loop,
        bound=0.9,
    ),
    LogCase(
        name="db3",
        title="bag of ROS 2, SQLite, small messages",
        file_name="a.db3",
        write=_db3,
        ticks=30_000,
        quick_ticks=200,
        loop=loops.bag_loop,
        bound=0.9,
    ),
    LogCase(
        name="ulog",
        title="ULog, 300 MB",
        file_name="a.ulg",
        write=ulog.write_ulog,
        ticks=1_700_000,
        quick_ticks=2_000,
        loop=loops.ulog_loop,
        bound=0.7,
    ),
    LogCase(
        name="protobuf",
        title="MCAP, small messages of protobuf",
        file_name="a.mcap",
        write=_protobuf,
        ticks=75_000,
        quick_ticks=200,
        loop=loops.protobuf_loop,
        bound=0.55,
    ),
    LogCase(
        name="json",
        title="MCAP, JSON with a schema",
        file_name="a.mcap",
        write=_json,
        ticks=150_000,
        quick_ticks=200,
        loop=loops.json_loop,
        bound=0.45,
    ),
    LogCase(
        name="many-topics",
        title="MCAP, 151 topics, images among them",
        file_name="a.mcap",
        write=_many,
        ticks=600,
        quick_ticks=5,
        loop=loops.ros2_loop,
        bound=0.7,
    ),
    LogCase(
        name="images",
        title="MCAP, images and clouds, 800 MB",
        file_name="a.mcap",
        write=_images,
        ticks=780,
        quick_ticks=5,
        loop=loops.ros2_loop,
        bound=0.05,
        arrow_bound=0.08,
    ),
    LogCase(
        name="large",
        title="MCAP, images and clouds, 1,600 MB",
        file_name="a.mcap",
        write=_images,
        ticks=1_560,
        quick_ticks=5,
        loop=None,
    ),
)
CASES: Mapping[str, LogCase] = {case.name: case for case in _CASES}

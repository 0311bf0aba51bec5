"""Decoders made for tests: what they yield is written down in the log itself, as Python's literals."""

import ast
import dataclasses
import os
import pathlib
import signal
import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from roboto_dagster.topics.decoder import Found, TopicBatch, TopicFault, TopicNote
from roboto_dagster.topics.topic_filter import TopicFilter

TIME = pa.timestamp("ns", "UTC")


def batch(
    topic: str, times: list[int | None], schema_id: str = "s", **columns: list[Any]
) -> TopicBatch:
    """Return rows of a topic with given times; without other columns they have a column `value`."""
    values = columns or {"value": [float(index) for index in range(len(times))]}
    arrays: dict[str, Any] = {"log_time": pa.array(times, TIME), **values}
    rows = pa.RecordBatch.from_pydict(arrays)
    return TopicBatch(
        topic=topic, type_name="test/Type", schema_id=schema_id, rows=rows, metadata={"unit": "m"}
    )


@dataclasses.dataclass(frozen=True)
class LineDecoder:
    """Reads lines such as `("/imu", [1, 2, 3])`, `("fault", "/imu", "CORRUPT")`, `("note", 3)` and `("raise",)`.

    Attributes:
        version: Its version.
        suffix: Of the names of the logs that it claims.
    """

    version: str = "1"
    suffix: str = ".log"
    name: str = "lines"

    def claims(self, path: pathlib.Path, head: bytes) -> bool:
        """Return whether the name is one of its own."""
        del head
        return path.name.endswith(self.suffix)

    def batches(self, path: pathlib.Path, topics: TopicFilter) -> Iterator[Found]:
        """Yield what the lines say."""
        for line in path.read_text().splitlines():
            match ast.literal_eval(line):
                case ("fault", topic, code):
                    yield TopicFault(topic=topic, code=code, reason="it says so")
                case ("note", number):
                    yield TopicNote(topic=None, kind="cut_bytes", count=number, text="bytes cut")
                case ("raise",):
                    raise ValueError("it says so")
                case (str(topic), list(times)) if topics.includes(topic):
                    yield batch(topic, times)
                case (str(topic), list(times), str(schema)) if topics.includes(topic):
                    yield batch(topic, times, schema)


@dataclasses.dataclass(frozen=True)
class ProcessDecoder(LineDecoder):
    """Writes down its process beside the log, and does what the log says: `die`, `crash`, `wait` or `print`."""

    def batches(self, path: pathlib.Path, topics: TopicFilter) -> Iterator[Found]:
        """Yield one row, unless the process is to die before."""
        del topics
        path.with_suffix(".pid").write_text(str(os.getpid()))
        yield batch("/imu", [1])
        match _text_of(path):
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "die with the run":
                os.kill(os.getppid(), signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)
            case "wait":
                while True:
                    time.sleep(0.01)
            case "print":
                os.write(1, b"what a library prints")
        yield batch("/imu", [2])


def _text_of(path: pathlib.Path) -> str:
    """Return what the log says."""
    return path.read_text().strip("' \n")


def write_log(path: pathlib.Path, *lines: object) -> pathlib.Path:
    """Write a log for `LineDecoder`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line!r}\n" for line in lines))
    return path

"""A format of logs for tests, and its decoder: what users write for a format of their own.

```
/imu 1000000000 0.5      a row: topic, time in ns, value
!/gps CORRUPT cut        the topic failed
! TRUNCATED cut          the log failed
```
"""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator

import pyarrow as pa

from roboto_dagster import TopicBatch, TopicFault, TopicFilter, TopicNote

TIME = pa.timestamp("ns", "UTC")
SCHEMA = pa.schema(
    [
        ("log_time", TIME),
        ("publish_time", TIME),
        ("sequence", pa.uint32()),
        ("value", pa.struct([("x", pa.float64()), ("y", pa.float64())])),
    ]
)


@dataclasses.dataclass(frozen=True)
class LinesDecoder:
    """Decodes files whose names end in `.lines`."""

    name: str = "lines"
    version: str = "1"

    @staticmethod
    def claims(path: pathlib.Path, head: bytes) -> bool:  # noqa: ARG004 -- of the protocol
        """Decide by the name."""
        return path.suffix == ".lines"

    def batches(
        self, path: pathlib.Path, topics: TopicFilter
    ) -> Iterator[TopicBatch | TopicFault | TopicNote]:
        """Yield each row as a batch."""
        for line in path.read_text().splitlines():
            first, *rest = line.split(" ", 2)
            if first.startswith("!"):
                yield TopicFault(topic=first[1:] or None, code=rest[0], reason=rest[1])
            elif topics.includes(first):
                yield _batch(first, int(rest[0]), float(rest[1]))


@dataclasses.dataclass(frozen=True)
class CallingDecoder(LinesDecoder):
    """Calls something after the first row."""

    call: Callable[[], None] = lambda: None

    def batches(
        self, path: pathlib.Path, topics: TopicFilter
    ) -> Iterator[TopicBatch | TopicFault | TopicNote]:
        """Call it, and go on."""
        for number, each in enumerate(LinesDecoder.batches(self, path, topics)):
            yield each
            if number == 0:
                self.call()


def _batch(topic: str, time_ns: int, value: float) -> TopicBatch:
    rows = pa.RecordBatch.from_pylist(
        [
            {
                "log_time": time_ns,
                "publish_time": None,
                "sequence": None,
                "value": {"x": value, "y": -value},
            }
        ],
        schema=SCHEMA,
    )
    return TopicBatch(
        topic=topic, type_name="test/Value", schema_id="0" * 64, rows=rows, metadata={}
    )


def log_of(rates_hz: dict[str, float], seconds: float = 1.0) -> bytes:
    """Return a log of topics at some rates; the value is the row's number.

    Args:
        rates_hz: By topic, rows a second.
        seconds: Length.
    """
    rows = [
        (round(number * 1e9 / rate), topic, number)
        for topic, rate in rates_hz.items()
        for number in range(round(seconds * rate) + 1)
    ]
    return "".join(
        f"{topic} {time_ns} {number}\n" for time_ns, topic, number in sorted(rows)
    ).encode()

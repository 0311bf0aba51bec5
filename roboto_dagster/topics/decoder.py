"""What a decoder of logs is given, and what it yields; users implement `LogDecoder` for their own formats."""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, TypeAlias

from roboto_dagster.text import one_line
from roboto_dagster.topics.faults import UndecodableError, fault_advice
from roboto_dagster.topics.topic_filter import TopicFilter

if TYPE_CHECKING:
    import pyarrow as pa

HEAD_BYTES = 64 * 1024
"""How many bytes of a log's beginning `LogDecoder.claims` is given, at most."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopicBatch:
    """Some rows of one table, in the order of the file.

    Attributes:
        topic: Name of the topic, verbatim.
        type_name: Name of the message type, such as `sensor_msgs/msg/Imu`.
        schema_id: Separates tables of one topic, and is the same for equal definitions: SHA-256, in
            hexadecimal, of encodings, type name and definition.
        rows: The first three columns are `log_time` (timestamp[ns, UTC]), `publish_time` (the same) and
            `sequence` (uint32), null where the format has none; then the fields of the message. All
            batches of one topic and schema have the same Arrow schema.
        metadata: Of the table: type, encodings, SHA-256 of the definition, time base, constants, units.
            The same for all batches of one topic and schema.
    """

    topic: str
    type_name: str
    schema_id: str
    rows: "pa.RecordBatch"
    metadata: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopicFault:
    """Why a log, or one topic of it, could not be decoded completely.

    What was read before a fault is yielded before it: whether it is kept, the caller decides. After a
    fault of a topic no rows of this topic follow; after one of the log nothing follows.

    Attributes:
        topic: The topic that failed, or None: the log.
        code: One of `FaultCode`, or a decoder's own.
        reason: What happened, in a few words.
    """

    topic: str | None
    code: str
    reason: str

    def __str__(self) -> str:
        """Return one line: what, why, what to do next."""
        what = "" if self.topic is None else f"{self.topic}: "
        return one_line(f"{what}{self.code}: {self.reason}. {fault_advice(self.code)}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopicNote:
    """What is worth knowing, and no failure: bytes cut by a power loss, characters replaced, topics skipped.

    Attributes:
        topic: The topic, or None: the log.
        kind: A word for programs, such as `replaced_characters`.
        count: How often, or how many bytes; the text shows which.
        text: A sentence for people.
    """

    topic: str | None
    kind: str
    count: int
    text: str


Found: TypeAlias = TopicBatch | TopicFault | TopicNote
"""What a decoder yields."""


def fault_of(topic: str | None, error: UndecodableError | OSError) -> TopicFault:
    """Return the fault for an error of decoding, or of reading the log.

    Args:
        topic: The topic, or None: the log.
        error: What was raised.
    """
    if isinstance(error, UndecodableError):
        return TopicFault(topic=topic, code=error.code, reason=error.reason)
    return TopicFault(topic=topic, code="LOG_IO", reason=f"{error.strerror or error}")


class LogDecoder(Protocol):
    """Reads one format of logs.

    A decoder has no state besides its settings, and can be pickled: a log is decoded in a process
    of its own. Its name and version are part of what makes a table stale.
    """

    @property
    def name(self) -> str:
        """Short name of the decoder, such as `mcap`; in the manifest."""
        ...

    @property
    def version(self) -> str:
        """Change it whenever tables would differ: all logs are decoded again. It stands in the manifest."""
        ...

    def claims(self, path: pathlib.Path, head: bytes) -> bool:
        """Return whether the file is a log of this format, damaged or not.

        Args:
            path: The file; its name may be all there is to decide by.
            head: Its first bytes, `HEAD_BYTES` at most.
        """
        ...

    def batches(
        self, path: pathlib.Path, topics: TopicFilter
    ) -> Iterator[TopicBatch | TopicFault | TopicNote]:
        """Decode one log, reading it once and keeping no more than a few batches in memory.

        Args:
            path: The log.
            topics: Which topics, which fields of them, and how.

        Yields:
            Rows, and faults and notes. An exception is reported as a failure of the log.
        """
        ...

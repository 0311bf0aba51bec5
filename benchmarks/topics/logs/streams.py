"""What a generated log holds: topics with payloads, and the order in which their messages come."""

import dataclasses
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 10_000_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The messages of one topic.

    Attributes:
        topic: The topic.
        type_name: The type, as the container spells it.
        definition: The schema.
        schema_encoding: `ros1msg`, `ros2msg`, `ros2idl`, `protobuf`, `jsonschema` or empty.
        message_encoding: `ros1`, `cdr`, `protobuf` or `json`.
        payloads: The messages, which repeat in turn.
        digest: The MD5 of a type of ROS 1, the RIHS01 hash of a type of ROS 2.
        stamp_offset: Where a payload has its header's stamp (seconds and nanoseconds, 4 bytes each), if it is to be set to
            the time of the message.
        every: The topic has a message in each so many ticks.
    """

    topic: str
    type_name: str
    definition: bytes
    schema_encoding: str
    message_encoding: str
    payloads: Sequence[bytes]
    digest: str = ""
    stamp_offset: int | None = None
    every: int = 1

    def payload(self, number: int, time_ns: int) -> bytes:
        """Return the payload of the topic's message of that number.

        Args:
            number: Counted from 0.
            time_ns: When the message was sent.
        """
        payload = self.payloads[number % len(self.payloads)]
        if self.stamp_offset is None:
            return payload
        end = self.stamp_offset + 8
        stamp = struct.pack("<II", *divmod(time_ns, 1_000_000_000))
        return payload[: self.stamp_offset] + stamp + payload[end:]


class Sent(NamedTuple):
    """One message of a log.

    Attributes:
        stream: Position of the stream.
        number: Of the message in its stream, from 0.
        time_ns: When it was sent.
        payload: What.
    """

    stream: int
    number: int
    time_ns: int
    payload: bytes


def messages(
    streams: Sequence[Stream], ticks: int, start_ns: int = START_NS, period_ns: int = PERIOD_NS
) -> Iterator[Sent]:
    """Yield the messages of a log, in the order of their times.

    Args:
        streams: The topics.
        ticks: How many moments the log has; in each, every topic whose turn it is has a message.
        start_ns: The first moment, in nanoseconds since 1970.
        period_ns: From one moment to the next, in nanoseconds.
    """
    for tick in range(ticks):
        for position, stream in enumerate(streams):
            if tick % stream.every == 0:
                number = tick // stream.every
                time_ns = start_ns + tick * period_ns + position
                yield Sent(position, number, time_ns, stream.payload(number, time_ns))

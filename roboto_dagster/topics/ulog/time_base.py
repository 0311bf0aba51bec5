"""From microseconds since boot, which ULog counts, to UTC: the first source that a log has.

1. The info message `boot_time_utc_us`.
2. The first row of a GPS receiver with a fix and a time; later ones drift by milliseconds.
3. Stamps of a simulation that count from 1970 already.

Without any of them, times count from 1970 and the time base is `boot`.
"""

import pathlib
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from roboto_dagster.topics.ulog.layout import flat_size, layout_of
from roboto_dagster.topics.ulog.parser import UlogStream

YEAR_2000_US = 946_684_800_000_000
YEAR_2100_US = 4_102_444_800_000_000

_GPS_MESSAGES = ("vehicle_gps_position", "sensor_gps")
_FIX_3D = 3
_BOOT_TIME = "boot_time_utc_us"
_BOOT_TIME_KEY = f"uint64_t {_BOOT_TIME}".encode()
_BOOT_TIME_HEADER = (
    struct.pack("<HcB", 9 + len(_BOOT_TIME_KEY), b"I", len(_BOOT_TIME_KEY)) + _BOOT_TIME_KEY
)
_DATA = struct.Struct("<HcH")
_SUBSCRIPTION = struct.Struct("<HcBH")
_CHUNK_BYTES = 4 * 1024 * 1024
_LONGEST_MESSAGE = 3 + 0xFFFF


class TimeBase(NamedTuple):
    """What is added to the stamps of a log.

    Attributes:
        name: `utc`, or `boot` if nothing is known.
        offset_us: In microseconds.
        source: Where it comes from.
    """

    name: str
    offset_us: int
    source: str


class _GpsMessage(NamedTuple):
    """Where the times are in a message of a GPS receiver."""

    dtype: Any
    sizes: frozenset[int]  # without and with the padding at its end
    timestamp: str
    utc: str
    fix: str


def time_base_of(stream: UlogStream, path: pathlib.Path) -> TimeBase:
    """Return the time base of a log.

    Args:
        stream: The log, whose first part was read.
        path: Of the log, which is searched for a boot time and a fix.
    """
    first_stamps = stream.start_timestamp, stream.last_timestamp
    is_utc = any(YEAR_2000_US < each < YEAR_2100_US for each in first_stamps)
    found = _found_in(path, stream.message_formats)
    if found is not None and not (is_utc and found.source == _BOOT_TIME):
        return found
    return TimeBase("utc", 0, "timestamp") if is_utc else TimeBase("boot", 0, "none")


def _found_in(path: pathlib.Path, formats: dict[str, Any]) -> TimeBase | None:
    """Return the boot time that stands somewhere in a log, or else the time of its first fix.

    Both are found by the bytes of their headers (size, kind, key or id): reading the log message by message
    costs as much as decoding it.
    """
    messages = {name: found for name in _GPS_MESSAGES if (found := _gps_message(formats, name))}
    headers: dict[bytes, _GpsMessage] = {}
    fix: int | None = None
    for chunk in _chunks(path):
        boot_time = _boot_time(chunk)
        if boot_time is not None:
            return TimeBase("utc", boot_time, _BOOT_TIME)
        if fix is None:
            headers.update(_subscribed(chunk, messages))
            fix = next(_fixes(chunk, headers), None)
    return None if fix is None else TimeBase("utc", fix, "gps")


def _boot_time(chunk: bytes) -> int | None:
    for place in _places(chunk, _BOOT_TIME_HEADER):
        value = chunk[place + len(_BOOT_TIME_HEADER) :][:8]
        boot_time = int.from_bytes(value, "little")
        if len(value) == 8 and YEAR_2000_US < boot_time < YEAR_2100_US:
            return boot_time
    return None


def _fixes(chunk: bytes, headers: dict[bytes, _GpsMessage]) -> Iterator[int]:
    """Yield the offsets of rows with a fix, in the order of the log."""
    found = [(place, header) for header in headers for place in _places(chunk, header)]
    for place, header in sorted(found):
        offset = _offset(chunk, place + _DATA.size, headers[header])
        if offset is not None:
            yield offset


def _gps_message(formats: dict[str, Any], name: str) -> _GpsMessage | None:
    try:
        padded_size = flat_size(formats, name)
    except (KeyError, ValueError):
        return None
    layout = layout_of(formats, name)
    places = {(each.name, each.type_name): each.key for each in layout.members if not each.length}
    wanted = [("timestamp", "uint64_t"), ("time_utc_usec", "uint64_t"), ("fix_type", "uint8_t")]
    if not places.keys() >= set(wanted):
        return None
    sizes = frozenset({layout.dtype.itemsize, padded_size})
    return _GpsMessage(layout.dtype, sizes, *(places[each] for each in wanted))


def _chunks(path: pathlib.Path) -> Iterator[bytes]:
    """Yield the log in parts that overlap by a message."""
    with path.open("rb") as stream:
        kept = b""
        while data := stream.read(_CHUNK_BYTES):
            yield kept + data
            kept = data[-_LONGEST_MESSAGE:]


def _places(chunk: bytes, text: bytes) -> Iterator[int]:
    place = chunk.find(text)
    while place >= 0:
        yield place
        place = chunk.find(text, place + 1)


def _subscribed(
    chunk: bytes, messages: dict[str, _GpsMessage]
) -> Iterator[tuple[bytes, _GpsMessage]]:
    """Yield the header of the rows of each subscription in a chunk."""
    for name, message in messages.items():
        for place in _places(chunk, name.encode()):
            if place < _SUBSCRIPTION.size:
                continue
            size, kind, _, msg_id = _SUBSCRIPTION.unpack_from(chunk, place - _SUBSCRIPTION.size)
            if kind == b"A" and size == 3 + len(name):
                for row_size in message.sizes:
                    yield _DATA.pack(2 + row_size, b"D", msg_id), message


def _offset(chunk: bytes, place: int, message: _GpsMessage) -> int | None:
    if place + message.dtype.itemsize > len(chunk):
        return None  # the next chunk has it again, unless the log was cut here
    row = np.frombuffer(chunk, message.dtype, count=1, offset=place)[0]
    timestamp, utc = int(row[message.timestamp]), int(row[message.utc])
    has_fix = int(row[message.fix]) >= _FIX_3D and YEAR_2000_US < utc < YEAR_2100_US
    return utc - timestamp if has_fix and 0 < timestamp < YEAR_2100_US else None

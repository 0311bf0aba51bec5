"""pyulog, made to hand over what it has read every few MiB, instead of keeping all rows to the end.

pyulog appends the rows of each subscription to a buffer, and converts all buffers at the end of the file.
Here it stops after every `PART_BYTES`, as it does in front of appended data:

```
        ┌───── go back to the message that was not taken ◄────┐
 open ──┤  read messages, until one crosses the part's end    │ hand over large buffers
        └─► is there more? ─── yes ───────────────────────────┘
                │ no
                ▼
        hand over the rest; look at how the log ends
```

Synchronization, corruption and appended data stay pyulog's. The private names in use are tested by
`tests/topics/ulog/test_pyulog_contract.py`, and the dependency has an upper bound.
"""

import io
import struct
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Literal, NamedTuple

from pyulog.core import ULog

from roboto_dagster.topics.ulog.ending import (
    HEADER_BYTES,
    LONGEST_MESSAGE_BYTES,
    DefinitionsFile,
    incomplete_message,
    is_plausible,
    position_of,
)
from roboto_dagster.topics.ulog.layout import flat_size
from roboto_dagster.topics.ulog.subscriptions import Subscriptions, UlogRows
from roboto_dagster.topics.ulog.wrapping import printing_to_log, raising_value_error

PART_BYTES = 4 * 1024 * 1024
"""How many bytes of the log are read between two hand-overs."""

_ZEROS_BYTES = 4096
_TEXT = struct.Struct("<BQ")
_TAGGED_TEXT = struct.Struct("<BxxQ")


class LoggedText(NamedTuple):
    """A line that the firmware has logged."""

    timestamp: int
    level: int
    tag: int | None
    text: bytes


class UlogStream(ULog):  # type: ignore[misc]  # pyulog has no types
    """One log, read part by part.

    Args:
        stream: The log, opened for reading in binary mode.
        wanted: Which topics; asked at each subscription.

    Attributes:
        cut_bytes: Bytes of an incomplete message at the end of the log, or of the part in front of
            appended data.
    """

    # Private: see the module.
    _read_file_header = printing_to_log(ULog._read_file_header)  # noqa: SLF001
    _read_file_definitions = printing_to_log(ULog._read_file_definitions)  # noqa: SLF001
    _read_file_data = printing_to_log(ULog._read_file_data)  # noqa: SLF001

    def __init__(self, stream: BinaryIO, wanted: Callable[[str], bool]) -> None:
        super().__init__(None)
        self.cut_bytes = 0
        self._stream = stream
        self._texts: list[LoggedText] = []
        self._subscriptions = Subscriptions(wanted)
        self._filtered_message_ids = self._subscriptions.ignored

    def read_definitions(self) -> Literal["TRUNCATED", "CORRUPT"] | None:
        """Read header and definitions.

        Returns:
            What is wrong with them; None if they are complete.

        Raises:
            pyulog.core.ULogException: The log is of no known version, or no ULog at all.
        """
        self._file_handle: Any = self._stream
        self._read_file_header()
        self._last_timestamp = self._start_timestamp
        definitions = self._file_handle = DefinitionsFile(self._stream)
        self._read_file_definitions()
        return definitions.fault

    def parts(self) -> Iterator[list[UlogRows]]:
        """Read the data, and hand over rows every few MiB; those of a topic in their order."""
        self._file_handle = self._stream
        here = position_of(self._stream)
        size = self._stream.seek(0, io.SEEK_END)
        self._stream.seek(here)
        for end in (*self._valid_offsets(here, size), size):
            start = position_of(self._stream)
            while self._read_part(start, end, size):
                start = position_of(self._stream)
                yield self._subscriptions.full_buffers()
            self._look_at_the_end(start, end)
        yield self._subscriptions.all_buffers()

    def _read_part(self, start: int, end: int, size: int) -> bool:
        """Read some messages, and return whether there are more in front of an offset."""
        pause = start + PART_BYTES
        if pause + LONGEST_MESSAGE_BYTES > end:
            pause = end
        self._read_file_data(None, pause)
        self._logged_messages.clear()  # pyulog's; they are kept by `take_texts`
        self._logged_messages_tagged.clear()
        here = position_of(self._stream)
        if self._is_in_zeros(here, here - start):
            self._stream.seek(end)
            return False
        if here >= end and (pause == end or here >= size):
            return False
        crossing = here - HEADER_BYTES - self._header.msg_size
        if here > pause and crossing > start:
            self._stream.seek(crossing)  # it was read, and not taken
        else:
            self._file_corrupt = True  # pyulog stopped at a message that it cannot read
        return True

    def _is_in_zeros(self, here: int, size: int) -> bool:
        """Return whether a part ends in zeros, and no synchronization message follows.

        Files are allocated before they are written; pyulog reads zeros byte by byte, for minutes in a large log.
        """
        if self._has_sync or size < PART_BYTES:
            return False
        self._stream.seek(here - _ZEROS_BYTES)
        are_zeros = not any(self._stream.read(_ZEROS_BYTES))
        self._stream.seek(here)
        return are_zeros

    def _look_at_the_end(self, start: int, end: int) -> None:
        rest = incomplete_message(self._stream, start, end)
        if self._file_corrupt or not rest:
            return
        if is_plausible(rest, self._subscriptions.row_sizes):
            self.cut_bytes += len(rest)
        else:
            self._file_corrupt = True

    def _valid_offsets(self, here: int, size: int) -> Iterator[int]:
        """Yield where appended data begins; an offset that leads back would read rows twice."""
        for offset in self._appended_offsets if self.has_data_appended else ():
            if not here <= offset <= size:
                self._file_corrupt = True
                return
            yield offset
            here = offset

    def take_texts(self) -> list[LoggedText]:
        """Return the lines that the firmware has logged since the last call."""
        taken, self._texts = self._texts, []
        return taken

    def take_untimed(self) -> list[str]:
        """Return topics without timestamps that were subscribed since the last call."""
        taken, self._subscriptions.untimed = self._subscriptions.untimed, []
        return taken

    # What pyulog calls for each message, by these names.

    class _MessageData(ULog._MessageData):  # type: ignore[misc]  # noqa: SLF001  # pyulog has no types
        initialize = printing_to_log(ULog._MessageData.initialize)  # noqa: SLF001

    class _MessageFlagBits(ULog._MessageFlagBits):  # type: ignore[misc]  # noqa: SLF001
        __init__ = printing_to_log(ULog._MessageFlagBits.__init__)  # noqa: SLF001

    _MessageInfo = staticmethod(raising_value_error(ULog._MessageInfo))  # noqa: SLF001
    _MessageParameterDefault = staticmethod(raising_value_error(ULog._MessageParameterDefault))  # noqa: SLF001
    MessageDropout = staticmethod(raising_value_error(ULog.MessageDropout))

    def _MessageHeader(self) -> Any:  # noqa: N802
        """Keep the header that pyulog reads messages with: it has the size of the last one."""
        self._header = ULog._MessageHeader()  # noqa: SLF001
        return self._header

    def _MessageAddLogged(self, data: bytes, header: Any, formats: dict[str, Any]) -> Any:  # noqa: N802
        """Check a subscription before pyulog unfolds its format, which may be of any size or endless."""
        name = self.parse_string(data[3:])
        if len(data) < 4:
            raise ValueError("a subscription is too short")
        size = flat_size(formats, name)
        subscription = ULog._MessageAddLogged(data, header, formats)  # noqa: SLF001
        subscription.max_data_size = size  # with padding at its end, which some writers log
        return subscription

    def MessageLogging(self, data: bytes, _header: Any) -> LoggedText:  # noqa: N802
        """Keep a line as it is: pyulog drops bytes that are not UTF-8.

        Args:
            data: Of the message.
            _header: Of the message.
        """
        return self._keep_text(data, _TEXT, None)

    def MessageLoggingTagged(self, data: bytes, _header: Any) -> LoggedText:  # noqa: N802
        """Keep a line with a tag; both kinds stay in the order of the log.

        Args:
            data: Of the message.
            _header: Of the message.
        """
        if len(data) < _TAGGED_TEXT.size:
            raise ValueError("a logged line is too short")
        return self._keep_text(data, _TAGGED_TEXT, data[1] | data[2] << 8)

    def _keep_text(self, data: bytes, head: struct.Struct, tag: int | None) -> LoggedText:
        if len(data) < head.size:
            raise ValueError("a logged line is too short")
        level, timestamp = head.unpack_from(data)
        self._texts.append(LoggedText(timestamp, level, tag, data[head.size :]))
        return self._texts[-1]

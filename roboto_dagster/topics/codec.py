"""Decodes ROS messages with roboto-mcap-codec, the platform's own decoder.

```
payloads of one table ─► a small MCAP in memory ─► open_mcap_file ─► record batches ─► our columns
                         one schema, channel, chunk                  row number, time    (arrays.py)
```
The codec reads files and not messages: a file that holds just these messages costs 0.4 µs each. It is
young; what it does not do well is listed here and held by tests/topics/test_codec.py:

- It skips a member whose type is not defined: `definitions` and `idl` check that before.
- It fails on messages without fields inside of others, by a panic (a BaseException).
- It reads XCDR2 as XCDR1: the encapsulation of each payload is checked here.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from roboto_dagster.text import count
from roboto_dagster.topics.decoder import TopicNote
from roboto_dagster.topics.definitions import ROOT_TYPE
from roboto_dagster.topics.faults import FaultCode, UndecodableError
from roboto_dagster.topics.mcap_in_memory import McapInMemory, definition_records
from roboto_dagster.topics.payloads import Columns
from roboto_dagster.topics.ros_fields import codec_fields, is_header_hidden
from roboto_dagster.topics.trailing_bytes import TrailingBytes

if TYPE_CHECKING:
    import pyarrow as pa

    from roboto_dagster.topics.arrays import Conversion
    from roboto_dagster.topics.definitions import RosDefinition

MAX_BATCH_BYTES = 16 * 1024 * 1024
_ZSTD = b"\x28\xb5\x2f\xfd"
_MAX_ROWS = 65_536
_ROW_COLUMNS = 2  # the row's number and its time, which are dropped

_FAULTS: dict[str, FaultCode] = {
    "corrupt_input": "CORRUPT",
    "unsupported_materialization": "UNSUPPORTED_TYPE",
    "invalid_schema_dimension": "UNSUPPORTED_TYPE",
    "invalid_projection": "UNKNOWN_FIELD",
}


class RosPayloads:
    """Decodes messages of one ROS 1, ROS 2 or IDL type.

    Args:
        type_name: Name of the type, as in the log.
        message_encoding: `ros1` or `cdr`.
        schema_encoding: `ros1msg`, `ros2msg`, `ros2idl` or `omgidl`.
        text: The definition, as the codec is to read it.
        definition: The same, read; None for IDL.
        fields: Paths of the fields to decode. Default None: all.
    """

    def __init__(
        self,
        *,
        type_name: str,
        message_encoding: str,
        schema_encoding: str,
        text: bytes,
        definition: "RosDefinition | None" = None,
        fields: tuple[str, ...] | None = None,
    ) -> None:
        self._is_cdr = message_encoding == "cdr"
        self._allowed_kinds = (0, 1) if definition is not None else (0, 1, 2, 3)
        self._definition = definition
        root = ROOT_TYPE if definition is not None else type_name
        self._definition_records = definition_records(message_encoding, schema_encoding, root, text)
        self._fields = codec_fields(definition, fields)
        self._kept = None if fields is None else {path.partition(".")[0] for path in fields}
        self._is_header_hidden = is_header_hidden(definition, fields)
        self._conversions: list[Conversion] | None = None
        self._longer = 0
        self._trailing: TrailingBytes | None = None
        if definition is not None and definition.root.fields:
            self._trailing = TrailingBytes(definition, schema_encoding, message_encoding)

    def columns(self, payloads: Sequence[bytes]) -> Iterator[Columns]:
        """Decode messages, in the order given.

        Args:
            payloads: Messages, of up to 64 MiB each.

        Yields:
            The rows; those before one that cannot be decoded, too.

        Raises:
            UndecodableError: A message cannot be decoded.
        """
        if self._definition is not None and not self._definition.root.fields:
            _check_empty(payloads, is_cdr=self._is_cdr)
        good = self._check_encapsulation(payloads)
        fault = None
        if good < len(payloads):
            fault = UndecodableError(*self._encapsulation_fault(payloads[good]))
        longer = self._trailing.count_in(payloads[:good]) if self._trailing is not None else 0
        taken = list(payloads[:good])
        if good == 1:
            payloads = ()  # a large one is not kept while it is decoded
        found, error = self._decoded(taken)
        if isinstance(error, _RowError):
            # The codec drops the batch in which a row fails: its rows before are decoded once more.
            done = sum(each.rows for each in found)
            found += self._decoded(list(payloads[done : error.row]))[0]
            fault = error.reason
        elif error is not None:
            fault = error
        else:
            self._longer += longer
        payloads = ()  # large ones are not kept while their rows are written
        while found:
            yield found.pop(0)
        if fault is not None:
            raise fault

    def notes(self, topic: str) -> Iterator[TopicNote]:
        """Yield what is worth knowing of all messages decoded.

        Args:
            topic: Name of the topic.
        """
        if self._longer:
            messages = count(self._longer, "message")
            text = f"{messages} with 8 bytes or more behind the last field of the definition"
            yield TopicNote(topic=topic, kind="longer_payloads", count=self._longer, text=text)

    def _check_encapsulation(self, payloads: Sequence[bytes]) -> int:
        """Return how many payloads have an encapsulation that the codec reads."""
        if not self._is_cdr:
            return len(payloads)
        good = {bytes((0, kind)) for kind in self._allowed_kinds}
        if {payload[:2] for payload in payloads} <= good:
            return len(payloads)
        return next(number for number, payload in enumerate(payloads) if payload[:2] not in good)

    def _encapsulation_fault(self, payload: bytes) -> tuple[FaultCode, str]:
        if len(payload) < 4:
            return "CORRUPT", f"a message has {len(payload)} bytes, and no CDR header"
        if payload.startswith(_ZSTD):  # as rosbag2 writes them with --compression-mode message
            return "UNSUPPORTED_COMPRESSION", "messages are compressed one by one with zstd"
        kind = int.from_bytes(payload[:2], "big")
        if 2 <= kind <= 11:
            return (
                "UNSUPPORTED_TYPE",
                f"a message is serialized as kind {kind} of CDR (XCDR2 or parameter list)",
            )
        return "CORRUPT", f"a message has the unknown CDR header {payload[:4].hex()}"

    def _decoded(
        self, payloads: list[bytes]
    ) -> "tuple[list[Columns], _RowError | UndecodableError | None]":
        """Return the rows, all at once, so that nothing of the codec is kept while they are written."""
        found: list[Columns] = []
        if not payloads:
            return found, None
        sizes = list(map(len, payloads))
        try:
            with _open(McapInMemory(self._definition_records, payloads), self._fields) as cursor:
                self._prepare(cursor.schema)
                found.extend(map(self._converted, cursor))
        except UndecodableError as error:
            return found, error
        except ValueError as error:
            return found, _translated(error, sizes)
        except BaseException as error:
            if type(error).__name__ != "PanicException":
                raise
            return found, UndecodableError("DECODER_FAILED", f"the codec failed: {error}")
        return found, None

    def _prepare(self, schema: "pa.Schema") -> None:
        """Plan the columns, before the codec meets a message: it fails on structures without members."""
        from roboto_dagster.topics.arrays import conversions

        if self._conversions is None:
            self._conversions = conversions(
                list(schema)[_ROW_COLUMNS:], self._definition, self._kept
            )

    def _converted(self, batch: "pa.RecordBatch") -> Columns:
        from roboto_dagster.topics.arrays import header_time

        planned = self._conversions or ()
        arrays = batch.columns[_ROW_COLUMNS:]
        fields = [each.field for each in planned]
        columns = [each.column(arrays.__getitem__, batch.num_rows) for each in planned]
        times = header_time(fields, columns)
        if self._is_header_hidden:
            kept = [number for number, field in enumerate(fields) if field.name != "header"]
            fields, columns = [fields[each] for each in kept], [columns[each] for each in kept]
        return Columns(rows=batch.num_rows, fields=fields, arrays=columns, header_time=times)


def _check_empty(payloads: Sequence[bytes], *, is_cdr: bool) -> None:
    """Raise where messages have bytes and their definition has no fields."""
    for payload in set(payloads):
        content = payload[4:] if is_cdr else payload
        # CDR has a byte in place of no field, and padding.
        if len(content) > (4 if is_cdr else 0) or any(content):
            raise UndecodableError(
                "MISSING_DEFINITION",
                f"the definition is empty, and a message has {len(payload)} bytes",
            )


class _RowError(Exception):
    """A row cannot be decoded."""

    def __init__(self, row: int, reason: UndecodableError) -> None:
        super().__init__(row, reason)
        self.row = row
        self.reason = reason


def _open(file: McapInMemory, fields: tuple[str, ...] | None) -> Any:
    import mcap_codec  # type: ignore[import-untyped]  # it has no type hints

    projection = None
    if fields is not None:
        projection = mcap_codec.Projection(include=[name.split(".") for name in fields])
    return mcap_codec.open_mcap_file(
        file.read,
        file.size,
        timestamp=mcap_codec.TimestampSource("message_log_time"),
        projection=projection,
        limits=_limits(),
    )


@functools.lru_cache(maxsize=1)
def _limits() -> Any:
    import mcap_codec

    return mcap_codec.DecodeLimits(max_batch_bytes=MAX_BATCH_BYTES, max_batch_rows=_MAX_ROWS)


def _translated(error: ValueError, sizes: Sequence[int]) -> "_RowError | UndecodableError":
    """Return our error for one of the codec's; a `_RowError` where it names a row."""
    code = str(getattr(error, "code", "") or "")
    row = getattr(error, "row_number", None)
    reason = UndecodableError(_FAULTS.get(code, "DECODER_FAILED"), _first_line(error))
    if code == "unsupported_encoding":
        reason = UndecodableError(*_definition_fault(str(error)))
    elif code == "resource_limit":
        reason = UndecodableError(*_limit_fault(error, sizes, row))
    return reason if row is None else _RowError(row, reason)


def _definition_fault(text: str) -> tuple[FaultCode, str]:
    reason = text.partition("schema parse failed: ")[2] or text
    is_missing = "not found" in reason
    return ("MISSING_DEFINITION" if is_missing else "INVALID_DEFINITION"), reason.split("\n", 1)[0]


def _limit_fault(error: Any, sizes: Sequence[int], row: int | None) -> tuple[FaultCode, str]:
    """Distinguish a wrong length from a large one, by the bytes there are."""
    abort, size = error.decode_abort, sizes[row] if row is not None else 0
    if abort is not None and row is not None:
        per_byte = 1 if "items" in abort.resource else 16  # of memory, for a byte of the message
        if abort.required is None or abort.required > size * per_byte:
            return "CORRUPT", f"an array of a message is longer than the message of {size} bytes"
    return (
        "TOO_LARGE",
        f"a message of {size} bytes exceeds what the codec reads: {_first_line(error)}",
    )


def _first_line(error: BaseException) -> str:
    """Return what the codec says, without the numbers of rows and channels of the file in memory."""
    text = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(
        r"^\w+(?: row number \d+| chunk \d+| channel \d+| schema \d+)*(?: field [^:]*)?: ", "", text
    )

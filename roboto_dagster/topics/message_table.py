"""One table of a topic: raw messages become batches, with their times in front and what went wrong beside them."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from roboto_dagster.text import count
from roboto_dagster.topics.batching import RawMessages
from roboto_dagster.topics.decoder import TopicBatch, TopicFault, TopicNote
from roboto_dagster.topics.faults import DEFINITION_FAULTS, UndecodableError
from roboto_dagster.topics.payloads import Columns, PayloadDecoder, RawPayloads

if TYPE_CHECKING:
    import pyarrow as pa

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_MAX_TIME = 2**63 - 1
# Faults of one message, whose number helps to find it.
_MESSAGE_FAULTS = frozenset({"CORRUPT", "TIME_RANGE", "TOO_LARGE", "TYPE_MISMATCH"})


class MessageTable:
    """The messages of one topic that have one definition.

    Args:
        topic: Name of the topic, verbatim.
        type_name: Name of the message type.
        message_encoding: Encoding of the messages, such as `cdr`.
        schema_encoding: Encoding of the definition, such as `ros2msg`; empty if there is none.
        definition: The definition, as it stands in the log.
        payloads: Decodes the messages.
        metadata: More metadata of the table, such as its constants; empty texts are left out. Default None.
        or_raw: Whether messages are delivered as they are if it turns out that their definition does not do.
            Default False.
    """

    def __init__(
        self,
        *,
        topic: str,
        type_name: str,
        message_encoding: str,
        schema_encoding: str,
        definition: bytes,
        payloads: PayloadDecoder,
        metadata: Mapping[str, str] | None = None,
        or_raw: bool = False,
    ) -> None:
        self.topic = topic
        self.type_name = type_name
        self.schema_id = schema_id(message_encoding, schema_encoding, type_name, definition)
        self.failed = False
        """Whether a message could not be decoded: none is decoded after it."""
        self._payloads = payloads
        self._schema: pa.Schema | None = None
        self._rows = 0
        self._replaced = 0
        self._or_raw = or_raw
        facts = {
            **definition_metadata(message_encoding, schema_encoding, type_name, definition),
            "time_base": "utc",
            **(metadata or {}),
        }
        self._metadata = {key: value for key, value in facts.items() if value}
        if isinstance(payloads, RawPayloads):
            self._deliver_raw()

    def _deliver_raw(self) -> None:
        self._payloads = RawPayloads()
        self._metadata = {**self._metadata, "raw": "true"}

    def batches(self, messages: RawMessages) -> Iterator[TopicBatch | TopicFault]:
        """Decode messages; a fault of the topic ends them, after the rows before it.

        Args:
            messages: The next ones, in the order of the file.

        Yields:
            Batches, and at most one fault, after which the table has failed.
        """
        if self.failed:
            return
        try:
            yield from self._decoded(messages)
        except UndecodableError as error:
            if self._or_raw and not self._rows and error.code in DEFINITION_FAULTS:
                self._deliver_raw()
                yield from self.batches(messages)
                return
            self.failed = True
            number = f"message {self._rows + 1}: " if error.code in _MESSAGE_FAULTS else ""
            yield TopicFault(topic=self.topic, code=error.code, reason=number + error.reason)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug, or of a library: other topics go on
            self.failed = True
            reason = f"{type(error).__name__}: {error}"
            yield TopicFault(topic=self.topic, code="DECODER_FAILED", reason=reason)

    def _decoded(self, messages: RawMessages) -> Iterator[TopicBatch]:
        done = 0
        fault = _first_unusable(messages)
        payloads = [messages.payloads if fault is None else messages.payloads[: fault[0]]]
        if self._rows or not self._or_raw:
            messages.payloads = []  # large ones are not kept while their rows are written
        for columns in self._payloads.columns(payloads.pop()):
            if columns.rows:
                yield self._batch(columns, messages, done)
            done += columns.rows
            self._rows += columns.rows
        if fault is not None:
            raise fault[1]

    def notes(self) -> Iterator[TopicNote]:
        """Yield what is worth knowing of all messages decoded."""
        if self._replaced:
            yield TopicNote(
                topic=self.topic,
                kind="replaced_characters",
                count=self._replaced,
                text=f"{count(self._replaced, 'row')} with texts that are not UTF-8; U+FFFD stands for what cannot be read",
            )
        yield from getattr(self._payloads, "notes", lambda _topic: ())(self.topic)

    def _batch(self, columns: Columns, messages: RawMessages, start: int) -> TopicBatch:
        import pyarrow as pa

        end = start + columns.rows
        arrays: list[Any] = [
            pa.array(messages.log_times[start:end], _time_type()),
            pa.array(messages.publish_times[start:end], _time_type()),
            pa.array(messages.sequences[start:end], pa.uint32()),
        ]
        if columns.header_time is not None:
            arrays.append(columns.header_time)
        if self._schema is None:
            self._schema = schema_of(columns)
        self._replaced += _rows_with_replacements(columns)
        rows = pa.RecordBatch.from_arrays([*arrays, *columns.arrays], schema=self._schema)
        return TopicBatch(
            topic=self.topic,
            type_name=self.type_name,
            schema_id=self.schema_id,
            rows=rows,
            metadata=self._metadata,
        )


def schema_id(
    message_encoding: str, schema_encoding: str, type_name: str, definition: bytes
) -> str:
    """Return what is equal for equal definitions, and for no others.

    Args:
        message_encoding: Encoding of the messages.
        schema_encoding: Encoding of the definition.
        type_name: Name of the type.
        definition: As it stands in the log.
    """
    digest = hashlib.sha256()
    for part in (
        message_encoding.encode(),
        schema_encoding.encode(),
        type_name.encode(),
        definition,
    ):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def definition_metadata(
    message_encoding: str, schema_encoding: str, type_name: str, definition: bytes
) -> dict[str, str]:
    """Return the metadata of a table that says what its messages are.

    Args:
        message_encoding: Encoding of the messages.
        schema_encoding: Encoding of the definition.
        type_name: Name of the type.
        definition: As it stands in the log; empty if there is none.
    """
    return {
        "type": type_name,
        "message_encoding": message_encoding,
        "schema_encoding": schema_encoding,
        "schema_sha256": hashlib.sha256(definition).hexdigest() if definition else "",
    }


def _first_unusable(messages: RawMessages) -> tuple[int, UndecodableError] | None:
    """Return the first message that is too large or has no time that fits, and why."""
    largest = max(map(len, messages.payloads), default=0)
    latest = max(messages.log_times, default=0)
    published = max((each for each in messages.publish_times if each is not None), default=0)
    if largest <= MAX_MESSAGE_BYTES and max(latest, published) <= _MAX_TIME:
        return None
    for number, payload in enumerate(messages.payloads):
        if len(payload) > MAX_MESSAGE_BYTES:
            return number, UndecodableError(
                "TOO_LARGE", f"a message has {len(payload)} bytes; 64 MiB are read at most"
            )
        for time in (messages.log_times[number], messages.publish_times[number] or 0):
            if time > _MAX_TIME:
                return number, UndecodableError(
                    "TIME_RANGE", f"a message has the time {time} ns since 1970"
                )
    return None


def _time_type() -> Any:
    import pyarrow as pa

    return pa.timestamp("ns", "UTC")


def schema_of(columns: Columns) -> "pa.Schema":
    """Return the schema of a table: our columns, then the message's.

    Args:
        columns: Of the message; one that is named as ours is renamed: it gets an underscore more, and its name
            stands in its metadata.
    """
    import pyarrow as pa

    own = [
        pa.field("log_time", _time_type()),
        pa.field("publish_time", _time_type()),
        pa.field("sequence", pa.uint32()),
    ]
    if columns.header_time is not None:
        own.append(pa.field("header_time", _time_type(), metadata={"derived_from": "header.stamp"}))
    taken = {field.name for field in own}
    names = [field.name for field in columns.fields]
    fields = []
    for field in columns.fields:
        name = field.name
        while name in taken or (name != field.name and name in names):
            name += "_"
        taken.add(name)
        fields.append(field if name == field.name else _renamed(field, name))
    return pa.schema(own + fields)


def _renamed(field: Any, name: str) -> Any:
    return field.with_name(name).with_metadata(
        {**(field.metadata or {}), b"name": field.name.encode()}
    )


def _rows_with_replacements(columns: Columns) -> int:
    return sum(_replacements(array) for array in columns.arrays)


def _replacements(column: Any) -> int:
    """Return how many texts of a column, nested ones too, have U+FFFD in them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_string(kind):
        return pc.sum(pc.match_substring(column, "\ufffd")).as_py() or 0
    if pa.types.is_struct(kind):
        return sum(_replacements(column.field(number)) for number in range(kind.num_fields))
    if pa.types.is_list(kind):
        return _replacements(column.values)
    return 0

"""Decodes protobuf messages: columns are made field by field, by functions made from the descriptor.

| protobuf | column |
|---|---|
| scalars, bytes, enum | the same, binary, int32 with its names in the metadata |
| message, optional, oneof | null where it is not set |
| wrappers (`google.protobuf.DoubleValue` …) | the value, or null |
| repeated; map | list; map |
| `Struct`, `Value`, `ListValue`; a message that contains itself | JSON text; its bytes |
| a message without fields | struct{_empty: bool} |
"""

import itertools
import json
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from roboto_dagster.topics.arrays import EMPTY, header_time
from roboto_dagster.topics.faults import UndecodableError
from roboto_dagster.topics.fields import selected_fields
from roboto_dagster.topics.mcap.protobuf_types import protobuf_decoder
from roboto_dagster.topics.mcap.protobuf_values import build_bytes, build_empty, build_json
from roboto_dagster.topics.payloads import Columns, loaded

# Of google.protobuf.descriptor.FieldDescriptor: CPPTYPE_*.
_SCALARS = {
    1: pa.int32(),
    2: pa.int64(),
    3: pa.uint32(),
    4: pa.uint64(),
    5: pa.float64(),
    6: pa.float32(),
    7: pa.bool_(),
    8: pa.int32(),
}
_ENUM, _STRING, _MESSAGE = 8, 9, 10
_TYPE_BYTES = 12
_MAX_FIELDS = 10_000
_JSON_TYPES = frozenset(f"google.protobuf.{name}" for name in ("Struct", "Value", "ListValue"))
_WRAPPERS = frozenset(
    f"google.protobuf.{name}Value"
    for name in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)

Build = Callable[[list[Any]], Any]
"""Makes a column of values; None stands for null."""


class ProtobufPayloads:
    """Decodes protobuf messages of one type.

    Args:
        type_name: Full name of the type.
        data: The FileDescriptorSet.
        fields: Paths of the fields to keep. Default None: all.

    Raises:
        UndecodableError: The descriptor is incomplete, or lacks one of the fields.
    """

    def __init__(self, type_name: str, data: bytes, fields: tuple[str, ...] | None = None) -> None:
        self._decode = protobuf_decoder(type_name, data)
        descriptor = self._decode(b"").DESCRIPTOR
        self._members = _Builder().members(descriptor, fields)
        self._fields = [field for field, _ in self._members]

    def columns(self, payloads: Sequence[bytes]) -> Iterator[Columns]:
        """Decode messages, in the order given.

        Args:
            payloads: The messages.

        Yields:
            The rows; those before one that cannot be decoded, too.

        Raises:
            UndecodableError: CORRUPT: a message cannot be decoded.
        """
        from google.protobuf.message import DecodeError as ProtobufError

        messages, fault = loaded(
            payloads,
            self._decode,
            (ProtobufError, ValueError),
            "the payload is no message of its type",
        )
        arrays = [build(messages) for _, build in self._members]
        times = header_time(self._fields, arrays)
        yield Columns(rows=len(messages), fields=self._fields, arrays=arrays, header_time=times)
        if fault is not None:
            raise fault


class _Builder:
    """Makes functions that make columns, one a field."""

    def __init__(self) -> None:
        self._parents: list[str] = []
        self._count = 0

    def members(self, descriptor: Any, fields: tuple[str, ...] | None) -> list[tuple[Any, Build]]:
        """Return the fields of a message with what makes their columns of messages."""
        names = [field.name for field in descriptor.fields]
        kept = (
            dict.fromkeys(names)
            if fields is None
            else selected_fields(fields, names, descriptor.full_name)
        )
        self._parents.append(descriptor.full_name)
        made = [
            self._member(each, kept[each.name]) for each in descriptor.fields if each.name in kept
        ]
        self._parents.pop()
        return made

    def _member(self, field: Any, below: tuple[str, ...] | None) -> tuple[Any, Build]:
        self._count += 1
        if self._count > _MAX_FIELDS:  # types may be nested in ways that multiply
            raise UndecodableError(
                "TOO_LARGE", f"the type has more than {_MAX_FIELDS} fields, nested ones counted"
            )
        get = operator.attrgetter(field.name)
        if _is_map(field):
            return self._map(field, get)
        kind, build, metadata = self._value(field, below)
        if _is_repeated(field):
            item = pa.field("item", kind)
            made = pa.field(field.name, pa.list_(item), metadata=metadata)
            return made, _list_builder(get, build, made.type)
        made = pa.field(field.name, kind, metadata=metadata)
        if not field.has_presence:
            return made, lambda messages: build(list(map(get, messages)))
        name = field.name
        return made, lambda messages: build(
            [get(each) if each.HasField(name) else None for each in messages]
        )

    def _map(self, field: Any, get: Callable[[Any], Any]) -> tuple[Any, Build]:
        entry = field.message_type.fields_by_name
        key_type, build_keys, _ = self._value(entry["key"], None)
        value_type, build_values, metadata = self._value(entry["value"], None)
        kind = pa.map_(key_type, value_type)

        def build(messages: list[Any]) -> Any:
            maps = [get(each) for each in messages]
            items = [(key, each[key]) for each in maps for key in each]
            keys, values = (
                build_keys([key for key, _ in items]),
                build_values([value for _, value in items]),
            )
            return pa.MapArray.from_arrays(_offsets(maps), keys, values)

        return pa.field(field.name, kind, metadata=metadata), build

    def _value(
        self, field: Any, below: tuple[str, ...] | None
    ) -> tuple[Any, Build, dict[str, str] | None]:
        """Return the type of a field's values, and what makes a column of them."""
        if field.cpp_type == _MESSAGE:
            return self._message(field, below)
        if below is not None:
            raise UndecodableError(
                "UNKNOWN_FIELD", f"{field.full_name} has no field {below[0]!r}: it is no message"
            )
        kind = _scalar_type(field)
        metadata = None
        if field.cpp_type == _ENUM:
            names = {str(each.number): each.name for each in field.enum_type.values}
            metadata = {"type": field.enum_type.full_name, "enum": json.dumps(names)}
        return kind, lambda values: pa.array(values, kind), metadata

    def _message(
        self, field: Any, below: tuple[str, ...] | None
    ) -> tuple[Any, Build, dict[str, str] | None]:
        descriptor = field.message_type
        metadata = {"type": descriptor.full_name}
        if descriptor.full_name in _JSON_TYPES:
            return pa.string(), build_json, {**metadata, "format": "json"}
        if descriptor.full_name in _WRAPPERS:
            kind = _scalar_type(descriptor.fields_by_name["value"])
            return (
                kind,
                lambda values: pa.array(
                    [None if each is None else each.value for each in values], kind
                ),
                None,
            )
        if descriptor.full_name in self._parents:
            return pa.binary(), build_bytes, {**metadata, "format": "protobuf"}
        members = self.members(descriptor, below)
        if not members:
            return EMPTY, build_empty, metadata
        kind = pa.struct([field for field, _ in members])
        return kind, _struct_builder(members, descriptor), metadata


def _scalar_type(field: Any) -> Any:
    if field.cpp_type == _STRING:
        return pa.binary() if field.type == _TYPE_BYTES else pa.string()
    return _SCALARS[field.cpp_type]


def _is_repeated(field: Any) -> bool:
    # protobuf 6 has `is_repeated`, and warns of `label`.
    return bool(
        field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED
    )


def _is_map(field: Any) -> bool:
    is_message = field.cpp_type == _MESSAGE and _is_repeated(field)
    return bool(is_message and field.message_type.GetOptions().map_entry)


def _offsets(values: list[Any]) -> Any:
    return pa.array([0, *itertools.accumulate(map(len, values))], pa.int32())


def _list_builder(get: Callable[[Any], Any], build: Build, kind: Any) -> Build:
    def made(messages: list[Any]) -> Any:
        lists = [get(each)[:] for each in messages]  # Python's own lists are faster from here on
        items = build(list(itertools.chain.from_iterable(lists)))
        return pa.ListArray.from_arrays(_offsets(lists), items, type=kind)

    return made


def _struct_builder(members: list[tuple[Any, Build]], descriptor: Any) -> Build:
    fields = [field for field, _ in members]
    blank = _blank(descriptor)

    def made(values: list[Any]) -> Any:
        mask = None
        if None in values:
            mask = pa.array([each is None for each in values], pa.bool_())
            values = [blank if each is None else each for each in values]
        return pa.StructArray.from_arrays(
            [build(values) for _, build in members], fields=fields, mask=mask
        )

    return made


def _blank(descriptor: Any) -> Any:
    """Return an empty message, which stands below a null."""
    from google.protobuf.message_factory import GetMessageClass

    return GetMessageClass(descriptor)()

"""Columns as the codec makes them, turned into ours without copying their values.

| of the codec | ours |
|---|---|
| list or fixed_size_list of uint8, and ROS 1's byte[] | binary |
| fixed_size_list | list, its length in the field's metadata |
| int8 for a ROS 2 `char` | uint8 |
| struct{sec, nsec} of a ROS 1 time | struct{sec, nanosec} |
| message without fields | struct{_empty: bool} |
"""

import array
import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from roboto_dagster.topics.definitions import (
    DUMMY_FIELD,
    FieldDefinition,
    MessageDefinition,
    RosDefinition,
)
from roboto_dagster.topics.faults import UndecodableError

_STAMPS = (["sec", "nanosec"], ["seconds", "nanos"])
_MAX_SECONDS = 2**63 // 10**9 - 5  # with up to 2**32 nanoseconds
EMPTY = pa.struct([pa.field("_empty", pa.bool_())])
"""The type of messages without fields: Parquet has no structs without members (apache/arrow#9886)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """How one column of ours is made.

    Attributes:
        field: Its name, type and metadata.
        apply: Makes it of the codec's column.
        source: Number of the codec's column; None if the codec has none.
    """

    field: "pa.Field[Any]"
    apply: Callable[[Any], Any]
    source: int | None = None

    @property
    def is_identity(self) -> bool:
        """Whether the codec's column is taken as it is."""
        return self.apply is _unchanged

    def column(self, codec_column: Callable[[int], Any], rows: int) -> Any:
        """Return the column; that of messages without fields where the codec has none.

        Args:
            codec_column: Returns a column of the codec's by its number.
            rows: How long the columns are.
        """
        return _empties(rows) if self.source is None else self.apply(codec_column(self.source))


def conversions(
    fields: Sequence[Any], definition: RosDefinition | None, kept: Collection[str] | None = None
) -> list[Conversion]:
    """Return the columns of a table, in the order of the definition.

    Args:
        fields: The codec's columns of it.
        definition: The ROS definition; None for IDL, where the codec's types are enough.
        kept: Names of the columns to keep. Default None: all.
    """
    sources = {field.name: number for number, field in enumerate(fields)}
    converter = _Converter(definition)
    if definition is None:
        return [
            dataclasses.replace(converter.of(field, None), source=sources[field.name])
            for field in ([] if _is_dummy(fields) else fields)
        ]
    made = []
    for each in definition.root.fields:
        if definition.is_left_out(each) and (kept is None or each.name in kept):
            made.append(Conversion(field=pa.field(each.name, EMPTY), apply=_unchanged))
        elif each.name in sources:
            source = sources[each.name]
            made.append(dataclasses.replace(converter.of(fields[source], each), source=source))
    return made


class _Converter:
    def __init__(self, definition: RosDefinition | None) -> None:
        self._definition = definition

    def of(self, field: Any, known: FieldDefinition | None) -> Conversion:
        """Return how a column, or a child of one, is converted."""
        kind = field.type
        if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind):
            return self._list(field, known)
        if pa.types.is_struct(kind):
            return self._struct(field, known)
        if (
            known is not None
            and known.type_name == "char"
            and not self._is_ros1
            and kind == pa.int8()
        ):
            return Conversion(field=pa.field(field.name, pa.uint8()), apply=_as_uint8)
        return Conversion(field=field.remove_metadata(), apply=_unchanged)

    @property
    def _is_ros1(self) -> bool:
        return self._definition is not None and self._definition.is_ros1

    def _message(self, known: FieldDefinition | None) -> MessageDefinition | None:
        if known is None or self._definition is None:
            return None
        return self._definition.types.get(known.type_name)

    def _struct(self, field: Any, known: FieldDefinition | None) -> Conversion:
        message = self._message(known)
        if (message is not None and not message.fields) or _is_dummy(field.type):
            return Conversion(
                field=pa.field(field.name, EMPTY), apply=lambda column: _empties(len(column))
            )
        if field.type.num_fields == 0:
            raise UndecodableError(
                "UNSUPPORTED_TYPE", f"{field.name} is a structure without members"
            )
        if message is not None:
            children = list(self._children(field.type, message))
        else:
            children = [
                dataclasses.replace(self.of(child, None), source=number)
                for number, child in enumerate(field.type)
            ]
        if self._is_ros1 and known is not None and known.type_name in {"time", "duration"}:
            children = [_renamed(child, "nsec", "nanosec") for child in children]
        metadata = {"type": message.name} if message is not None else None
        made = pa.field(
            field.name, pa.struct([child.field for child in children]), metadata=metadata
        )
        if made.type == field.type and all(child.is_identity for child in children):
            return Conversion(field=made, apply=_unchanged)
        return Conversion(field=made, apply=_StructConversion(made.type, children))

    def _children(self, kind: Any, message: MessageDefinition) -> Iterator[Conversion]:
        assert self._definition is not None  # noqa: S101 - for types only
        for each in message.fields:
            number = kind.get_field_index(each.name)
            if self._definition.is_left_out(each):
                yield Conversion(field=pa.field(each.name, EMPTY), apply=_unchanged)
            elif number >= 0:
                yield dataclasses.replace(self.of(kind.field(number), each), source=number)

    def _list(self, field: Any, known: FieldDefinition | None) -> Conversion:
        length = field.type.list_size if pa.types.is_fixed_size_list(field.type) else None
        metadata = None if length is None else {"length": str(length)}
        value = field.type.value_field
        if value.type == pa.uint8() or (known is not None and known.is_bytes):
            return Conversion(
                field=pa.field(field.name, pa.binary(), metadata=metadata),
                apply=_BinaryConversion(length),
            )
        item = None if known is None else dataclasses.replace(known, is_array=False, length=None)
        child = self.of(value, item)
        made = pa.field(field.name, pa.list_(child.field.with_name("item")), metadata=metadata)
        if length is None and child.is_identity:
            return Conversion(field=made, apply=_unchanged)
        return Conversion(field=made, apply=_ListConversion(made.type, child, length))


@dataclasses.dataclass(frozen=True, slots=True)
class _BinaryConversion:
    length: int | None

    def __call__(self, column: Any) -> Any:
        validity, offsets = _list_buffers(column, self.length)
        values = column.values
        data = values.buffers()[1]
        data = pa.py_buffer(b"") if data is None else data.slice(values.offset)
        return pa.Array.from_buffers(pa.binary(), len(column), [validity, offsets, data])


@dataclasses.dataclass(frozen=True, slots=True)
class _ListConversion:
    kind: Any
    child: Conversion
    length: int | None

    def __call__(self, column: Any) -> Any:
        values = self.child.apply(column.values)
        buffers = list(_list_buffers(column, self.length))
        return pa.Array.from_buffers(self.kind, len(column), buffers, children=[values])


@dataclasses.dataclass(frozen=True, slots=True)
class _StructConversion:
    kind: Any
    children: Sequence[Conversion]

    def __call__(self, column: Any) -> Any:
        _check_offset(column)
        made = [child.column(column.field, len(column)) for child in self.children]
        return pa.Array.from_buffers(self.kind, len(column), column.buffers()[:1], children=made)


def _is_dummy(fields: Iterable[Any]) -> bool:
    """Return whether these are the fields of a message without any, as IDL has it."""
    return [field.name for field in fields] == [DUMMY_FIELD]


def _list_buffers(column: Any, length: int | None) -> tuple[Any, Any]:
    """Return validity and offsets of a list, made up for one of fixed length."""
    _check_offset(column)
    if length is None:
        return tuple(column.buffers()[:2])
    offsets = array.array("i", (number * length for number in range(len(column) + 1)))
    return column.buffers()[0], pa.py_buffer(offsets)


def _check_offset(column: Any) -> None:
    # The codec makes each batch on its own; a slice would need its offset in every buffer.
    if column.offset:
        raise UndecodableError("DECODER_FAILED", "the codec yields slices")


def _unchanged(column: Any) -> Any:
    return column


def _as_uint8(column: Any) -> Any:
    return column.view(pa.uint8())


def _empties(rows: int) -> Any:
    return pa.StructArray.from_arrays([pa.repeat(pa.scalar(value=True), rows)], fields=list(EMPTY))


def _renamed(child: Conversion, old: str, new: str) -> Conversion:
    if child.field.name != old:
        return child
    return dataclasses.replace(child, field=child.field.with_name(new))


def header_time(fields: Sequence[Any], columns: Sequence[Any]) -> Any:
    """Return the time in `header.stamp`, null where it is 0; None if the messages have no such header.

    Args:
        fields: The columns' names and types.
        columns: The columns.
    """
    for field, column in zip(fields, columns, strict=True):
        if field.name == "header" and _has_stamp(field.type):
            return _as_time(*column.field("stamp").flatten())
    return None


def _has_stamp(kind: Any) -> bool:
    if not pa.types.is_struct(kind) or kind.get_field_index("stamp") < 0:
        return False
    stamp = kind.field("stamp").type
    if not pa.types.is_struct(stamp) or not all(pa.types.is_integer(each.type) for each in stamp):
        return False
    return [each.name for each in stamp] in _STAMPS


def _as_time(seconds: Any, nanoseconds: Any) -> Any:
    """Return times; null for 0, which stands for never stamped, and for what no timestamp can hold."""
    kind, empty = pa.int64(), pa.scalar(None, pa.int64())
    seconds, nanoseconds = seconds.cast(kind), nanoseconds.cast(kind)
    fits = pc.less(pc.abs(seconds), pa.scalar(_MAX_SECONDS, kind))
    values = pc.add(
        pc.multiply(pc.if_else(fits, seconds, empty), pa.scalar(10**9, kind)), nanoseconds
    )
    is_set = pc.not_equal(values, pa.scalar(0, kind))
    return pc.if_else(is_set, values, empty).cast(pa.timestamp("ns", "UTC"))

"""Rows of a ULog message as Arrow arrays: arrays are lists, bytes binary, texts strings, nested messages structs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from roboto_dagster.topics.arrays import EMPTY
from roboto_dagster.topics.ulog.layout import Layout, Member


def fields_of(layout: Layout) -> list[Any]:
    """Return the Arrow fields of a message, in the order of its format."""
    return [
        pa.field(each.name, _type_of(each), metadata=_notes_of(each)) for each in layout.members
    ]


def _notes_of(member: Member) -> dict[str, str] | None:
    return {"length": str(member.length)} if member.length else None


def _type_of(member: Member) -> "pa.DataType":
    if member.type_name == "char" and member.length:
        return pa.string()
    if member.type_name == "uint8_t" and member.length:
        return pa.binary()
    item = _item_type(member)
    return pa.list_(item) if member.length else item


def _item_type(member: Member) -> Any:
    if member.nested is not None:
        return pa.struct(fields_of(member.nested)) if member.nested.members else EMPTY
    if member.type_name == "bool":
        return pa.bool_()
    names = {"float": "float32", "double": "float64", "char": "int8"}
    alias: Any = names.get(member.type_name, member.type_name.removesuffix("_t"))
    return pa.type_for_alias(alias)


class ArrayMaker:
    """Makes Arrow arrays of numpy rows.

    Attributes:
        replaced: How many texts were not UTF-8.
    """

    def __init__(self) -> None:
        self.replaced = 0

    def arrays(self, rows: Any, layout: Layout) -> list[Any]:
        """Return one array a field.

        Args:
            rows: A numpy array of the layout's type, with one dimension.
            layout: Of the message.
        """
        return [self._array(rows[each.key], each) for each in layout.members]

    def texts(self, texts: Sequence[bytes]) -> Any:
        """Return texts as strings; bytes that are not UTF-8 are replaced by U+FFFD.

        Args:
            texts: As the log has them.
        """
        array = pa.array(texts, pa.binary())
        try:
            return array.cast(pa.string())
        except pa.ArrowInvalid:
            strings = [text.decode("utf-8", "replace") for text in texts]
            self.replaced += sum(
                string.encode() != text for string, text in zip(strings, texts, strict=True)
            )
            return pa.array(strings, pa.string())

    def _array(self, values: Any, member: Member) -> Any:
        if not member.length:
            return self._items(values, member)
        if member.type_name == "char":
            return self._char_array(values)
        values = np.ascontiguousarray(values)
        offsets: Any = np.arange(0, values.size + 1, member.length, dtype=np.int32)
        if member.type_name == "uint8_t":
            buffers = [None, pa.py_buffer(offsets), pa.py_buffer(values)]
            return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)
        items = self._items(values.reshape(-1), member)
        return pa.ListArray.from_arrays(pa.array(offsets), items)

    def _items(self, values: Any, member: Member) -> Any:
        if member.nested is not None:
            return self._structs(values, member.nested)
        if member.type_name == "bool":
            return pa.array(values != 0)
        return pa.array(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("=")))

    def _structs(self, values: Any, layout: Layout) -> Any:
        if not layout.members:
            return pa.StructArray.from_arrays(
                [pa.nulls(len(values), pa.bool_())], fields=list(EMPTY)
            )
        return pa.StructArray.from_arrays(self.arrays(values, layout), fields=fields_of(layout))

    def _char_array(self, values: Any) -> Any:
        """Return texts up to their first NUL."""
        rows = np.ascontiguousarray(values).view(f"S{values.shape[1]}").ravel().tolist()
        return self.texts([row.partition(b"\0")[0] for row in rows])

"""Columns of protobuf messages that are no structs: JSON of any type, bytes, messages without fields."""

import json
import math
from typing import Any

import pyarrow as pa

from roboto_dagster.topics.arrays import EMPTY


def build_json(values: list[Any]) -> Any:
    """Return a column of JSON texts, of messages of `Struct`, `ListValue` or `Value`."""
    texts = [None if each is None else json.dumps(_plain(each)) for each in values]
    return pa.array(texts, pa.string())


def _plain(value: Any) -> Any:
    """Return a `Struct`, `ListValue` or `Value` as JSON has it; numbers that it has not are texts."""
    name = value.DESCRIPTOR.name
    if name == "Struct":
        return {key: _plain(each) for key, each in value.fields.items()}
    if name == "ListValue":
        return [_plain(each) for each in value.values]
    kind = value.WhichOneof("kind")
    if kind in {None, "null_value"}:
        return None
    found = getattr(value, kind)
    if kind == "number_value":
        return found if math.isfinite(found) else str(found)
    return _plain(found) if kind in {"struct_value", "list_value"} else found


def build_bytes(values: list[Any]) -> Any:
    """Return a column of messages as they are serialized."""
    return pa.array(
        [None if each is None else each.SerializeToString() for each in values], pa.binary()
    )


def build_empty(values: list[Any]) -> Any:
    """Return a column of messages without fields."""
    mask = pa.array([each is None for each in values], pa.bool_())
    return pa.StructArray.from_arrays(
        [pa.repeat(pa.scalar(value=True), len(values))], fields=list(EMPTY), mask=mask
    )

"""Decodes JSON messages: into the columns of their JSON schema, or as one text if there is none.

| JSON schema | column |
|---|---|
| boolean, integer, number, string | bool, int64, float64, string |
| object with properties | struct; the top level's are the table's columns |
| array with items | list |
| anything else: no type, several types, an object without properties | JSON text |

What no property names is kept as JSON text in `_extra`. A value of another type than its property's
fails the topic: a null in its place would look like a missing one.
"""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from roboto_dagster.text import count
from roboto_dagster.topics.arrays import header_time
from roboto_dagster.topics.decoder import TopicNote
from roboto_dagster.topics.faults import UndecodableError
from roboto_dagster.topics.mcap.json_schema import (
    SCALAR_TYPES,
    JsonProperty,
    property_field,
    read_json_schema,
)
from roboto_dagster.topics.payloads import Columns, loaded

_ALLOWED: Mapping[str, frozenset[type]] = {
    "boolean": frozenset({bool}),
    "integer": frozenset({int}),
    "number": frozenset({int, float}),
    "string": frozenset({str}),
}
_EXACT = 2**53
_ENCODING = "utf-8-sig"  # some writers put a mark in front
_NONE = type(None)


class _MismatchError(Exception):
    """A value is of another type than its property's; the row is not known yet."""


def json_payloads(
    type_name: str, data: bytes, fields: tuple[str, ...] | None
) -> "JsonPayloads | JsonTextPayloads":
    """Return what decodes JSON messages.

    Args:
        type_name: Name of the schema.
        data: The JSON schema, empty if there is none.
        fields: Paths of the properties to keep; None keeps all.

    Raises:
        UndecodableError: INVALID_DEFINITION, TOO_LARGE or UNKNOWN_FIELD.
    """
    root = read_json_schema(type_name, data, fields)
    return JsonTextPayloads() if root is None else JsonPayloads(root, has_extra=fields is None)


class JsonTextPayloads:
    """Delivers JSON messages as texts, checked to be JSON."""

    def columns(self, payloads: Sequence[bytes]) -> Iterator[Columns]:
        """Return one column of texts.

        Args:
            payloads: The messages.

        Yields:
            The rows.

        Raises:
            UndecodableError: CORRUPT: a message is not JSON.
        """
        values, fault = _loaded(payloads)
        yield self._of([str(each, _ENCODING) for each in payloads[: len(values)]])
        if fault is not None:
            raise fault

    def _of(self, texts: list[str]) -> Columns:
        field = pa.field("json", pa.string(), metadata={"format": "json"})
        return Columns(rows=len(texts), fields=[field], arrays=[pa.array(texts, pa.string())])


class JsonPayloads:
    """Decodes JSON messages by their schema.

    Args:
        root: The properties.
        has_extra: Whether what no property names is kept.
    """

    def __init__(self, root: JsonProperty, *, has_extra: bool) -> None:
        self._root = root
        self._has_extra = has_extra
        self._rounded = 0
        self._fields = [property_field(name, node) for name, node in root.children.items()]
        if has_extra:
            name = "_extra"
            while name in root.children:
                name += "_"
            self._fields.append(pa.field(name, pa.string(), metadata={"format": "json"}))

    def columns(self, payloads: Sequence[bytes]) -> Iterator[Columns]:
        """Decode messages, in the order given.

        Args:
            payloads: The messages.

        Yields:
            The rows; those before one that cannot be decoded, too.

        Raises:
            UndecodableError: CORRUPT: a message is not JSON; TYPE_MISMATCH: it does not fit its schema.
        """
        values, fault = _loaded(payloads)
        try:
            yield self._columns(values)
        except _MismatchError:
            number, error = self._first_mismatch(values)
            yield self._columns(values[:number])
            raise UndecodableError("TYPE_MISMATCH", str(error)) from None
        if fault is not None:
            raise fault

    def notes(self, topic: str) -> Iterator[TopicNote]:
        """Yield what is worth knowing of all messages decoded.

        Args:
            topic: Name of the topic.
        """
        if self._rounded:
            text = f"{count(self._rounded, 'integer')} above 2^53 rounded, since the schema has numbers there"
            yield TopicNote(topic=topic, kind="rounded_numbers", count=self._rounded, text=text)

    def _first_mismatch(self, values: list[Any]) -> tuple[int, _MismatchError]:
        good = 0
        try:
            for value in values:
                self._columns([value])
                good += 1
        except _MismatchError as error:
            return good, error
        raise AssertionError("rows fit one by one and not together")

    def _columns(self, values: list[Any]) -> Columns:
        _check_types(values, {dict}, self._root)
        arrays = [
            self._array(each, [value.get(name) for value in values])
            for name, each in self._root.children.items()
        ]
        if self._has_extra:
            arrays.append(pa.array([_extra(value, self._root) for value in values], pa.string()))
        times = header_time(self._fields, arrays)
        return Columns(rows=len(values), fields=self._fields, arrays=arrays, header_time=times)

    def _array(self, node: JsonProperty, values: list[Any]) -> Any:
        if node.kind in SCALAR_TYPES:
            return self._scalars(node, values)
        if node.kind == "json":
            return _texts(node, values)
        is_null = [value is None for value in values]
        mask = pa.array(is_null, pa.bool_()) if any(is_null) else None
        if node.kind == "object":
            _check_types(values, {dict, _NONE}, node)
            children = [
                self._array(child, [None if value is None else value.get(name) for value in values])
                for name, child in node.children.items()
            ]
            fields = [property_field(name, child) for name, child in node.children.items()]
            return pa.StructArray.from_arrays(children, fields=fields, mask=mask)
        _check_types(values, {list, _NONE}, node)
        offsets = [0, *itertools.accumulate(0 if value is None else len(value) for value in values)]
        items = list(itertools.chain.from_iterable(value for value in values if value))
        child = self._array(node.children["item"], items)
        return pa.ListArray.from_arrays(
            pa.array(offsets, pa.int32()), child, type=node.arrow_type, mask=mask
        )

    def _scalars(self, node: JsonProperty, values: list[Any]) -> Any:
        kind, allowed = SCALAR_TYPES[node.kind], _ALLOWED[node.kind]
        types = set(map(type, values)) - {_NONE}
        if node.kind == "integer" and float in types:  # 1.0 is an integer of JSON schema
            values = [
                int(each) if type(each) is float and each.is_integer() else each for each in values
            ]
            types = set(map(type, values)) - {_NONE}
        if not types <= allowed:
            raise _mismatch(node, types - allowed)
        if node.kind == "number" and int in types:
            values = self._as_floats(values)
        try:
            return pa.array(values, kind)
        except (OverflowError, ValueError) as error:
            raise _MismatchError(
                f"{node.path or 'the message'} has a value that does not fit {kind}: {error}"
            ) from None

    def _as_floats(self, values: list[Any]) -> list[Any]:
        self._rounded += sum(
            type(each) is int and abs(each) > _EXACT and int(_float(each)) != each
            for each in values
        )
        return [_float(each) if type(each) is int else each for each in values]


def _float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise _MismatchError("an integer does not fit a number of 64 bits") from None


def _loaded(payloads: Sequence[bytes]) -> tuple[list[Any], UndecodableError | None]:
    errors = (ValueError, RecursionError)
    return loaded(payloads, _value_of, errors, "the payload is not JSON")


def _value_of(payload: bytes) -> Any:
    return json.loads(str(payload, _ENCODING))


def _texts(node: JsonProperty, values: list[Any]) -> Any:
    try:
        return pa.array(
            [None if each is None else json.dumps(each) for each in values], pa.string()
        )
    except ValueError as error:
        raise _MismatchError(f"{node.path} cannot be written as JSON: {error}") from None


def _check_types(values: list[Any], allowed: set[type], node: JsonProperty) -> None:
    wrong = set(map(type, values)) - allowed
    if wrong:
        raise _mismatch(node, wrong)


def _mismatch(node: JsonProperty, wrong: Any) -> _MismatchError:
    found = ", ".join(sorted("null" if each is _NONE else each.__name__ for each in wrong))
    return _MismatchError(
        f"{node.path or 'the message'} is {found} where its schema says {node.kind}"
    )


def _extra(value: Mapping[str, Any], node: JsonProperty) -> str | None:
    found = _unknown(value, node)
    return json.dumps(found) if found else None


def _unknown(value: Mapping[str, Any], node: JsonProperty) -> dict[str, Any]:
    """Return the members of an object that no property names, nested ones in their place."""
    children = node.children
    found = (
        {}
        if value.keys() <= children.keys()
        else {name: each for name, each in value.items() if name not in children}
    )
    for name, child in children.items():
        if child.kind == "object" and value.get(name):
            nested = _unknown(value[name], child)
            if nested:
                found[name] = nested
        elif child.kind == "array" and child.children["item"].kind == "object" and value.get(name):
            items = [_unknown(each, child.children["item"]) if each else {} for each in value[name]]
            if any(items):
                found[name] = items
    return found

"""JSON schemas, as far as they say the type of a column."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from roboto_dagster.topics.faults import UndecodableError
from roboto_dagster.topics.fields import selected_fields

SCALAR_TYPES = {
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "string": pa.string(),
}
_MAX_DEPTH = 64
_MAX_PROPERTIES = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class JsonProperty:
    """One property, or the items of an array.

    Attributes:
        path: Where it is, for errors.
        kind: A scalar's type, `object`, `array`, or `json` for a value of any type.
        children: Of an object, its properties; of an array, the one named `item`.
        arrow_type: The type of its column.
    """

    path: str
    kind: str
    children: Mapping[str, "JsonProperty"] = dataclasses.field(default_factory=dict)
    arrow_type: Any = None


def read_json_schema(
    type_name: str, data: bytes, fields: tuple[str, ...] | None = None
) -> JsonProperty | None:
    """Return the properties of messages; None if the schema says nothing of them.

    Args:
        type_name: Name of the schema.
        data: The JSON schema, empty if there is none.
        fields: Paths of the properties to keep. Default None: all.

    Raises:
        UndecodableError: INVALID_DEFINITION, TOO_LARGE or UNKNOWN_FIELD.
    """
    if not data.strip():
        return None
    try:
        schema = json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = f"the schema {type_name} is not JSON: {error}"
        raise UndecodableError("INVALID_DEFINITION", reason) from None
    root = _SchemaReader(schema).node("", schema)
    if root.kind != "object":
        return None
    return root if fields is None else _projected(root, fields)


def property_field(name: str, node: JsonProperty) -> Any:
    """Return the field of a property.

    Args:
        name: Its name.
        node: The property.
    """
    metadata = {"format": "json"} if node.kind == "json" else None
    return pa.field(name, node.arrow_type, metadata=metadata)


class _SchemaReader:
    """Makes properties of a JSON schema; what refers to itself is kept as text."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._count = 0

    def node(self, path: str, schema: Any, references: tuple[str, ...] = ()) -> JsonProperty:
        """Return the property that a schema describes."""
        self._count += 1
        if self._count > _MAX_PROPERTIES:
            raise UndecodableError(
                "TOO_LARGE", f"the schema has more than {_MAX_PROPERTIES} properties"
            )
        schema, references = self._resolved(schema, references)
        kind = _kind_of(schema)
        if kind is None or path.count(".") + path.count("[]") > _MAX_DEPTH:
            return JsonProperty(path, "json", arrow_type=pa.string())
        if kind in SCALAR_TYPES:
            return JsonProperty(path, kind, arrow_type=SCALAR_TYPES[kind])
        if kind == "array":
            item = self.node(f"{path}[]", schema["items"], references)
            return JsonProperty(
                path, "array", {"item": item}, pa.list_(property_field("item", item))
            )
        properties = schema["properties"].items()
        children = {
            name: self.node(f"{path}.{name}".strip("."), each, references)
            for name, each in properties
        }
        return _object(path, children)

    def _resolved(self, schema: Any, references: tuple[str, ...]) -> tuple[Any, tuple[str, ...]]:
        """Follow `$ref` within the schema; None stands for one that leads nowhere, or in a circle."""
        while isinstance(schema, dict) and "$ref" in schema:
            reference = str(schema["$ref"])
            if reference in references or not reference.startswith("#"):
                return None, references
            references = (*references, reference)
            schema = self._root
            for part in filter(None, reference[1:].split("/")):
                name = part.replace("~1", "/").replace("~0", "~")
                schema = schema.get(name) if isinstance(schema, dict) else None
        return schema, references


def _object(path: str, children: Mapping[str, "JsonProperty"]) -> "JsonProperty":
    fields = [property_field(*each) for each in children.items()]
    return JsonProperty(path, "object", children, pa.struct(fields))


def _kind_of(schema: Any) -> str | None:
    """Return the type of a schema that says it plainly, or None."""
    if not isinstance(schema, dict):
        return None
    kind = schema.get("type")
    if isinstance(kind, list):  # nullable
        others = [each for each in kind if each != "null"]
        kind = others[0] if len(others) == 1 else None
    properties = schema.get("properties")
    if kind is None and isinstance(properties, dict):
        kind = "object"
    if kind == "object" and not (isinstance(properties, dict) and properties):
        return None
    if kind == "array" and not isinstance(schema.get("items"), dict):
        return None
    return kind if isinstance(kind, str) and kind in {*SCALAR_TYPES, "object", "array"} else None


def _projected(node: JsonProperty, fields: tuple[str, ...]) -> JsonProperty:
    if node.kind != "object":
        raise UndecodableError(
            "UNKNOWN_FIELD", f"{node.path} has no field {fields[0]!r}: it is no object"
        )
    kept = selected_fields(fields, node.children.keys(), node.path or "the schema")
    children = {
        name: node.children[name] if below is None else _projected(node.children[name], below)
        for name, below in kept.items()
    }
    return _object(node.path, children)

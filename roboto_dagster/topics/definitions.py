"""Definitions of ROS messages: read, checked to be complete, and written as the codec reads them.

The codec skips a member whose type is not defined, and reads on at the wrong place. So nothing reaches
it but what is written here, from a definition of which every line and every type is understood.
"""

import dataclasses
import json
import re
from collections.abc import Mapping

from roboto_dagster.topics.faults import UndecodableError

_PRIMITIVES = frozenset(
    {
        *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
        *("float32", "float64", "byte", "char", "string", "wstring"),
    }
)
_ROS1_PRIMITIVES = (_PRIMITIVES - {"wstring"}) | {"time", "duration"}
_BYTES = frozenset({"uint8", "byte", "char"})
_SEPARATOR = re.compile(r"^={3,}\s*$", re.MULTILINE)
_TITLE = re.compile(r"\s*MSG:\s*(\S+)\s*(?:\n|$)")
_CONSTANT = re.compile(r"(?P<type>\w+(?:<=\d+)?)\s+(?P<name>[A-Za-z]\w*)\s*=\s*(?P<value>.*)")
_FIELD = re.compile(
    r"(?P<type>[A-Za-z][\w/]*)(?P<bound><=\d+)?(?P<array>\[(?P<limit><=)?(?P<length>\d*)\])?"
    r"\s+(?P<name>[A-Za-z_]\w*)(?:\s+(?P<default>.*))?"
)
DUMMY_FIELD = "structure_needs_at_least_one_member"
"""What rosidl puts into a message without fields, since a C structure has at least one."""
ROOT_TYPE = "t/Root"
"""What `RosDefinition.codec_text` calls the type itself."""
TRAILING_FIELD = "_trailing_bytes"
"""What `RosDefinition.codec_text` calls the field that it may add."""
_MAX_TEXT_BYTES = 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FieldDefinition:
    """One field of a message.

    Attributes:
        name: Verbatim.
        type_name: A primitive, or the name of a message as `package/Name`.
        is_array: Whether it is an array of that type.
        length: Of an array of fixed length, else None.
    """

    name: str
    type_name: str
    is_array: bool = False
    length: int | None = None

    @property
    def is_bytes(self) -> bool:
        """Whether it is an array of bytes."""
        return self.is_array and self.type_name in _BYTES


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MessageDefinition:
    """One message type: its fields and constants."""

    name: str
    fields: tuple[FieldDefinition, ...]
    constants: Mapping[str, bool | int | float | str]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RosDefinition:
    """A message type and all types it is made of."""

    root: MessageDefinition
    types: Mapping[str, MessageDefinition]
    is_ros1: bool

    def is_empty(self, type_name: str) -> bool:
        """Return whether messages of this type have no fields."""
        return type_name in self.types and not self.types[type_name].fields

    def constants_text(self) -> str:
        """Return the constants of all types as JSON, by type and name; empty if there are none."""
        found = {each.name: dict(each.constants) for each in self.types.values() if each.constants}
        return json.dumps(found, sort_keys=True) if found else ""

    def codec_text(self, trailing_bytes: int = 0) -> str:
        """Return the definition as the codec reads it: no comments, constants, defaults or bounds.

        Args:
            trailing_bytes: Length of an array of bytes to add at the end. Default 0: none.
        """
        names = {name: f"t/T{number}" for number, name in enumerate(self.types)}
        trailing = f"uint8[{trailing_bytes}] {TRAILING_FIELD}\n" if trailing_bytes else ""
        sections = [self._section(self.root, names) + trailing]
        for name, message in self.types.items():
            if name != self.root.name:
                sections.append(f"MSG: {names[name]}\n{self._section(message, names)}")
        return ("=" * 80 + "\n").join(sections)

    def _section(self, message: MessageDefinition, names: Mapping[str, str]) -> str:
        lines = [
            f"{names.get(field.type_name, field.type_name)}{_array_suffix(field)} {field.name}\n"
            for field in message.fields
            if not self.is_left_out(field)
        ]
        if not message.fields and not self.is_ros1 and message is not self.root:
            lines = [f"uint8 {DUMMY_FIELD}\n"]
        return "".join(lines)

    def is_left_out(self, field: FieldDefinition) -> bool:
        """Return whether a field has no bytes, and the codec is not asked for it.

        In ROS 1 a message without fields has none; the codec fails on it.
        """
        return self.is_ros1 and not field.is_array and self.is_empty(field.type_name)


def read_definition(
    type_name: str, text: bytes, *, is_ros1: bool, known: Mapping[str, str] | None = None
) -> RosDefinition:
    """Read the definition of a ROS message, with those of all types that it contains.

    Args:
        type_name: Name of the type, such as `sensor_msgs/msg/Imu`.
        text: As it stands in the log: the type's own text, then one section a nested type.
        is_ros1: Whether it is a type of ROS 1.
        known: Definitions by type name to take where the log has none, complete ones or of one type each.
            Default None.

    Returns:
        The definition; every type in it is defined.

    Raises:
        UndecodableError: MISSING_DEFINITION, INVALID_DEFINITION or UNSUPPORTED_TYPE.
    """
    if len(text) > _MAX_TEXT_BYTES:
        raise UndecodableError("TOO_LARGE", f"the definition of {type_name} has {len(text)} bytes")
    try:
        own = text.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UndecodableError(
            "INVALID_DEFINITION", f"the definition of {type_name} is not UTF-8"
        ) from None
    root_name = canonical_name(type_name)
    texts = {
        name: each for key, value in (known or {}).items() for name, each in _sections(key, value)
    }
    texts |= dict(_sections(root_name, own)) if own.strip() or root_name not in texts else {}
    types: dict[str, MessageDefinition] = {}
    _collect(root_name, texts, types, is_ros1, ())
    definition = RosDefinition(root=types[root_name], types=types, is_ros1=is_ros1)
    _check_empty_arrays(definition)
    return definition


def canonical_name(type_name: str) -> str:
    """Return a type's name as `package/Name`, however it is written."""
    return type_name.replace("::", "/").replace("/msg/", "/").strip("/")


def _sections(root_name: str, text: str) -> list[tuple[str, str]]:
    first, *others = _SEPARATOR.split(text.replace("\r\n", "\n").replace("\r", "\n"))
    title = _TITLE.match(first)  # some writers name the first one, too
    found = [(canonical_name(root_name), first[title.end() :] if title else first)]
    for section in others:
        title = _TITLE.match(section)
        if title is not None:
            found.append((canonical_name(title[1]), section[title.end() :]))
        elif section.strip():
            raise UndecodableError(
                "INVALID_DEFINITION", f"a section of {root_name} has no line `MSG: <type>`"
            )
    return found


def _collect(
    name: str,
    texts: Mapping[str, str],
    types: dict[str, MessageDefinition],
    is_ros1: bool,  # noqa: FBT001 - internal
    parents: tuple[str, ...],
) -> None:
    if name in parents:
        raise UndecodableError("INVALID_DEFINITION", f"{name} contains itself")
    if len(parents) > 64:
        raise UndecodableError(
            "INVALID_DEFINITION", f"{parents[0]} is nested deeper than 64 levels"
        )
    if name in types:
        return
    message = _read_message(name, texts[name], is_ros1)
    fields = []
    for field in message.fields:
        known = _ROS1_PRIMITIVES if is_ros1 else _PRIMITIVES
        if field.type_name in known:
            fields.append(field)
            continue
        nested = _resolve(field, message, texts)
        _collect(nested, texts, types, is_ros1, (*parents, name))
        fields.append(dataclasses.replace(field, type_name=nested))
    types[name] = dataclasses.replace(message, fields=tuple(fields))


def _resolve(field: FieldDefinition, message: MessageDefinition, texts: Mapping[str, str]) -> str:
    """Return the name under which a field's type is defined: its own, or of the same package."""
    wanted = canonical_name(field.type_name)
    package = message.name.rpartition("/")[0]
    candidates = [wanted] if "/" in wanted else [f"{package}/{wanted}".strip("/"), wanted]
    if wanted == "Header":
        candidates += ["std_msgs/Header", "roslib/Header"]  # the latter in bags of before 2011
    if wanted in {"time", "duration"}:  # as ROS 2 reads definitions of ROS 1
        candidates.append(f"builtin_interfaces/{wanted.capitalize()}")
    for candidate in candidates:
        if candidate in texts:
            return candidate
    raise UndecodableError(
        "MISSING_DEFINITION",
        f"type {field.type_name} of {message.name}.{field.name} is not defined in the log",
    )


def _read_message(name: str, text: str, is_ros1: bool) -> MessageDefinition:  # noqa: FBT001 - internal
    fields: dict[str, FieldDefinition] = {}
    constants: dict[str, bool | int | float | str] = {}
    for line in text.splitlines():
        plain = line.partition("#")[0].strip()
        if not plain:
            continue
        constant = _CONSTANT.fullmatch(line.strip())
        if (
            constant is not None
            and constant["type"].split("<")[0] in _ROS1_PRIMITIVES | _PRIMITIVES
        ):
            constants[constant["name"]] = _constant_value(constant, is_ros1)
            continue
        field = _FIELD.fullmatch(plain)
        if field is None or field["name"] in fields:
            raise UndecodableError(
                "INVALID_DEFINITION", f"{name} has a line that is no field: {plain!r}"
            )
        fields[field["name"]] = _read_field(field)
    return MessageDefinition(name=name, fields=tuple(fields.values()), constants=constants)


def _read_field(found: re.Match[str]) -> FieldDefinition:
    is_fixed = found["array"] is not None and not found["limit"] and found["length"]
    return FieldDefinition(
        name=found["name"],
        type_name=found["type"],
        is_array=found["array"] is not None,
        length=int(found["length"]) if is_fixed else None,
    )


def _constant_value(found: re.Match[str], is_ros1: bool) -> bool | int | float | str:  # noqa: FBT001 - internal
    value, kind = found["value"], found["type"].split("<")[0]
    if kind in {"string", "wstring"}:
        if is_ros1:
            return value.strip()  # everything up to the end of the line, as ROS 1 has it
        quoted = re.match(r"""(["'])(.*?)(?<!\\)\1""", value)
        return quoted[2] if quoted else value.partition("#")[0].strip()
    value = value.partition("#")[0].strip()
    try:
        if kind == "bool":
            return value.lower() in {"true", "1"}
        return float(value) if kind.startswith("float") else int(value, 0)
    except ValueError:
        return value


def _array_suffix(field: FieldDefinition) -> str:
    if not field.is_array:
        return ""
    return "[]" if field.length is None else f"[{field.length}]"


def _check_empty_arrays(definition: RosDefinition) -> None:
    for message in definition.types.values():
        for field in message.fields:
            if definition.is_ros1 and field.is_array and definition.is_empty(field.type_name):
                raise UndecodableError(
                    "UNSUPPORTED_TYPE",
                    f"{message.name}.{field.name} is an array of messages without fields",
                )
            if field.type_name == "wstring":
                raise UndecodableError(
                    "UNSUPPORTED_TYPE",
                    f"{message.name}.{field.name} has the type wstring, which no decoder reads",
                )

"""Definitions in IDL, as rosidl makes them of the types of ROS 2."""

from collections.abc import Iterator
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.typesys.store import Typestore

_PRIMITIVES = {
    "bool": "boolean",
    "byte": "octet",
    "octet": "octet",
    "char": "uint8",
    "string": "string",
    **{name: name for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32")},
    "int64": "int64",
    "uint64": "uint64",
    "float32": "float",
    "float64": "double",
}
_SEPARATOR = "=" * 80 + "\n"


def idl_text(store: Typestore, type_name: str) -> str:
    """Return a type and all types it is made of: one section each, as rosbag2 writes them to MCAP.

    Args:
        store: The types.
        type_name: Such as `sensor_msgs/msg/Imu`.
    """
    found: list[str] = []
    pending = [type_name]
    while pending:
        name = pending.pop()
        if name not in found:
            found.append(name)
            fields = store.fielddefs[name][1]
            pending += [each for _, field in fields for each in _names_in(field)]
    return "".join(f"{_SEPARATOR}IDL: {name}\n{_section(store, name)}" for name in found)


def _section(store: Typestore, type_name: str) -> str:
    package, _, name = type_name.split("/")
    constants, fields = store.fielddefs[type_name]
    types: dict[str, None] = {}
    members = [_member(field, node, types) for field, node in fields]
    members = members or ["uint8 structure_needs_at_least_one_member;"]
    if constants:
        values = " ".join(f"const long {each[0]} = 1;" for each in constants)
        types[f"module {name}_Constants {{ {values} }};"] = None
    inner = "\n".join((*types, f"struct {name} {{", *members, "};"))
    head = f'// generated from {name}.msg\n#include "std_msgs/msg/Header.idl"\n'
    return f"{head}\nmodule {package} {{ module msg {{\n{inner}\n}}; }};\n"


def _member(name: str, node: Any, types: dict[str, None]) -> str:
    kind, argument = node
    comment = f'@verbatim (language="comment", text="of {name}; a" "\\n" "b")\n'
    if kind == Nodetype.ARRAY:
        base = _base(argument[0])
        alias = f"{base.replace('::', '__').replace('<', '_').replace('>', '_')}__{argument[1]}"
        types[f"typedef {base} {alias}[{argument[1]}];"] = None
        return f"{comment}{alias} {name};"
    if kind == Nodetype.SEQUENCE:
        bound = f", {argument[1]}" if argument[1] else ""
        return f"{comment}sequence<{_base(argument[0])}{bound}> {name};"
    return f"@default (value=0)\n{_base(node)} {name};"


def _base(node: Any) -> str:
    kind, argument = node
    if kind == Nodetype.NAME:
        return str(argument).replace("/", "::")
    name, bound = argument
    return _PRIMITIVES[name] + (f"<{bound}>" if bound else "")


def _names_in(node: Any) -> Iterator[str]:
    kind, argument = node
    if kind == Nodetype.NAME:
        yield argument
    elif kind in {Nodetype.ARRAY, Nodetype.SEQUENCE}:
        yield from _names_in(argument[0])

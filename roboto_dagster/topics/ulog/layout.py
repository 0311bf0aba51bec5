"""The layout of a ULog message in memory, made from the formats in the log.

pyulog unfolds nested messages and arrays into columns such as `esc[3].rpm`; here they stay nested.
Padding is left out.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from roboto_dagster.topics.fields import selected_fields

MAX_MESSAGE_BYTES = 0xFFFF
"""The size of a message is 16 bits wide."""

MAX_LEVELS = 64
"""How deeply messages may be nested; those of vehicles are so once or twice."""

_NUMBERS = {
    "int8_t": "<i1",
    "uint8_t": "<u1",
    "int16_t": "<i2",
    "uint16_t": "<u2",
    "int32_t": "<i4",
    "uint32_t": "<u4",
    "int64_t": "<i8",
    "uint64_t": "<u8",
    "float": "<f4",
    "double": "<f8",
    "bool": "<u1",
    "char": "<i1",
}


class Member(NamedTuple):
    """One field of a message: the type as the log writes it, and the message's layout where it is nested."""

    key: str  # its name in the numpy type
    name: str
    type_name: str
    length: int  # 0: no array
    nested: "Layout | None"


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """How the bytes of a message become columns.

    Attributes:
        dtype: Of one message; its fields are named by their positions, as names of a log may be anything.
        members: The fields that are kept, without padding.
    """

    dtype: "np.dtype[np.void]"
    members: tuple[Member, ...]


def flat_size(formats: Mapping[str, Any], name: str) -> int:
    """Return the size of a message in bytes, its padding included.

    Args:
        formats: pyulog's, by name.
        name: Of the message.

    Raises:
        KeyError: A nested message has no format.
        ValueError: The message contains itself, is nested too deeply, or is larger than a message can be.
    """
    sizes: dict[str, int] = {}
    levels: dict[str, int] = {}

    def size_of(name: str, above: tuple[str, ...]) -> int:
        if name in _NUMBERS:
            return np.dtype(_NUMBERS[name]).itemsize
        if name in above:
            raise ValueError(f"message {name} contains itself")
        if len(above) + levels.get(name, 1) > MAX_LEVELS:
            raise ValueError(f"message {name} is nested deeper than {MAX_LEVELS} levels")
        if name not in sizes:
            fields = formats[name].fields
            # An empty message counts too: many of them take long to unfold.
            sizes[name] = max(
                sum(
                    size_of(type_name, (*above, name)) * max(length, 1)
                    for type_name, length, _ in fields
                ),
                1,
            )
            levels[name] = 1 + max(
                (levels.get(type_name, 0) for type_name, *_ in fields), default=0
            )
        if sizes[name] > MAX_MESSAGE_BYTES:
            raise ValueError(f"message {name} is larger than a message can be")
        return sizes[name]

    return size_of(name, ())


def has_timestamp(subscription: Any) -> bool:
    """Return whether the rows of pyulog's subscription have a time in microseconds."""
    index = subscription.timestamp_idx
    return bool(index >= 0 and subscription.field_data[index].type_str == "uint64_t")


def layout_of(formats: Mapping[str, Any], name: str) -> Layout:
    """Return the layout of a message, without the padding at its end.

    Args:
        formats: pyulog's, by name.
        name: Of the message, whose size was checked with `flat_size`.
    """
    layout = _nested_layout(formats, name)
    parts = list((layout.dtype.fields or {}).values())
    end = max((offset + part.itemsize for part, offset, *_ in parts), default=0)
    types = [part for part, *_ in parts]
    offsets = [offset for _, offset, *_ in parts]
    return Layout(_record_type(types, offsets, end), layout.members)


def _record_type(types: list[Any], offsets: list[int], size: int) -> Any:
    names = [str(number) for number in range(len(types))]
    return np.dtype({"names": names, "formats": types, "offsets": offsets, "itemsize": size})


def _nested_layout(formats: Mapping[str, Any], name: str) -> Layout:
    members: list[Member] = []
    offsets: list[int] = []
    types: list[Any] = []
    offset = 0
    for type_name, length, field_name in formats[name].fields:
        nested = None if type_name in _NUMBERS else _nested_layout(formats, type_name)
        item = nested.dtype if nested else np.dtype(_NUMBERS[type_name])
        if not field_name.startswith("_padding"):
            members.append(Member(str(len(members)), field_name, type_name, length, nested))
            offsets.append(offset)
            types.append(np.dtype((item, (length,))) if length else item)
        offset += item.itemsize * max(length, 1)
    return Layout(_record_type(types, offsets, offset), tuple(members))


def selected(layout: Layout, paths: Iterable[str], where: str) -> Layout:
    """Return a layout with some of the fields.

    Args:
        layout: Of a message.
        paths: Names of fields, nested ones with dots.
        where: Name of the message, for errors.

    Raises:
        UndecodableError: UNKNOWN_FIELD.
    """
    by_name = {member.name: member for member in layout.members}
    members: list[Member] = []
    for name, below in selected_fields(paths, by_name, where).items():
        member = by_name[name]
        if below is not None:
            nested = member.nested or Layout(layout.dtype, ())  # has no fields: each is unknown
            member = member._replace(nested=selected(nested, below, f"{where}.{name}"))
        members.append(member)
    return Layout(layout.dtype, tuple(members))


def definition_text(formats: Mapping[str, Any], name: str) -> str:
    """Return the format of a message and of those nested in it, one a line, as the log writes them.

    Args:
        formats: pyulog's, by name.
        name: Of the message.
    """
    names = [name]
    for each in names:  # grows while it is read
        types = [type_name for type_name, _, _ in formats[each].fields]
        names += [each for each in types if each not in _NUMBERS and each not in names]
    return "\n".join(_format_line(formats[each]) for each in names)


def _format_line(message_format: Any) -> str:
    fields = (
        f"{type_name}[{length}] {name}" if length else f"{type_name} {name}"
        for type_name, length, name in message_format.fields
    )
    return f"{message_format.name}:{';'.join(fields)}"

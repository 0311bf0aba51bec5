"""Which fields of a ROS message the codec is asked for."""

from collections.abc import Iterator

from roboto_dagster.topics.definitions import RosDefinition
from roboto_dagster.topics.fields import selected_fields

_CODEC_NAMES = {"nanosec": "nsec"}  # of the times of ROS 1


def codec_fields(
    definition: RosDefinition | None, paths: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    """Return the paths that the codec is asked for; None asks for all fields.

    Args:
        definition: The type; None for IDL, whose members only the codec knows.
        paths: As the user has given them; None for all fields.

    Returns:
        The same fields as the codec names them, with `header.stamp` for the time in it, and without those
        that have no bytes.

    Raises:
        UndecodableError: UNKNOWN_FIELD.
    """
    if definition is None or paths is None:
        return paths
    found = tuple(_below(definition, definition.root.name, paths, ""))
    return (*found, "header.stamp") if is_header_hidden(definition, paths) else found


def is_header_hidden(definition: RosDefinition | None, paths: tuple[str, ...] | None) -> bool:
    """Return whether the header is decoded for its time alone, since nothing of it was asked for.

    Args:
        definition: The type; None for IDL.
        paths: As the user has given them; None for all fields.
    """
    if definition is None or paths is None:
        return False
    if any(path.partition(".")[0] == "header" for path in paths):
        return False
    types = {field.name: field.type_name for field in definition.root.fields if not field.is_array}
    header = definition.types.get(types.get("header", ""))
    return header is not None and any(field.name == "stamp" for field in header.fields)


def _below(
    definition: RosDefinition, type_name: str, paths: tuple[str, ...], above: str
) -> Iterator[str]:
    message = definition.types.get(type_name)
    fields = {field.name: field for field in message.fields} if message is not None else {}
    is_time = definition.is_ros1 and type_name in {"time", "duration"}
    names = ["sec", "nanosec"] if is_time else list(fields)
    for name, below in selected_fields(paths, names, type_name).items():
        if is_time:
            yield above + _CODEC_NAMES.get(name, name)
        elif below is not None:
            yield from _below(definition, fields[name].type_name, below, f"{above}{name}.")
        elif not definition.is_left_out(fields[name]):
            yield above + name

"""Which fields of a message are kept: paths as users write them, matched level by level."""

from collections.abc import Collection, Iterable

from roboto_dagster.text import some
from roboto_dagster.topics.faults import UndecodableError


def selected_fields(
    paths: Iterable[str], names: Collection[str], where: str
) -> dict[str, tuple[str, ...] | None]:
    """Return the fields to keep at one level, in the order of the definition.

    Args:
        paths: Paths, nested names with dots; a name that has a dot itself is found, too.
        names: The fields that there are.
        where: Name of the message, for errors.

    Returns:
        By name, the paths to keep below it; None keeps all of it.

    Raises:
        UndecodableError: UNKNOWN_FIELD.
    """
    found: dict[str, tuple[str, ...] | None] = {}
    for path in paths:
        name, _, rest = (path, "", "") if path in names else path.partition(".")
        if name not in names:
            raise UndecodableError(
                "UNKNOWN_FIELD", f"{where} has no field {path!r}; it has {some(names, 20)}"
            )
        below = found.get(name, ())
        found[name] = None if not rest or below is None else (*below, rest)
    return {name: found[name] for name in names if name in found}

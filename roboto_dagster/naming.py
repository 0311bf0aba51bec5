"""Names of what is built around an asset: sensors, schedules, ops, resources.

Dagster accepts any text as a part of an asset's key, but other names only of letters, digits and
underscores, and names of resources only if they are Python identifiers. Names here are made of the
key and are unique: two keys never share one.
"""

import hashlib
import keyword
import re
import unicodedata
from collections.abc import Sequence

import dagster as dg

_SEPARATOR = "__"
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_]+")
_RESERVED = frozenset(keyword.kwlist) | {
    # What Dagster takes for itself (`DISALLOWED_NAMES` in its definitions).
    *("context", "conf", "config", "meta", "arg_dict", "dict", "input_arg_dict"),
    *("output_arg_dict", "int", "str", "float", "bool", "input", "output", "type"),
}


def derived_name(asset_key: dg.AssetKey | Sequence[str], suffix: str = "") -> str:
    """Return a name for something that belongs to an asset, such as its sensor.

    It is the parts of the key joined by two underscores, and the suffix: `raw__logs_sensor`. If that
    is no valid name, or if another key could have the same one, characters that are not allowed are
    replaced and a hash of the key is added: `raw_data__logs_6dcec6b2_sensor`.

    Args:
        asset_key: The asset's key, or its parts.
        suffix: What the name ends with, such as `_sensor`. Default: nothing.

    Returns:
        A Python identifier that Dagster accepts for an op, sensor, schedule, job or resource.
    """
    parts = asset_key.path if isinstance(asset_key, dg.AssetKey) else list(asset_key)
    plain = _SEPARATOR.join(parts)
    if _is_reversible(parts) and _is_valid(plain + suffix):
        return plain + suffix
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain_name(plain)}_{digest}{suffix}"


def asset_key_of(name: str, prefix: str | Sequence[str] | None) -> dg.AssetKey:
    """Return the key of an asset as Dagster makes it.

    Args:
        name: The asset's name.
        prefix: Its `key_prefix`.
    """
    return dg.AssetKey([*([prefix] if isinstance(prefix, str) else prefix or ()), name])


def label_of(asset: dg.AssetsDefinition) -> str:
    """Return what messages call an asset; several of one op go by the name of that.

    Args:
        asset: One asset, or several of one op.
    """
    return asset.key.to_user_string() if len(asset.keys) == 1 else asset.op.name


def name_around(asset: dg.AssetsDefinition, suffix: str) -> str:
    """Return a name for something that belongs to an asset, or to several of one op.

    Args:
        asset: One asset, or several of one op.
        suffix: As of `derived_name`.
    """
    return derived_name(asset.key, suffix) if len(asset.keys) == 1 else f"{asset.op.name}{suffix}"


def plain_name(text: str, default: str = "roboto") -> str:
    """Return a text as a name that Dagster accepts; unlike `derived_name` it may not be unique.

    Args:
        text: Any text, such as the name of a folder.
        default: Returned if no letter or digit of the text is left. Default: `roboto`.

    Returns:
        Letters without their accents, digits and underscores; not starting with a digit.
    """
    decomposed = unicodedata.normalize("NFKD", text)
    ascii_text = "".join(each for each in decomposed if not unicodedata.combining(each))
    name = _NOT_ALLOWED.sub("_", ascii_text)
    if not name.strip("_"):
        return default
    if name[0].isdigit():
        name = f"_{name}"
    return f"{name}_" if name in _RESERVED else name


def _is_valid(name: str) -> bool:
    return name.isidentifier() and name.isascii() and name not in _RESERVED


def _is_reversible(parts: Sequence[str]) -> bool:
    """Whether the joined parts can be split again: the key `a__b` must not meet `a`, `b`."""
    return (len(parts) == 1 and _SEPARATOR not in parts[0]) or all(map(_is_plain_part, parts))


def _is_plain_part(part: str) -> bool:
    return bool(part) and _SEPARATOR not in part and part.strip("_") == part

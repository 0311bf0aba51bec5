"""Records whose fields stand in the metadata of an event, each under its own key."""

import dataclasses
import pathlib
import sys
from collections.abc import Mapping
from typing import Any, Protocol

from typing_extensions import Self

_DAGSTERS = ("uri", "row_count")  # fields whose keys are standard ones of Dagster's


class HasValue(Protocol):
    """A value of an event's metadata, such as `dagster.MetadataValue`."""

    @property
    def value(self) -> Any:
        """The plain value."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EventValues:
    """A record that is written into an event and read back; `manifest` is a path, all other fields are plain values."""

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, HasValue]) -> Self | None:
        """Read it from an event's metadata, or return None where there is none of this kind."""
        found: dict[str, Any] = {
            name: metadata[key].value
            for is_partition in (False, True)
            for name, key in _keys(cls, is_partition=is_partition).items()
            if key in metadata
        }
        if not _required(cls) <= found.keys():
            return None
        return cls(**{**found, "manifest": pathlib.Path(found["manifest"])})

    def plain_values(self, *, is_partition: bool = False) -> dict[str, Any]:
        """Return numbers, texts, paths and mappings by their keys in an event; what there is none of is left out.

        Args:
            is_partition: Whether the event is of a partition: Dagster takes `dagster/row_count` for the rows of
                all. Default False.
        """
        required = _required(type(self))
        values = (
            (name, key, getattr(self, name))
            for name, key in _keys(type(self), is_partition=is_partition).items()
        )
        return {
            key: value for name, key, value in values if name in required or value not in (None, {})
        }


def _keys(kind: type[Any], *, is_partition: bool) -> Mapping[str, str]:
    # Interned, since Dagster keeps the events of a step until its end: each of thousands would have texts of its own.
    keys = {
        field.name: sys.intern(f"{'dagster' if field.name in _DAGSTERS else 'roboto'}/{field.name}")
        for field in dataclasses.fields(kind)
    }
    return {**keys, "row_count": "dagster/partition_row_count"} if is_partition else keys


def _required(kind: type[Any]) -> frozenset[str]:
    missing = dataclasses.MISSING
    return frozenset(
        field.name
        for field in dataclasses.fields(kind)
        if field.default is missing and field.default_factory is missing
    )

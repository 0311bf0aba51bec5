"""Groups raw messages by table until a batch is worth decoding: the one rule of all decoders."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

MAX_ROWS = 5_000
MAX_GROUP_BYTES = 8 * 1024 * 1024
MAX_TOTAL_BYTES = 64 * 1024 * 1024
# What a message costs in Python besides its payload: the object, its place in four lists, and two times.
_OVERHEAD_BYTES = 200

KeyT = TypeVar("KeyT")


@dataclasses.dataclass(slots=True)
class RawMessages:
    """Messages of one table, not decoded yet, in the order of the file.

    Attributes:
        log_times: Nanoseconds since 1970, UTC.
        publish_times: Likewise; None stands for none.
        sequences: Numbers of the messages; None stands for none.
        payloads: The bytes of the messages.
        size_bytes: Memory they take, about.
    """

    log_times: list[int] = dataclasses.field(default_factory=list)
    publish_times: list[int | None] = dataclasses.field(default_factory=list)
    sequences: list[int | None] = dataclasses.field(default_factory=list)
    payloads: list[bytes] = dataclasses.field(default_factory=list)
    size_bytes: int = 0


class MessageGroups(Generic[KeyT]):
    """Collects messages by table: 5,000 or 8 MiB of one, and 64 MiB of all together.

    Keys are compared by equality and kept in the order of their first message.
    """

    def __init__(
        self,
        max_rows: int = MAX_ROWS,
        max_group_bytes: int = MAX_GROUP_BYTES,
        max_total_bytes: int = MAX_TOTAL_BYTES,
    ) -> None:
        """Start without any messages.

        Args:
            max_rows: Messages of one table. Default 5,000.
            max_group_bytes: Bytes of one table. Default 8 MiB.
            max_total_bytes: Bytes of all tables. Default 64 MiB.
        """
        self._max_rows = max_rows
        self._max_group_bytes = max_group_bytes
        self._max_total_bytes = max_total_bytes
        self._groups: dict[KeyT, RawMessages] = {}
        self._total_bytes = 0

    def add(
        self,
        key: KeyT,
        payload: bytes,
        log_time: int,
        publish_time: int | None = None,
        sequence: int | None = None,
    ) -> Sequence[tuple[KeyT, RawMessages]]:
        """Add one message; return the tables that are due to be decoded, and their messages.

        Args:
            key: Whatever stands for the table.
            payload: The bytes of the message.
            log_time: Nanoseconds since 1970.
            publish_time: Likewise. Default None: the format has none.
            sequence: Number of the message. Default None: the format has none.
        """
        size = len(payload) + _OVERHEAD_BYTES
        # Decoding a large message takes a multiple of it: others do not wait beside it.
        due = self._room_for(size) if size >= self._max_group_bytes else ()
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = RawMessages()
        group.log_times.append(log_time)
        group.publish_times.append(publish_time)
        group.sequences.append(sequence)
        group.payloads.append(payload)
        group.size_bytes += size
        self._total_bytes += size
        if len(group.payloads) >= self._max_rows or group.size_bytes >= self._max_group_bytes:
            return (*due, self._taken(key))
        if self._total_bytes >= self._max_total_bytes:
            return (self._largest(),)
        return ()

    def _room_for(self, size: int) -> Sequence[tuple[KeyT, RawMessages]]:
        """Return the largest groups, without which there is room for so many bytes."""
        due = []
        while self._groups and self._total_bytes + size > self._max_total_bytes:
            due.append(self._largest())
        return due

    def _largest(self) -> tuple[KeyT, RawMessages]:
        return self._taken(max(self._groups, key=lambda each: self._groups[each].size_bytes))

    def discard(self, key: KeyT) -> None:
        """Drop what is collected of a table that has failed."""
        if key in self._groups:
            self._taken(key)

    def drain(self) -> Iterator[tuple[KeyT, RawMessages]]:
        """Yield what is left, table by table."""
        while self._groups:  # others may be dropped meanwhile
            key = next(iter(self._groups))
            yield self._taken(key)

    def _taken(self, key: KeyT) -> tuple[KeyT, RawMessages]:
        group = self._groups.pop(key)
        self._total_bytes -= group.size_bytes
        return key, group

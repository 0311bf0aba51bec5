"""What a ULog subscribes: which rows are collected, and when they are handed over."""

from collections.abc import Callable
from typing import Any, NamedTuple

from roboto_dagster.topics.ulog.layout import has_timestamp

HANDED_OVER_BYTES = 1024 * 1024
"""Buffers of at least this size are handed over at a pause."""
HELD_BYTES = 64 * 1024 * 1024
"""How many bytes all buffers may hold together after a pause; above it, the largest are handed over too."""


class UlogRows(NamedTuple):
    """Rows of one topic: the bytes of its messages, one after the other."""

    topic: str
    name: str  # of the format
    data: bytearray


def topic_of(name: str, multi_id: int) -> str:
    """Return the topic of an instance of a message.

    Args:
        name: Name of the message's format.
        multi_id: Number of the instance; 0 is the first, and has no number in its topic.
    """
    return f"{name}/{multi_id}" if multi_id else name


class Subscriptions(dict[int, Any]):
    """pyulog's subscriptions by message id, each with a buffer of rows.

    An id that is used again hands its rows over first; pyulog drops them.

    Args:
        wanted: Which topics.

    Attributes:
        untimed: Topics whose rows have no time of their own, which are left out.
        ignored: Ids of messages that are skipped.
        row_sizes: The least and the greatest size of the rows of each id, ignored ones too.
    """

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        super().__init__()
        self._wanted = wanted
        self._retired: list[UlogRows] = []
        self.untimed: list[str] = []
        self.ignored: set[int] = set()
        self.row_sizes: dict[int, tuple[int, int]] = {}

    def __bool__(self) -> bool:
        """Return False: pyulog takes subscriptions out at each end of the file, also at a pause."""
        return False

    def __setitem__(self, msg_id: int, subscription: Any) -> None:
        replaced = self.pop(msg_id, None)
        if replaced is not None:
            self._retire(replaced)
        self.row_sizes[msg_id] = subscription.dtype.itemsize, subscription.max_data_size
        if self._accepts(subscription):
            super().__setitem__(msg_id, subscription)
        else:
            self.ignored.add(msg_id)

    def _accepts(self, subscription: Any) -> bool:
        topic = topic_of(subscription.message_name, subscription.multi_id)
        if not self._wanted(topic):
            return False
        if not has_timestamp(subscription):
            self.untimed.append(topic)
            return False
        return True

    def full_buffers(self) -> list[UlogRows]:
        """Hand over large buffers, and the largest if all together hold too much."""
        held = 0
        for subscription in sorted(self.values(), key=lambda each: len(each.buffer)):
            held += len(subscription.buffer)
            if len(subscription.buffer) >= HANDED_OVER_BYTES or held > HELD_BYTES:
                self._retire(subscription)
        return self._take()

    def all_buffers(self) -> list[UlogRows]:
        """Hand over everything."""
        for subscription in self.values():
            self._retire(subscription)
        return self._take()

    def _retire(self, subscription: Any) -> None:
        if subscription.buffer:
            name = subscription.message_name
            topic = topic_of(name, subscription.multi_id)
            self._retired.append(UlogRows(topic, name, subscription.buffer))
            subscription.buffer = bytearray()

    def _take(self) -> list[UlogRows]:
        taken, self._retired = self._retired, []
        return taken

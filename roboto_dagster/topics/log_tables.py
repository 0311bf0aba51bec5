"""The tables of one log: its messages grouped, decoded table by table, and what went wrong beside them."""

from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

from roboto_dagster.topics.batching import MessageGroups, RawMessages
from roboto_dagster.topics.decoder import Found, TopicFault, fault_of
from roboto_dagster.topics.faults import UndecodableError
from roboto_dagster.topics.message_table import MessageTable

SourceT = TypeVar("SourceT", bound=Hashable)


class LogTables(Generic[SourceT]):
    """The tables of a log, and messages that are not decoded yet.

    Several sources (channels, connections) may send a topic; those with the same definition share a table.
    After the fault of a topic none of its messages is decoded, whichever source sends them.

    Attributes:
        groups: The messages that are not decoded yet, by table.
        of_source: The table of each source that was started; None if the topic has failed.
    """

    def __init__(self) -> None:
        self.groups: MessageGroups[MessageTable] = MessageGroups()
        self.of_source: dict[SourceT, MessageTable | None] = {}
        self._of_definition: dict[tuple[object, ...], MessageTable] = {}
        self._failed: set[str] = set()

    def decoded(self, rows: Iterator[Found]) -> Iterator[Found]:
        """Yield the rows of a log, those that are left at its end, notes, and why it could not be read to its end.

        Args:
            rows: What is decoded while the log is read; ends with an error where the log is damaged.
        """
        fault: TopicFault | None = None
        try:
            yield from rows
        except (UndecodableError, OSError) as error:
            fault = fault_of(None, error)
        yield from self.decode_all()
        for table in self._of_definition.values():
            yield from table.notes()
        if fault is not None:
            yield fault

    def start(
        self,
        source: SourceT,
        topic: str,
        definition: tuple[object, ...],
        make: Callable[[], MessageTable],
    ) -> Iterator[TopicFault]:
        """Find the table of a source, at its first message.

        Args:
            source: The source.
            topic: Its topic.
            definition: Equal for sources of the topic that share a table.
            make: Makes the table; may raise an `UndecodableError`.
        """
        self.of_source[source] = None
        if topic in self._failed:
            return
        key = (topic, *definition)
        try:
            if key not in self._of_definition:
                self._of_definition[key] = make()
            self.of_source[source] = self._of_definition[key]
        except UndecodableError as error:
            yield from self.fail(topic, error)
        except RecursionError:
            reason = "the definition is nested too deeply"
            yield from self.fail(topic, UndecodableError("INVALID_DEFINITION", reason))

    def decode(self, table: MessageTable, messages: RawMessages) -> Iterator[Found]:
        """Decode messages of one table.

        Args:
            table: The table, which has not failed.
            messages: Its next ones.
        """
        yield from table.batches(messages)
        if table.failed:
            self._leave_out(table.topic)

    def decode_all(self) -> Iterator[Found]:
        """Decode the messages that are left, table by table."""
        for table, messages in self.groups.drain():
            yield from self.decode(table, messages)

    def fail(self, topic: str, error: UndecodableError) -> Iterator[TopicFault]:
        """Yield the fault of a topic, unless it has failed before.

        Args:
            topic: The topic.
            error: Why.
        """
        if topic not in self._failed:
            self._leave_out(topic)
            yield fault_of(topic, error)

    def _leave_out(self, topic: str) -> None:
        self._failed.add(topic)
        for source, table in self.of_source.items():
            if table is not None and table.topic == topic:
                self.of_source[source] = None
                self.groups.discard(table)

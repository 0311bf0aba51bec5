"""What a decoder yields for one log, gathered."""

import dataclasses
import pathlib
from typing import Any

import pyarrow as pa

from roboto_dagster.topics.decoder import LogDecoder, TopicBatch, TopicFault, TopicNote
from roboto_dagster.topics.topic_filter import TopicFilter


@dataclasses.dataclass
class Decoded:
    """The tables of a log by topic, the faults and notes, in their order."""

    batches: list[TopicBatch] = dataclasses.field(default_factory=list)
    faults: list[TopicFault] = dataclasses.field(default_factory=list)
    notes: list[TopicNote] = dataclasses.field(default_factory=list)

    @property
    def topics(self) -> set[str]:
        """All topics that have rows."""
        return {batch.topic for batch in self.batches}

    @property
    def codes(self) -> list[tuple[str | None, str]]:
        """Topic and code of each fault."""
        return [(fault.topic, fault.code) for fault in self.faults]

    @property
    def note_counts(self) -> dict[tuple[str | None, str], int]:
        """Counts of the notes by topic and kind."""
        return {(note.topic, note.kind): note.count for note in self.notes}

    def table(self, topic: str) -> pa.Table:
        """Return all rows of a topic."""
        return pa.Table.from_batches([each.rows for each in self.batches if each.topic == topic])

    def rows(self, topic: str) -> list[dict[str, Any]]:
        """Return the rows of a topic, checked to be valid arrays, without the columns that are ours."""
        table = self.table(topic)
        table.validate(full=True)
        return list(table.drop_columns(["log_time", "publish_time", "sequence"]).to_pylist())

    def column(self, topic: str, name: str) -> list[object]:
        """Return the values of one column."""
        return list(self.table(topic)[name].to_pylist())

    def metadata(self, topic: str) -> dict[str, str]:
        """Return the metadata of a topic's table."""
        return dict(next(each.metadata for each in self.batches if each.topic == topic))


def decode(decoder: LogDecoder, path: pathlib.Path, topics: TopicFilter | None = None) -> Decoded:
    """Decode a log."""
    decoded = Decoded()
    for found in decoder.batches(path, topics or TopicFilter()):
        if isinstance(found, TopicBatch):
            decoded.batches.append(found)
        elif isinstance(found, TopicFault):
            decoded.faults.append(found)
        else:
            decoded.notes.append(found)
    return decoded

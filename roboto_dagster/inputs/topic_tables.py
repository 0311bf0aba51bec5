"""The tables of topics of some partitions as a value: what the IO manager loads of a topics asset.

```
TopicTables ─► tables["/imu"] ─► TopicData ─► pyarrow, polars, duckdb: the rows of all logs, and which log each is from
```
"""

import dataclasses
import functools
import pathlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.inputs.frames import data_frame, lazy_frame, relation
from roboto_dagster.sync.report import codes_text
from roboto_dagster.tables import empty_dataset, open_dataset
from roboto_dagster.text import some
from roboto_dagster.topic_assets.tables import RecordedTopic
from roboto_dagster.topics.topic_filter import TopicFilter

if TYPE_CHECKING:
    import duckdb
    import polars as pl
    import pyarrow as pa
    import pyarrow.dataset as pad

ORIGIN_COLUMNS = ("_partition", "_dataset_id", "_log", "_topic")
"""Columns that are added to the rows of a table: where each row is from."""


class MissingTopicError(ConfigurationError):
    """No table of the partitions is of a topic that was asked for."""


_REMEDY = "take one type of message, by TopicData.of_type(), or one topic"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopicData:
    """The rows of one topic, or of several, from all logs of some partitions.

    Columns that only some of the logs have are null for the others. Four columns are added, which cost nothing if they
    are not read: `_partition`, `_dataset_id`, `_log` and `_topic`.

    Attributes:
        topics: The topics.
        rows: What the manifests record of each table.
    """

    topics: tuple[str, ...]
    rows: tuple[RecordedTopic, ...]

    def __len__(self) -> int:
        return sum(each.rows for each in self.rows)

    @property
    def paths(self) -> list[pathlib.Path]:
        """The path of every table, in the order of the logs."""
        return [each.path for each in self.rows if each.path is not None]

    @property
    def types(self) -> list[str]:
        """The names of its message types; more than one where logs, or topics, differ."""
        return sorted({each.type_name for each in self.rows})

    def of_type(self, type_name: str) -> "TopicData":
        """Return the rows of one message type.

        Args:
            type_name: One of `types`.

        Raises:
            ConfigurationError: There are no such rows.
        """
        rows = tuple(each for each in self.rows if each.type_name == type_name)
        if not rows:
            raise ConfigurationError(
                f"{some(self.topics)} has no rows of the type {type_name!r}; its types are {some(self.types)}."
            )
        return dataclasses.replace(self, rows=rows)

    def dataset(self) -> "pad.Dataset":
        """Return the rows, to be read as far as they are needed.

        Raises:
            ConfigurationError: A column has types that do not go together.
        """
        if not self.paths:
            return empty_dataset()
        origins = [_origin(each) for each in self.rows]
        return open_dataset(self.paths, "parquet", origins, _REMEDY)

    def table(self) -> "pa.Table":
        """Return the rows as an Arrow table in memory.

        Raises:
            ConfigurationError: As of `dataset`.
        """
        return self.dataset().to_table()

    def data_frame(self) -> "pl.DataFrame":
        """Return the rows as a polars frame in memory.

        Raises:
            ConfigurationError: As of `dataset`, or polars is not installed.
        """
        return data_frame(self.dataset())

    def lazy_frame(self) -> "pl.LazyFrame":
        """Return the rows as a polars frame, which reads them when it is collected.

        Raises:
            ConfigurationError: As of `dataset`, or polars is not installed.
        """
        return lazy_frame(self.dataset())

    def relation(
        self, connection: "duckdb.DuckDBPyConnection | None" = None
    ) -> "duckdb.DuckDBPyRelation":
        """Return the rows as a duckdb relation, which reads them when it is executed.

        Args:
            connection: Where it is to be queried. Default: duckdb's own, that of `duckdb.sql`.

        Raises:
            ConfigurationError: As of `dataset`, or duckdb is not installed.
        """
        return relation(self.dataset(), connection)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TopicTables(Mapping[str, TopicData]):
    """The topics of one or several partitions by name, all of which are complete on this disk.

    Attributes:
        partition_keys: The partitions; the dataset's id where there are none.
        rows: What the manifests record of each table, and of what could not be decoded.
        asset: The asset's key, for messages. Default: none.
        missing_partition_keys: The partitions that were asked for and left out, since they are not
            materialized and `allow_missing_partitions` is set.
    """

    partition_keys: tuple[str, ...]
    rows: tuple[RecordedTopic, ...]
    asset: str = ""
    missing_partition_keys: tuple[str, ...] = ()

    @functools.cached_property
    def _by_topic(self) -> Mapping[str, tuple[RecordedTopic, ...]]:
        found: dict[str, list[RecordedTopic]] = {}
        for row in self.rows:
            if row.topic is not None and row.path is not None:
                found.setdefault(row.topic, []).append(row)
        return {topic: tuple(found[topic]) for topic in sorted(found)}

    def __getitem__(self, topic: str) -> TopicData:
        if topic not in self._by_topic:
            raise KeyError(self._missing([topic]))
        return TopicData(topics=(topic,), rows=self._by_topic[topic])

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_topic)

    def __len__(self) -> int:
        return len(self._by_topic)

    def matching(self, *patterns: str) -> TopicData:
        """Return the rows of all topics that patterns match, as one table.

        Args:
            *patterns: As of `build_roboto_topics_asset`, such as `/imu*` or `!/camera/**`.

        Raises:
            ConfigurationError: No topic matches, or a pattern cannot be read.
        """
        wanted = TopicFilter(topics=patterns)
        topics = tuple(each for each in self if wanted.includes(each))
        if not topics and self.partition_keys:
            raise MissingTopicError(self._missing(patterns))
        rows = tuple(row for topic in topics for row in self._by_topic[topic])
        return TopicData(topics=topics, rows=rows)

    def only(self) -> TopicData:
        """Return the rows of the only topic.

        Raises:
            ConfigurationError: There are several.
        """
        if len(self) > 1:
            raise ConfigurationError(
                f"There are {len(self)} topics, and the input loads one: name it with AssetIn(metadata="
                f'{{"topic": "/imu"}}). The topics are {some(list(self))}.'
            )
        return self.matching("**")

    def _missing(self, patterns: Sequence[str]) -> str:
        """Return that no topic matches, what there is, what could not be decoded, and what to do."""
        where = some([each for each in (self.asset, *self.partition_keys) if each], 3)
        known = f"the topics are {some(list(self))}" if self else "it has no topics"
        codes = Counter(each.code for each in self.rows if each.code is not None)
        counts = codes_text(dict(codes.most_common()))
        failed = f" Logs or topics could not be decoded: {counts}." if codes else ""
        return (
            f"No topic matches {some(patterns)} in {where}: {known}.{failed} Correct the topic, or the option topics of the "
            "asset; an input that is annotated `… | None` is None where there is no such topic."
        )


def _origin(row: RecordedTopic) -> Mapping[str, str]:
    values: Sequence[str] = (
        row.partition_key,
        row.dataset_id,
        row.relative_path,
        row.topic or "",
    )
    return dict(zip(ORIGIN_COLUMNS, values, strict=True))

"""What a partition has as tables on this disk, according to its manifest. For checks and for the IO manager.

Paths are made of the asset's destination, so that a destination that is mounted elsewhere, or was moved, still reads.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import dagster as dg

from roboto_dagster.disk.tree import LocalTree
from roboto_dagster.errors import ManifestError, MissingPartitionError
from roboto_dagster.text import count, some
from roboto_dagster.topic_assets.config import TopicsAssetConfig
from roboto_dagster.topics.manifest import COMPLETE, CURRENT, TopicRow, read_topics_manifest


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTopic:
    """A table of a partition, or what could not be decoded, as its manifest records it.

    Attributes:
        partition_key: Its partition; the dataset's id where there are none.
        dataset_id: The dataset of its log.
        relative_path: Path of the log there.
        topic: The topic, verbatim; None where it is about all of a log.
        type_name: Name of the message type.
        path: Where the table is on this disk; None if there is none.
        size_bytes: Its size.
        rows: How many rows it has.
        first_ns: Its first `log_time`, in ns since the epoch; None without any.
        last_ns: Its last one.
        max_gap_ns: The longest time without a row, in ns; None with fewer than two rows.
        steps_back: How many rows are earlier than the row before them.
        null_times: How many rows have no time.
        code: Why it could not be decoded completely, or None.
    """

    partition_key: str
    dataset_id: str
    relative_path: str
    topic: str | None
    type_name: str
    path: pathlib.Path | None
    size_bytes: int
    rows: int
    first_ns: int | None
    last_ns: int | None
    max_gap_ns: int | None
    steps_back: int
    null_times: int
    code: str | None = None


def recorded_topics(
    config: TopicsAssetConfig, asset_key: dg.AssetKey, partition_key: str | None
) -> Sequence[RecordedTopic]:
    """Return every table of a partition, and what could not be decoded.

    Args:
        config: The asset's.
        asset_key: The asset's.
        partition_key: The partition, or None where there are none.

    Raises:
        ManifestError: There is no manifest, or it cannot be read.
    """
    destination = config.destination
    key = config.key_of(asset_key, partition_key)
    rows = read_topics_manifest(config.manifest(asset_key, partition_key), destination)
    return [_recorded(row, key, destination) for row in rows if _is_about_a_topic(row)]


def complete_tables(
    config: TopicsAssetConfig,
    asset_key: dg.AssetKey,
    partition_key: str | None,
    is_wanted: Callable[[str], bool],
) -> Sequence[RecordedTopic]:
    """Return what one partition has: its tables, all of which are on disk, and what may be missing.

    Args:
        config: The asset's.
        asset_key: The asset's.
        partition_key: The partition, or None where there are none.
        is_wanted: Returns for a topic whether its tables have to be on disk.

    Raises:
        MissingPartitionError: The partition was never materialized, or something of it could not be decoded.
        ManifestError: A table is missing, or of another size.
    """
    rows = recorded_topics(config, asset_key, partition_key)
    failed = [each for each in rows if each.code is not None]
    key = config.key_of(asset_key, partition_key)
    where = f"{asset_key.to_user_string()}, {key}"
    if failed and config.on_failure == "fail":
        raise MissingPartitionError(
            f"{where}: {len(failed)} of its logs and topics could not be decoded by the last run: {_named(failed)}. "
            'Fix what that run\'s failure names, then materialize the partition again; on_failure="skip" loads it without them.'
        )
    tables = [each for each in rows if each.path is not None and is_wanted(each.topic or "")]
    with LocalTree(config.destination) as tree:
        lost = [each for each in tables if not _is_on_disk(tree, config, each)]
    if lost:
        raise ManifestError(
            f"{where}: {len(lost)} of {count(len(tables), 'table')} not complete on disk: "
            f"{_named(lost)}. Materialize the partition again before what depends on it."
        )
    return rows


def _recorded(row: TopicRow, partition_key: str, destination: pathlib.Path) -> RecordedTopic:
    has_table = row.table is not None and row.status in CURRENT
    is_complete = row.status in COMPLETE
    return RecordedTopic(
        partition_key=partition_key,
        dataset_id=row.dataset_id,
        relative_path=row.relative_path,
        topic=row.topic,
        type_name=row.type_name or "",
        path=destination / str(row.table) if has_table else None,
        size_bytes=row.table_bytes or 0,
        rows=row.rows or 0,
        first_ns=row.first_ns,
        last_ns=row.last_ns,
        max_gap_ns=row.max_gap_ns,
        steps_back=row.steps_back or 0,
        null_times=row.null_times or 0,
        code=None if is_complete else row.code or "UNEXPECTED",
    )


def _is_about_a_topic(row: TopicRow) -> bool:
    """Return whether a row is of a table or a failure: others are of files that are no logs, or of notes."""
    return row.status != "skipped" and (row.topic is not None or row.status not in COMPLETE)


def _is_on_disk(tree: LocalTree, config: TopicsAssetConfig, row: RecordedTopic) -> bool:
    assert row.path is not None  # noqa: S101 -- it is a table
    return tree.size_of(row.path.relative_to(config.destination).as_posix()) == row.size_bytes


def _named(rows: Sequence[RecordedTopic]) -> str:
    places = [
        (each.relative_path, each.topic, f"({each.code})" if each.code else None) for each in rows
    ]
    return some([" ".join(filter(None, place)) for place in places], 3)

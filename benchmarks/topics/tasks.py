"""What decodes one log of a benchmark, or of a test: the settings that users have by default."""

import pathlib

from roboto_dagster.topics.decoder import LogDecoder
from roboto_dagster.topics.log import LogTask
from roboto_dagster.topics.log_file import LogFile
from roboto_dagster.topics.topic_filter import TopicFilter


def log_task(
    path: pathlib.Path,
    destination: pathlib.Path,
    decoder: LogDecoder,
    relative_path: str | None = None,
) -> LogTask:
    """Return the task of one log of the dataset `ds_1`.

    Args:
        path: The log.
        destination: Where its tables go.
        decoder: What reads it.
        relative_path: Its path in the dataset. Default None: its name.
    """
    log = LogFile(
        dataset_id="ds_1",
        relative_path=relative_path or path.name,
        path=path,
        file_id="fl_1",
        version=1,
        size_bytes=path.stat().st_size,
    )
    return LogTask(
        log=log,
        decoder=decoder,
        topics=TopicFilter(),
        keep_partial=False,
        destination=destination,
        durability="none",
        asset="robot_topics",
    )

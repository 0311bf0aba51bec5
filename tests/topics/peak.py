"""Decodes one log as a program of its own: `python -m tests.topics.peak LOG FOLDER` prints peak memory in MiB and rows."""

import pathlib
import re
import sys

from roboto_dagster.topics.decoder import TopicFault
from roboto_dagster.topics.decoders import decoder_for
from roboto_dagster.topics.log import LogTask, decode_log
from roboto_dagster.topics.log_file import LogFile
from roboto_dagster.topics.topic_filter import TopicFilter


def main(log: pathlib.Path, folder: pathlib.Path) -> None:
    """Decode a log.

    Args:
        log: The log.
        folder: Where its tables go.
    """
    decoder = decoder_for(log)
    if decoder is None or isinstance(decoder, TopicFault):
        raise SystemExit(f"No decoder: {decoder}")
    file = LogFile(
        dataset_id="ds_1",
        relative_path=log.name,
        path=log,
        file_id="fl_1",
        version=1,
        size_bytes=log.stat().st_size,
    )
    result = decode_log(
        LogTask(
            log=file,
            decoder=decoder,
            topics=TopicFilter(),
            keep_partial=False,
            destination=folder,
            durability="none",
            asset="robot_topics",
        )
    )
    if result.faults:
        raise SystemExit(f"{result.faults}")
    status = pathlib.Path("/proc/self/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+)", status)
    rows = sum(table.rows for table in result.tables)
    sys.stdout.write(f"{int(peak[1]) // 1024 if peak else -1} {rows}\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))

"""One run: `python -m benchmarks.topics.contender CASE CONTENDER LOG FOLDER` prints what it took, as JSON."""

import json
import os
import pathlib
import sys
import time

from benchmarks.contenders.job import peak_rss_bytes
from benchmarks.topics.cases import ARROW, CASES, LOOP
from benchmarks.topics.loops import write_bytes
from benchmarks.topics.tasks import log_task
from roboto_dagster.topics.decoder import TopicFault
from roboto_dagster.topics.log import decode_log


def main(case_name: str, contender: str, log: pathlib.Path, folder: pathlib.Path) -> None:
    """Run a contender once; everything that it imports counts, as it does in the process of a user.

    Args:
        case_name: The kind of log.
        contender: Who.
        log: The log.
        folder: Where to; empty.
    """
    loop = CASES[case_name].loop
    started, cpu_before = time.perf_counter(), time.process_time()
    if contender == ARROW:
        rows = write_bytes(log, folder / "bytes.parquet")
    elif contender == LOOP:
        rows = 0 if loop is None else loop(log)
    else:
        rows = _decode(log, folder)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_before
    rss_bytes = peak_rss_bytes(os.getpid())
    report = {"seconds": seconds, "cpu_seconds": cpu_seconds, "rss_bytes": rss_bytes, "rows": rows}
    print(json.dumps(report), flush=True)


def _decode(log: pathlib.Path, folder: pathlib.Path) -> int:
    from roboto_dagster.topics.decoders import decoder_for

    decoder = decoder_for(log)
    if decoder is None or isinstance(decoder, TopicFault):
        raise SystemExit(f"No decoder: {decoder}")
    result = decode_log(log_task(log, folder, decoder))
    if result.faults:
        raise SystemExit("; ".join(map(str, result.faults)))
    return sum(table.rows for table in result.tables)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4]))

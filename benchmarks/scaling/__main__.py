"""`python -m benchmarks.scaling`: measures how time, memory and requests grow, part by part."""

import argparse
import contextlib
import dataclasses
import pathlib
import signal
import sys
from collections.abc import Callable, Iterator, Sequence

from benchmarks.certificates import make_certificates
from benchmarks.contenders.job import AWS_CONFIG
from benchmarks.machine import code_version
from benchmarks.measure import FailedError
from benchmarks.scaling.cases import PARTS, Case, State, cases_of, groups_of
from benchmarks.scaling.measuring import Measuring
from benchmarks.scaling.records import Records
from benchmarks.scaling.report import write_report
from benchmarks.scaling.traffic import TrafficLog
from benchmarks.server import NoServerError, serve
from benchmarks.source import Source
from benchmarks.workspace import workspace

_STATES: tuple[State, ...] = ("cold", "unchanged")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the arguments ask for, and write the report about all that was ever measured.

    Returns:
        The process's exit code: 1 if a case of ours failed, or nothing can serve.
    """
    options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or servers would stay behind
    records = Records(options.output / "scaling.json")
    try:
        failed = _measure(options, records)
    except NoServerError as error:
        print(error, file=sys.stderr)
        return 1
    if records:
        print(f"Wrote {write_report(options.output, records)}", flush=True)
    return 1 if failed else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments, and put in the defaults, which depend on the mode."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny: only whether all of it works")
    parser.add_argument(
        "--parts", type=_list_of(str, PARTS), default=PARTS, help=f"of {','.join(PARTS)}"
    )
    parser.add_argument("--delays", type=_numbers, help="of the API, in ms (default 0,100)")
    parser.add_argument("--datasets", type=_numbers, help="how many (default 1,100,300,1000,10000)")
    parser.add_argument("--files-each", type=_numbers, help="in each dataset (default 1,20)")
    parser.add_argument(
        "--side-by-side", type=_numbers, help="max_concurrent_partitions (default 1,4,8,16)"
    )
    parser.add_argument(
        "--sdk-up-to", type=int, help="datasets that the SDK downloads too (default 100)"
    )
    parser.add_argument(
        "--all", action="store_true", help="also what is slow, and shown by fewer datasets"
    )
    parser.add_argument(
        "--again", action="store_true", help="also what was measured before, of the same code"
    )
    parser.add_argument("--states", type=_list_of(str, _STATES), default=_STATES)
    parser.add_argument(
        "--files", type=_numbers, help="in one dataset (default 1000,10000,100000,1000000)"
    )
    parser.add_argument("--workers", type=_numbers, help="for shards (default 1,2,4)")
    parser.add_argument(
        "--paced-files", type=int, help="of the one in shards, from a paced store (default 128000)"
    )
    parser.add_argument(
        "--shard-files",
        type=int,
        help="of the other one in shards (default 800000; 0 leaves it out)",
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path(__file__).parents[1],
        help="folder for scaling.json, SCALING.md and the pictures (default: benchmarks)",
    )
    return _with_defaults(parser.parse_args(arguments))


def _with_defaults(options: argparse.Namespace) -> argparse.Namespace:
    full = {
        "delays": [0, 100],
        "datasets": [1, 100, 300, 1000, 10_000],
        "files_each": [1, 20],
        "side_by_side": [1, 4, 8, 16],
        "sdk_up_to": 100,
        "files": [1000, 10_000, 100_000, 1_000_000],
        "workers": [1, 2, 4],
        "paced_files": 128_000,
        "shard_files": 800_000,
    }
    quick = {
        "delays": [0],
        "datasets": [2],
        "files_each": [2],
        "side_by_side": [2],
        "sdk_up_to": 2,
        "files": [10],
        "workers": [1],
        "paced_files": 12,
        "shard_files": 3,
    }
    for name, value in (quick if options.quick else full).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def _list_of(kind: type, choices: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        found = [kind(each) for each in text.split(",")]
        unknown = set(found) - set(choices)
        if unknown:
            raise argparse.ArgumentTypeError(
                f"{', '.join(unknown)} is none of {', '.join(choices)}"
            )
        return found

    return parse


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def _measure(options: argparse.Namespace, records: Records) -> bool:
    code = code_version()
    groups = list(groups_of(cases_of(options)))
    if not options.again:
        groups = [each for each in groups if not records.has(each, code)]
    cases = [case for group in groups for case in group]
    if not cases:
        return False
    failed = False
    with _measuring(cases, options) as measuring:
        for case in cases:
            print(case.describe(), flush=True)
            try:
                record = measuring.run(case)
            except FailedError as error:
                failed = True
                print(f"  FAILED: {error}", flush=True)
                continue
            records.add(dataclasses.replace(record, code=code))
            print(f"  {record.describe()}", flush=True)
    return failed


@contextlib.contextmanager
def _measuring(cases: Sequence[Case], options: argparse.Namespace) -> Iterator[Measuring]:
    with workspace() as folder:
        source = Source(folder / "source")
        for shape in dict.fromkeys(each.shape for each in cases if each.part != "datasets"):
            source.add_shape(shape)
        for fleet in dict.fromkeys(each.fleet for each in cases if each.part == "datasets"):
            fleet.add_to(source)
        aws_config = folder / "aws.config"
        aws_config.write_text(AWS_CONFIG)
        log = folder / "traffic.log"
        with serve(
            source,
            make_certificates(folder / "certificates"),
            folder / "server",
            api_delays_ms=sorted({case.delay_ms for case in cases}),
            traffic_log=log,
        ) as server:
            yield Measuring(
                server=server,
                traffic=TrafficLog(log),
                destination=folder / "out",
                aws_config=aws_config,
                timeout_seconds=270.0 if options.quick else 7200.0,
            )


if __name__ == "__main__":
    sys.exit(main())

"""`python -m benchmarks`: serves, measures, reports.

The parts datasets, files and shards are `benchmarks.scaling`, topics is `benchmarks.topics`.
"""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import signal
import sys
from collections.abc import Iterator, Sequence

from benchmarks import shapes, sync_cases
from benchmarks.certificates import make_certificates
from benchmarks.chart import draw_charts
from benchmarks.contenders.job import AWS_CONFIG
from benchmarks.lineup import ALL, Contender
from benchmarks.report import write_report
from benchmarks.results import Results
from benchmarks.scaling import __main__ as scaling
from benchmarks.scaling import cases
from benchmarks.schedule import Bench, run_rounds
from benchmarks.server import NoServerError, serve
from benchmarks.shapes import Scheme, Shape
from benchmarks.source import Source
from benchmarks.tools import has_module
from benchmarks.topics import __main__ as topics
from benchmarks.workspace import workspace

TOPICS = "topics"
PARTS = ("shapes", "growth", "sync", *cases.PARTS, TOPICS)
# Growth takes minutes with the slow ones, and shows nothing new about them.
_GROWTH_CONTENDERS = ("ours, curl", "asset, curl", "s5cmd", "obstore", "SDK")
_SLOW = {"SDK": 10_000}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmarks.

    Returns:
        The process's exit code: 1 if one of ours failed to download its files, or nothing can serve.
    """
    options = _parse(arguments)
    parts = options.parts.split(",")
    of_scaling = [part for part in parts if part in cases.PARTS]
    shared = ["--output", str(options.output), *(["--quick"] if options.quick else [])]
    code = _compare(options) if set(parts) - {*cases.PARTS, TOPICS} else 0
    if of_scaling:
        code |= scaling.main(["--parts", ",".join(of_scaling), *shared])
    if TOPICS in parts:
        code |= topics.main(shared)
    return code


def _compare(options: argparse.Namespace) -> int:
    # Or servers and gigabytes of memory would stay behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        results = _run(options)
    except NoServerError as error:
        print(error, file=sys.stderr)
        return 1
    ours = {one.name for one in ALL if one.group == "ours"}
    failed = [cell for cell in results.cells if cell.failures and cell.contender in ours]
    return 1 if failed or results.case_failures.keys() - {"all"} else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ", ".join(f'"{one.name}"' for one in ALL)
    parser.add_argument("--quick", action="store_true", help="tiny: only whether all of it works")
    parser.add_argument("--rounds", type=int, help="how often everything is measured (default 3)")
    parser.add_argument("--only", help=f"contenders, separated by semicolons: {names}")
    parser.add_argument("--shapes", help="small,mid,big: which of them", default="small,mid,big")
    parser.add_argument("--schemes", help="http,https: which of them", default="http,https")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {','.join(PARTS)}")
    parser.add_argument("--unchanged-files", type=int, help="of the sync (default 1,000,000)")
    parser.add_argument("--datasets", type=int, help="of one file, in one run (default 1,000)")
    parser.add_argument(
        "--no-checksums", action="store_true", help="serve objects without checksums"
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path(__file__).parent,
        help="folder for RESULTS.md, SCALING.md, TOPICS.md and the pictures (default: benchmarks)",
    )
    return parser.parse_args(arguments)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What a run measures."""

    contenders: Sequence[Contender]
    cases: Sequence[tuple[Shape, Scheme]]
    growth: Sequence[Shape]
    unchanged: Shape | None
    datasets: Shape
    rounds: int
    load_before: float
    is_quick: bool

    @property
    def installed(self) -> list[Contender]:
        return [one for one in self.contenders if one.is_installed]


def _plan(options: argparse.Namespace) -> _Plan:
    is_quick = options.quick
    unchanged = sync_cases.unchanged_shape(
        options.unchanged_files or (100 if is_quick else 1_000_000)
    )
    return _Plan(
        contenders=_chosen(options.only),
        cases=_cases(options),
        growth=_growth_shapes(options),
        unchanged=unchanged if "sync" in options.parts.split(",") else None,
        datasets=sync_cases.datasets_shape(options.datasets or (5 if is_quick else 1000)),
        rounds=options.rounds or (1 if is_quick else 3),
        load_before=os.getloadavg()[0],
        is_quick=is_quick,
    )


def _run(options: argparse.Namespace) -> Results:
    plan, results = _plan(options), Results()
    with workspace() as folder, _bench(plan, folder, options) as bench:
        bench.log(bench.server.description)
        try:
            _measure(bench, plan, results)
        finally:  # also when interrupted: what is measured is reported
            _report(options.output, results, plan, bench.server.description)
    return results


@contextlib.contextmanager
def _bench(plan: _Plan, folder: pathlib.Path, options: argparse.Namespace) -> Iterator[Bench]:
    source = Source(folder / "source")
    for shape in dict.fromkeys([*(shape for shape, _ in plan.cases), *plan.growth]):
        source.add_shape(shape)
    if plan.unchanged is not None:
        sync_cases.add_to(source, plan.unchanged, plan.datasets)
    certificates = make_certificates(folder / "certificates")
    aws_config = folder / "aws.config"
    aws_config.write_text(AWS_CONFIG)
    has_checksums = not options.no_checksums
    with serve(source, certificates, folder / "server", has_checksums=has_checksums) as server:
        yield Bench(
            server=server,
            source=source,
            workspace=folder,
            aws_config=aws_config,
            timeout_seconds=120.0 if plan.is_quick else 1800.0,
            log=lambda line: print(line, flush=True),
        )


def _measure(bench: Bench, plan: _Plan, results: Results) -> None:
    if plan.is_quick:  # complete assets take seconds to import: once is enough
        stores = [one for one in plan.installed if not one.is_asset]
        run_rounds(bench, results, plan.installed, plan.cases[:1], plan.rounds)
        run_rounds(bench, results, stores, plan.cases[1:], plan.rounds)
    else:
        run_rounds(bench, results, plan.installed, plan.cases, plan.rounds)
    for shape in plan.growth:
        able = _able_to_grow(plan.installed, shape, is_quick=plan.is_quick)
        run_rounds(bench, results, able, [(shape, "http")], rounds=1)
    if plan.unchanged is not None:
        sync_cases.run_cases(bench, results, plan.unchanged, plan.datasets)


def _chosen(only: str | None) -> list[Contender]:
    names = [name.strip() for name in only.split(";")] if only else [one.name for one in ALL]
    unknown = set(names) - {one.name for one in ALL}
    if unknown:
        raise SystemExit(f"There is no contender {', '.join(sorted(unknown))}.")
    return [one for one in ALL if one.name in names]


def _cases(options: argparse.Namespace) -> list[tuple[Shape, Scheme]]:
    if "shapes" not in options.parts.split(","):
        return []
    if options.quick:
        return [(shapes.QUICK_SMALL, "http"), (shapes.QUICK_BIG, "https")]
    schemes: Sequence[Scheme] = ("http", "https")
    return [
        (shape, scheme)
        for shape in shapes.FULL
        for scheme in schemes
        if shape.name in options.shapes.split(",") and scheme in options.schemes.split(",")
    ]


def _growth_shapes(options: argparse.Namespace) -> Sequence[Shape]:
    if "growth" not in options.parts.split(","):
        return ()
    return shapes.QUICK_GROWTH if options.quick else shapes.GROWTH


def _able_to_grow(
    installed: Sequence[Contender], shape: Shape, *, is_quick: bool
) -> list[Contender]:
    names = _GROWTH_CONTENDERS[:1] if is_quick else _GROWTH_CONTENDERS
    return [
        one
        for one in installed
        if one.name in names and shape.files <= _SLOW.get(one.name, shape.files)
    ]


def _report(folder: pathlib.Path, results: Results, plan: _Plan, server: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    charts = draw_charts(folder, results) if has_module("matplotlib") else []
    path = write_report(
        folder,
        results,
        plan.contenders,
        server=server,
        rounds=plan.rounds,
        charts=charts,
        load_before=plan.load_before,
        is_quick=plan.is_quick,
    )
    print(f"Wrote {path}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

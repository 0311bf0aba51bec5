"""The benchmarks: that they run with what is installed, and that who fails does not win."""

import pathlib
import subprocess
import sys

import pytest

from benchmarks.measure import Measurement
from benchmarks.report import write_report
from benchmarks.results import Bound, Results, bounds
from benchmarks.shapes import SMALL
from benchmarks.tools import find_nginx
from tests.waiting import GUARD_SECONDS

ROOT = pathlib.Path(__file__).parent.parent


def measured(results: Results, contender: str, *seconds: float) -> None:
    """Put measurements of the small shape into the results."""
    cell = results.cell(contender, SMALL, "http")
    cell.measurements.extend(
        Measurement(seconds=one, cpu_seconds=0.5, rss_bytes=64 * 2**20) for one in seconds
    )


def bound_on(results: Results, what: str) -> Bound:
    """Return the bound of that name."""
    return next(bound for bound in bounds(results) if bound.what == what)


def test_a_bound_compares_medians() -> None:
    """One slow round of either does not decide."""
    results = Results()
    measured(results, "ours, curl", 1.0, 1.1, 9.0)
    measured(results, "SDK", 33.0, 90.0, 22.0)
    bound = bound_on(results, "small http: times as fast as SDK")
    assert bound.reached == pytest.approx(30)
    assert bound.is_met


def test_who_fails_in_one_round_does_not_win() -> None:
    """A tool that downloaded nothing would else be the fastest."""
    results = Results()
    measured(results, "ours, curl", 1.0)
    results.cell("ours, curl", SMALL, "http").failures.append("4999 files instead of 5000")
    measured(results, "SDK", 33.0)
    bound = bound_on(results, "small http: times as fast as SDK")
    assert bound.reached is None
    assert not bound.is_met


def test_the_share_of_the_bare_loop_is_that_of_the_faster_one() -> None:
    """A slow variant of the bare loop does not flatter ours."""
    results = Results()
    measured(results, "ours, curl", 1.0)
    measured(results, "bare, 1 thread", 2.0)
    measured(results, "bare, 2 threads", 0.8)
    reached = bound_on(results, "small http: share of the faster bare loop's rate").reached
    assert reached == pytest.approx(0.8)


def test_a_report_names_no_path(tmp_path: pathlib.Path) -> None:
    """What a tool printed when it failed may hold paths of the machine: the report only counts it."""
    results = Results()
    results.cell("s5cmd", SMALL, "http").failures.append("ERROR open /home/somebody/x")
    path = write_report(tmp_path, results, [], server="A server.", rounds=1)
    text = path.read_text(encoding="utf-8")
    assert "s5cmd, small, http: failed in 1 of 1 rounds" in text
    assert "/home" not in text


def run_quickly(parts: str, folder: pathlib.Path) -> None:
    """Run the quick mode of some parts; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--parts", parts, "--output", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=2 * GUARD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.programs
@pytest.mark.skipif(find_nginx() is None, reason="nginx is not installed")
@pytest.mark.parametrize(
    ("parts", "rows"),
    [("shapes,growth", ["ours, curl", "asset, curl"]), ("sync", ["unchanged", "datasets"])],
)
def test_the_quick_mode_runs_what_is_installed(
    tmp_path: pathlib.Path, parts: str, rows: list[str]
) -> None:
    """`python -m benchmarks --quick` measures every contender and writes its report."""
    run_quickly(parts, tmp_path)
    report = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert all(f"| {row} |" in report for row in rows)
    assert "What failed" not in report
    assert str(tmp_path) not in report


@pytest.mark.slow
@pytest.mark.programs
@pytest.mark.skipif(find_nginx() is None, reason="nginx is not installed")
@pytest.mark.parametrize(
    ("part", "title"),
    [
        ("datasets", "## Many datasets in one run"),
        ("files", "## Many files in one dataset"),
        ("shards", "over worker processes"),
    ],
)
def test_the_quick_mode_measures_growth(tmp_path: pathlib.Path, part: str, title: str) -> None:
    """Each part runs alone, and writes the report."""
    run_quickly(part, tmp_path)
    report = (tmp_path / "SCALING.md").read_text(encoding="utf-8")
    assert title in report
    assert str(tmp_path) not in report
    assert (tmp_path / "scaling.json").read_text().count("\n") > 0

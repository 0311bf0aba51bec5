"""The benchmarks of topics: that each kind of log can be measured, and what the report says."""

import json
import pathlib

import pytest

from benchmarks.topics import contender
from benchmarks.topics.__main__ import main
from benchmarks.topics.cases import ARROW, CASES, LOOP, OURS
from benchmarks.topics.records import TopicsRecord, TopicsRecords
from benchmarks.topics.report import write_report

pytestmark = pytest.mark.slow


def record(case: str, who: str, *cpu_seconds: float) -> TopicsRecord:
    """Return what a contender took."""
    return TopicsRecord(
        case=case,
        who=who,
        log_bytes=10**8,
        rows=1000,
        cpu_seconds=cpu_seconds,
        seconds=cpu_seconds,
        rss_bytes=200 * 2**20,
        load_before=0.1,
    )


def test_a_bound_compares_medians(tmp_path: pathlib.Path) -> None:
    """One slow round of either does not decide; what was not measured is left out."""
    records = TopicsRecords(tmp_path / "topics.json")
    records.add(record("ros2-mcap", OURS, 1.0, 1.0, 9.0))
    records.add(record("ros2-mcap", LOOP, 3.0, 9.0, 1.0))
    text = write_report(tmp_path, TopicsRecords(tmp_path / "topics.json")).read_text("utf-8")
    title = CASES["ros2-mcap"].title
    assert f"| {title} | the library's loop | ≥ 1.5 | 3.00 | 200 | ≤ 400 |" in text
    assert CASES["ulog"].title not in text


def test_a_case_that_is_measured_again_replaces_its_record(tmp_path: pathlib.Path) -> None:
    """And what other runs have measured stays."""
    path = tmp_path / "topics.json"
    records = TopicsRecords(path)
    records.add(record("images", OURS, 4.0))
    records.add(record("images", ARROW, 1.0))
    TopicsRecords(path).add(record("images", OURS, 2.0))
    assert TopicsRecords(path).ratio("images", ARROW) == pytest.approx(0.5)
    assert TopicsRecords(path).ratio("images", LOOP) is None


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_log_is_decoded(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Ours has a row for every message that the bare loop reads."""
    case = CASES[name]
    log = case.write(tmp_path / case.file_name, case.quick_ticks)
    for who in case.contenders:
        (tmp_path / who).mkdir()
        contender.main(name, who, log, tmp_path / who)
    rows = [json.loads(line)["rows"] for line in capsys.readouterr().out.splitlines()]
    assert rows[0] >= max(rows[:2]) > 0


def test_the_quick_mode_measures(tmp_path: pathlib.Path) -> None:
    """It writes the log, runs each contender in a process of its own, and reports."""
    assert main(["--quick", "--cases", "json", "--output", str(tmp_path)]) == 0
    report = (tmp_path / "TOPICS.md").read_text("utf-8")
    assert f"| {CASES['json'].title} | the library's loop | ≥ 0.45 |" in report
    assert str(tmp_path) not in report

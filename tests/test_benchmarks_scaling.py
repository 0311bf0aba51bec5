"""The harness of the growth curves: what it measures, counts and keeps."""

import dataclasses
import errno
import os
import pathlib

import pytest

from benchmarks.processes import cpu_seconds
from benchmarks.scaling.__main__ import parse
from benchmarks.scaling.cases import OURS, SDK, Case, cases_of, groups_of
from benchmarks.scaling.records import Record, Records
from benchmarks.scaling.report import write_report
from benchmarks.scaling.traffic import Traffic, TrafficLog
from benchmarks.shapes import Shape
from benchmarks.source import Source


def record(
    who: str = OURS, *, seconds: float = 10.0, datasets: int = 1000, **fields: int
) -> Record:
    """Return a record of many datasets of one file, cold, behind a slow API."""
    case = Case(
        part="datasets",
        who=who,
        state="cold",
        datasets=datasets,
        files_each=1,
        delay_ms=100,
        **fields,
    )
    return Record(
        case=case,
        seconds=seconds,
        cpu_seconds=2.0,
        rss_bytes=2**27,
        api=Traffic(requests=2000, connections=16),
        store=Traffic(requests=1000, connections=64),
        disk_bytes=2**24,
        inodes=3000,
        load_before=0.1,
        first_byte_ms=30.0,
    )


def test_requests_and_connections_are_counted_by_port(tmp_path: pathlib.Path) -> None:
    """From the last start on; a connection may carry several requests."""
    path = tmp_path / "traffic.log"
    path.write_text("80 1\n")
    log = TrafficLog(path)
    log.start()
    with path.open("a") as file:
        file.write("80 1\n80 2\n80 2\n81 3\n")
    assert log.of([80]) == Traffic(requests=3, connections=2)
    assert log.of([81, 82]) == Traffic(requests=1, connections=1)


def test_a_case_that_is_measured_again_replaces_its_record(tmp_path: pathlib.Path) -> None:
    """And what other runs have measured stays."""
    path = tmp_path / "scaling.json"
    records = Records(path)
    records.add(record(seconds=10.0))
    records.add(record(SDK, datasets=100))
    Records(path).add(record(seconds=5.0))
    assert [(each.case.who, each.seconds) for each in Records(path).of_part("datasets")] == [
        (SDK, 10.0),
        (OURS, 5.0),
    ]  # by size


@pytest.mark.slow
def test_the_report_compares_what_was_measured(tmp_path: pathlib.Path) -> None:
    """Bounds without figures are left out."""
    records = Records(tmp_path / "scaling.json")
    records.add(record(side_by_side=16, seconds=20.0))
    records.add(record(side_by_side=1, seconds=160.0))
    records.add(record(side_by_side=16, datasets=100, seconds=2.0))
    records.add(record(SDK, datasets=100, seconds=54.0))
    text = write_report(tmp_path, records).read_text("utf-8")
    plain = text.replace("\N{MULTIPLICATION SIGN}", "x")
    assert "16 side by side over one by one (1,000 datasets) | ≥ 6 x | 8.0 x |" in plain
    assert "a loop of `download_files` (100 datasets) | ≥ 10 x | 27.0 x |" in plain
    assert "unchanged, API after 100 ms" not in plain
    assert "| 1,000 x 1 | 100 | cold | 16 | 20.00 | 20.0 |" in plain


def test_cold_goes_before_unchanged() -> None:
    """What has not changed was fetched by the case before, of the same datasets."""
    options = parse(["--parts", "datasets", "--quick"])
    cases = list(cases_of(options))
    assert [(case.state, case.who) for case in cases] == [
        ("cold", OURS),
        ("unchanged", OURS),
        ("cold", SDK),
    ]


def test_what_works_on_the_same_files_is_measured_together() -> None:
    """Where one of them is to be measured, its files are fetched again."""
    options = parse(["--parts", "datasets,files", "--quick"])
    groups = [[(case.part, case.state) for case in group] for group in groups_of(cases_of(options))]
    assert groups == [
        [("datasets", "cold"), ("datasets", "unchanged")],
        [("datasets", "cold")],  # the SDK's
        [("files", "cold"), ("files", "unchanged"), ("files", "unchanged")],
    ]


def test_what_was_measured_of_the_same_code_is_not_measured_again(tmp_path: pathlib.Path) -> None:
    """So a run that was interrupted goes on where it was."""
    records = Records(tmp_path / "scaling.json")
    cold = dataclasses.replace(record(), code="v1")
    unchanged = dataclasses.replace(cold.case, state="unchanged")
    records.add(cold)
    assert records.has([cold.case], "v1")
    assert not records.has([cold.case], "v2")
    assert not records.has([cold.case, unchanged], "v1")


def test_what_is_slow_is_measured_with_fewer_datasets() -> None:
    """Except where all is asked for."""

    def most_one_by_one(*arguments: str) -> int:
        cases = cases_of(parse(["--parts", "datasets", "--files-each", "1", *arguments]))
        return max(
            case.datasets
            for case in cases
            if (case.who, case.side_by_side, case.delay_ms) == (OURS, 1, 100)
        )

    assert most_one_by_one() == 300
    assert most_one_by_one("--all") == 10_000


@pytest.mark.slow
def test_the_report_compares_workers(tmp_path: pathlib.Path) -> None:
    """With one, of the same files and store."""
    records = Records(tmp_path / "scaling.json")
    for pace_ms, workers, seconds in ((30, 1, 60.0), (30, 2, 30.0), (0, 1, 50.0), (0, 2, 40.0)):
        case = Case(
            part="shards",
            who=OURS,
            state="cold",
            datasets=1,
            files_each=8,
            side_by_side=workers,
            pace_ms=pace_ms,
        )
        records.add(dataclasses.replace(record(seconds=seconds), case=case))
    plain = write_report(tmp_path, records).read_text("utf-8")
    plain = plain.replace("\N{MULTIPLICATION SIGN}", "x")
    assert "paced store: two workers over one | ≥ 1.5 x | 2.00 x |" in plain
    assert "on the workers' cores: two workers over one | ≥ 1.5 x | 1.25 x |" in plain


def test_the_cpu_time_of_a_process_that_is_gone_is_none() -> None:
    """That of one that runs is what the system reports."""
    assert cpu_seconds([os.getpid()]) > 0
    assert cpu_seconds([2**22 + 1]) == 0  # above the system's largest


def test_objects_are_copied_where_a_file_has_too_many_links(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some filesystems allow 65,000."""
    link = pathlib.Path.hardlink_to

    def limited(target: pathlib.Path, first: pathlib.Path) -> None:
        if first.stat().st_nlink == 2:
            raise OSError(errno.EMLINK, "Too many links")
        link(target, first)

    monkeypatch.setattr(pathlib.Path, "hardlink_to", limited)
    source = Source(tmp_path / "source")
    source.add_shape(Shape(name="few", files=5, size_bytes=10))
    objects = sorted(source.objects.glob("bench/few/**/*.bin"))
    assert len({path.read_bytes() for path in objects}) == 1
    assert len({path.stat().st_ino for path in objects}) == 3
    assert len({int(path.stat().st_mtime) for path in objects}) == 1

"""What lies in `examples/` runs."""

import importlib.util
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import dagster as dg
import pytest

from tests.waiting import GUARD_SECONDS

pytestmark = pytest.mark.slow

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"


def load(path: pathlib.Path) -> ModuleType:
    """Imports a code location as Dagster does, by its path."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def quickstart(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[ModuleType]:
    """The quickstart with sample logs, its files in a folder of the test's."""
    monkeypatch.delenv("ROBOTO_API_KEY", raising=False)
    monkeypatch.delenv("ROBOTO_DEMO_LOGS", raising=False)
    monkeypatch.setenv("ROBOTO_DEMO_FOLDER", str(tmp_path))
    module = load(EXAMPLES / "quickstart.py")
    yield module
    module.PLATFORM.stop()


def test_the_quickstart_reports_the_formats_of_its_logs(quickstart: ModuleType) -> None:
    """A partition materializes, and the asset downstream reads its manifest and its logs."""
    result = dg.materialize(
        [quickstart.robot_logs, quickstart.log_formats],
        resources=quickstart.resources,
        partition_key="ds_rover_runs",
    )
    (formats,) = result.asset_materializations_for_node("log_formats")
    table = formats.metadata["formats"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [(row.data["format"], row.data["files"]) for row in table.records] == [("MCAP", 3)]


def test_the_quickstart_is_the_same_in_the_next_process(quickstart: ModuleType) -> None:
    """Ids are stable, so that a run in another process finds its files unchanged."""
    again = load(EXAMPLES / "quickstart.py")
    try:
        assert again.dataset_ids == quickstart.dataset_ids
        ids = [
            module.PLATFORM.record("ds_rover_runs", "rover_1.mcap")["file_id"]
            for module in (quickstart, again)
        ]
        assert ids[0] == ids[1]
    finally:
        again.PLATFORM.stop()


def test_the_quickstart_fills_each_page_of_the_ui(quickstart: ModuleType) -> None:
    """It has jobs, checks, a sensor and a schedule, and loads."""
    repository = quickstart.defs.get_repository_def()
    assert repository.has_job("robot_logs_and_formats")
    assert repository.has_sensor_def("robot_logs_sensor")
    assert repository.has_schedule_def("robot_logs_schedule")
    assert len(repository.asset_graph.asset_check_keys) > 1
    dg.Definitions.validate_loadable(quickstart.defs)


@pytest.fixture
def demo(tmp_path: pathlib.Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Starts the demo, with its files in a folder of the test's."""

    def start(**environment: str) -> "subprocess.Popen[str]":
        home = tmp_path / "dagster"
        home.mkdir(exist_ok=True)
        private = {"DAGSTER_HOME": str(home), "ROBOTO_DEMO_FOLDER": str(tmp_path / "demo")}
        return subprocess.Popen(
            [sys.executable, EXAMPLES / "demo.py"],
            env={**os.environ, **private, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


Demo = Callable[..., "subprocess.Popen[str]"]


def test_the_demo_keeps_its_promise(
    demo: Demo, quickstart: ModuleType, tmp_path: pathlib.Path
) -> None:
    """`make demo` succeeds with sample logs, which it calls so; its failed run can run again in the UI."""
    out, error = (process := demo()).communicate(timeout=GUARD_SECONDS)
    assert process.returncode == 0, out + error
    assert "sample robot logs" in out
    assert "NOT_FOUND" in out
    assert "0 requests to the store" in out
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        failed = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    assert [run.job_name for run in failed] == ["robot_logs_and_formats"]
    job = quickstart.defs.resolve_job_def(failed[0].job_name)
    assert dg.validate_run_config(job, failed[0].run_config)


def test_the_demo_takes_logs_of_your_own(demo: Demo, tmp_path: pathlib.Path) -> None:
    """Logs in sub-folders are taken too, also where two of them have one name."""
    for name in ("mon/log.bag", "tue/log.bag", "a[1].MCAP", "notes.txt"):
        (tmp_path / "given" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "given" / name).write_bytes(b"#ROSBAG V2.0\n" + name.encode())
    out, error = (process := demo(ROBOTO_DEMO_LOGS=str(tmp_path / "given"))).communicate(
        timeout=GUARD_SECONDS
    )
    assert process.returncode == 0, out + error
    delivered = (tmp_path / "demo" / "data").glob("ds_*/**/*.*")
    assert sorted(path.name for path in delivered) == ["a[1].MCAP", "log.bag", "log.bag"]
    assert "sample" not in out


def test_the_demo_names_logs_that_it_cannot_use(demo: Demo, tmp_path: pathlib.Path) -> None:
    """A folder that is not there is one line that names it."""
    missing = tmp_path / "missing"
    out, error = (process := demo(ROBOTO_DEMO_LOGS=str(missing))).communicate(timeout=GUARD_SECONDS)
    assert (process.returncode, out) == (1, "")
    assert error.startswith(f"make demo: ROBOTO_DEMO_LOGS={missing} is not a folder.")
    assert len(error.splitlines()) == 1


def test_a_folder_without_logs_is_refused(quickstart: ModuleType, tmp_path: pathlib.Path) -> None:
    """Other files do not make it one of logs."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no log")
    with pytest.raises(ValueError, match=r"ROBOTO_DEMO_LOGS=.*empty has no \.bag, "):
        quickstart.add_logs(tmp_path / "empty")


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is no signal here")
@pytest.mark.parametrize("until", ["importing", "1. Materialize"])
def test_ctrl_c_ends_the_demo_shortly(demo: Demo, tmp_path: pathlib.Path, until: str) -> None:
    """Ctrl-C, while it starts or in the middle, is answered in a line."""
    # While it starts, it imports Dagster: here a module that reports it.
    (tmp_path / "dagster.py").write_text(
        "import time\nprint('importing', flush=True)\ntime.sleep(600)\n"
    )
    process = demo(**({"PYTHONPATH": str(tmp_path)} if until == "importing" else {}))
    assert process.stdout is not None
    while until not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=GUARD_SECONDS)
    assert process.returncode != 0
    assert "Interrupted. `make demo` starts again." in error
    assert len(error.splitlines()) <= 3, error


@pytest.fixture
def topics_example(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[ModuleType]:
    """The example of topics, its files in a folder of the test's."""
    monkeypatch.setenv("ROBOTO_DEMO_FOLDER", str(tmp_path))
    module = load(EXAMPLES / "topics.py")
    yield module
    module.PLATFORM.stop()


def test_the_topics_of_sample_logs_are_tables(topics_example: ModuleType) -> None:
    """A partition is delivered, decoded, checked and read by what is downstream."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = topics_example.defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, partition_key="ds_rover_runs"
        )
    assert [each.passed for each in result.get_asset_check_evaluations()] == [True] * 3
    (event,) = result.asset_materializations_for_node("seconds_driven")
    table = event.metadata["logs"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [(row.data["_log"], row.data["seconds"]) for row in table.records] == [
        ("rover_1.mcap", 59),
        ("rover_2.mcap", 119),
        ("rover_3.mcap", 179),
    ]

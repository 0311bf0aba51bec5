"""The sensors in a real `dagster-daemon`, which evaluates them, drops known run keys and launches the runs."""

import datetime as dt
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import pytest
from typing_extensions import Self

from roboto_dagster.testing import LocalRoboto, faults
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

LOCATION = pathlib.Path(__file__).parent / "sensor_location.py"
REPOSITORY = pathlib.Path(__file__).parents[2]
DAY = dt.timedelta(days=1)
SETTINGS = """\
telemetry: {enabled: false}
run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}
"""


class Daemon:
    """A daemon in a process group of its own; use it in a `with`."""

    def __init__(self, folder: pathlib.Path, environment: Mapping[str, str]) -> None:
        self._home = folder / "home"
        self._home.mkdir()
        (self._home / "dagster.yaml").write_text(SETTINGS)
        self._log = folder / "daemon.log"
        self._environment = {
            **os.environ,
            **environment,
            "DAGSTER_HOME": str(self._home),
            "SENSOR_FOLDER": str(folder),
            "PYTHONPATH": os.pathsep.join(
                [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
            ),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.instance = dg.DagsterInstance.from_config(str(self._home))

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "dagster._daemon", "run", "-f", str(LOCATION)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._home,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.instance.dispose()

    def why(self) -> str:
        """Return what the daemon has written."""
        return self._log.read_text(errors="replace")[-4000:]

    def wait_for_tick(self, sensor: str, text: str) -> None:
        """Wait until a tick of a sensor was skipped for a reason with a text in it."""

        def was_skipped() -> bool:
            return any(text in (tick.skip_reason or "") for tick in self._ticks(sensor))

        wait_until(was_skipped, why=self.why)

    def wait_for_partition(self, asset: str, key: str, runs: int) -> None:
        """Wait until so many runs have materialized a partition."""

        def is_there() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, self.why()
            return self.materializations(asset, key) >= runs

        wait_until(is_there, why=self.why)

    def materializations(self, asset: str, key: str | None) -> int:
        """Return how often a partition was materialized."""
        records = self.instance.fetch_materializations(dg.AssetKey(asset), limit=100).records
        return [record.partition_key for record in records].count(key)

    def reset_cursor(self, sensor: str) -> None:
        """Delete a sensor's cursor, as its button in the UI does, so that no tick puts it back."""

        def is_reset() -> bool:
            state = self._state(sensor)
            assert state is not None
            data = state.instigator_data
            if data.cursor is None and len(self._ticks(sensor)) > ticks_before:
                return True
            if data.cursor is not None:
                self.instance.update_instigator_state(state.with_data(data._replace(cursor=None)))
            return False

        ticks_before = len(self._ticks(sensor))
        wait_until(is_reset, why=self.why)

    def _state(self, sensor: str) -> Any:
        states = self.instance.all_instigator_state()
        return next((state for state in states if state.instigator_name == sensor), None)

    def _ticks(self, sensor: str) -> list[Any]:
        state = self._state(sensor)
        if state is None:
            return []
        return list(
            self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=50)
        )


class Clock:
    """The clock of the platform and, through a file, of the sensors."""

    def __init__(self, file: pathlib.Path) -> None:
        self._file = file
        self.folder = file.parent

    def __call__(self) -> dt.datetime:
        """Return the time."""
        return dt.datetime.fromisoformat(self._file.read_text("utf-8"))

    def set(self, time: dt.datetime) -> None:
        """Change the time at once: a half-written file would be no time."""
        new = self._file.with_suffix(".new")
        new.write_text(time.isoformat(), "utf-8")
        new.replace(self._file)


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    """The time: noon of yesterday, so that yesterday is not over yet."""
    made = Clock(tmp_path_factory.mktemp("daemon") / "clock")
    noon = dt.time(12, tzinfo=dt.timezone.utc)
    made.set(dt.datetime.combine(dt.datetime.now(dt.timezone.utc).date(), noon) - DAY)
    return made


@pytest.fixture(scope="module")
def local(clock: Clock) -> Iterator[LocalRoboto]:
    """A platform on the test's time."""
    with LocalRoboto(clock=clock) as platform:
        yield platform


@pytest.fixture(scope="module")
def daemon(local: LocalRoboto, clock: Clock) -> Iterator[Daemon]:
    """A daemon for both tests, since it takes seconds to start; each test has a sensor of its own."""
    with Daemon(clock.folder, local.environment()) as started:
        yield started


def test_dataset_of_today_is_delivered_when_the_day_is_over(
    daemon: Daemon, local: LocalRoboto, clock: Clock
) -> None:
    """While its window is open the change waits; once it is a partition, that one is materialized."""
    today = f"{clock():%Y-%m-%d}"
    dataset_id = local.add_dataset(tags=["daily"])
    local.add_file(dataset_id, "a.bin", b"a")
    daemon.wait_for_tick("daily_sensor", today)
    assert daemon.materializations("daily", None) == 0
    clock.set(clock() + DAY)
    daemon.wait_for_partition("daily", today, runs=1)
    assert (clock.folder / "daily" / dataset_id / "a.bin").read_bytes() == b"a"
    assert daemon.materializations("daily", None) == 0


def test_reset_cursor_loses_no_change(daemon: Daemon, local: LocalRoboto, clock: Clock) -> None:
    """What changed between the last tick and the reset is delivered, in a run that Dagster does not drop."""
    dataset_id = local.add_dataset(tags=["flights"])
    local.add_file(dataset_id, "a.bin", b"a")
    daemon.wait_for_partition("flights", dataset_id, runs=1)
    outage = local.faults.add(faults.status(503), service="api")
    local.add_file(dataset_id, "b.bin", b"b")
    daemon.reset_cursor("flights_sensor")
    local.faults.remove(outage)
    daemon.wait_for_partition("flights", dataset_id, runs=2)
    assert (clock.folder / "flights" / dataset_id / "b.bin").read_bytes() == b"b"

"""A run that is ended from outside: its transfers stop, complete files stay, no incomplete one is left."""

import dataclasses
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import ObjectStoreResource
from roboto_dagster.testing import LocalRoboto, faults
from roboto_dagster.testing.server.content import BodyContent
from roboto_dagster.testing.server.messages import Request, Response
from tests.conftest import Materializer
from tests.dagster_dev import DagsterDev, wait_until

pytestmark = pytest.mark.slow

LOCATION = pathlib.Path(__file__).parent / "slow_logs.py"
REPOSITORY = pathlib.Path(__file__).parents[2]
QUICK = [f"quick_{number}.bin" for number in range(6)]
SLOW = [f"slow_{number}.bin" for number in range(20)]


class Watch:
    """Sees every chunk of a body that the platform sends; a fault that harms nothing.

    Attributes:
        sent_at: When the last chunk was sent.
    """

    def __init__(self) -> None:
        self.sent_at = 0.0
        self.fault = faults.Fault(name="watch", after=self._watched)

    def _watched(self, _: Request, response: Response) -> Response:
        return dataclasses.replace(response, body=Watched(response.body, self))


class Watched(BodyContent):
    """Bytes of which a watch knows when they are sent."""

    def __init__(self, content: BodyContent, watch: Watch) -> None:
        self._content = content
        self._watch = watch

    def __len__(self) -> int:
        return len(self._content)

    def read(self, start: int, stop: int) -> bytes:
        """Return some of the bytes, which are sent at once."""
        self._watch.sent_at = time.monotonic()
        return self._content.read(start, stop)


class Scene:
    """A dataset whose first files come at once, all others at 0.1 MB/s a connection, and its destination.

    Attributes:
        environment: Of a process that runs `slow_logs.py`.
    """

    def __init__(self, local: LocalRoboto, engine: str, folder: pathlib.Path) -> None:
        self._local = local
        self._destination = folder / "logs"
        self._watch = Watch()
        self.dataset_id = local.add_dataset("slow")
        for name in QUICK:  # big files go first
            local.add_file(self.dataset_id, name, name.encode() * 600_000)
        for name in SLOW:
            local.add_file(self.dataset_id, name, b"x" * 4_000_000)
        slow = f"*{self.dataset_id}/slow_*"
        local.faults.add(faults.trickle(bytes_per_second=100_000), key=slow)
        local.faults.add(self._watch.fault, key=slow)
        self.environment = {
            **local.environment(),
            "DAGSTER_HOME": str(folder),
            "DATASET_ID": self.dataset_id,
            "DESTINATION": str(self._destination),
            "ENGINE": engine,
            "PYTHONPATH": str(REPOSITORY),
        }

    def complete_files(self) -> list[str]:
        """Return the names of the published files."""
        return sorted(path.name for path in self._destination.glob("*/*.bin"))

    def partial_files(self) -> list[pathlib.Path]:
        """Return what is under way, or was."""
        return list(self._destination.rglob(".*.part"))

    def wait_for_slow_ones(self) -> None:
        """Wait until the quick files are complete and slow ones are under way."""
        wait_until(lambda: self.complete_files() == QUICK and self._watch.sent_at > 0, 120)

    def assert_silence(self, since: float) -> None:
        """See that nothing is sent any more two seconds after a time, for at least as long."""
        wait_until(lambda: time.monotonic() > max(since, self._watch.sent_at) + 2, 30)
        assert self._watch.sent_at - since < 2

    def assert_the_next_run_fetches_the_rest(self, materialize: Materializer) -> None:
        """Run it again, now that nothing is slow: what was complete costs no request."""
        self._local.faults.clear()
        self._local.requests.clear()
        partitions = dg.StaticPartitionsDefinition([self.dataset_id])
        asset = materialize.asset(destination=self._destination, partitions_def=partitions)
        assert materialize(asset, partition_key=self.dataset_id).success
        assert self._local.requests.count(service="s3", key="*quick_*") == 0
        assert self.complete_files() == sorted(QUICK + SLOW)
        assert self.partial_files() == []


@pytest.fixture(params=["curl", "boto3"])
def scene(request: pytest.FixtureRequest, local: LocalRoboto, tmp_path: pathlib.Path) -> Scene:
    """A dataset with slow files, for each engine."""
    return Scene(local, str(request.param), tmp_path)


@pytest.fixture
def process(scene: Scene, tmp_path: pathlib.Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A plain process in the middle of `dg.materialize`."""
    with (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(LOCATION)],
            env=scene.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            scene.wait_for_slow_ones()
            yield process
        finally:
            process.kill()
            process.wait()


def test_a_terminated_run_stops_at_once(
    scene: Scene, materialize: Materializer, tmp_path: pathlib.Path
) -> None:
    """Terminated from the UI, a run is silent within two seconds, CANCELED, and leaves complete files only."""
    with DagsterDev(["-f", str(LOCATION)], tmp_path / "home", scene.environment) as dagster:
        run_id = dagster.launch("logs", partition_key=scene.dataset_id)
        scene.wait_for_slow_ones()
        dagster.terminate(run_id)
        scene.assert_silence(since=time.monotonic())
        assert dagster.wait_for(run_id) == "CANCELED"
    assert (scene.complete_files(), scene.partial_files()) == (QUICK, [])
    scene.assert_the_next_run_fetches_the_rest(materialize)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "kill"])
def test_an_interrupted_process_stops_at_once(
    scene: Scene,
    process: "subprocess.Popen[bytes]",
    materialize: Materializer,
    number: signal.Signals,
) -> None:
    """Ended by Ctrl-C or `kill`, a plain process is silent within two seconds and leaves complete files only.

    Dagster takes both signals for interrupts while it runs an asset.
    """
    process.send_signal(number)
    scene.assert_silence(since=time.monotonic())
    assert process.wait(30) != 0
    assert (scene.complete_files(), scene.partial_files()) == (QUICK, [])
    scene.assert_the_next_run_fetches_the_rest(materialize)


@pytest.mark.parametrize("engine", ["curl", "boto3"])
def test_nobody_replaces_a_signal_handler(
    local: LocalRoboto, materialize: Materializer, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """Only Dagster may take interrupts: code that does turns a cancelled run into a failed one."""
    takers, real = set(), signal.signal

    def noted(number: int, handler: Any) -> Any:
        takers.add(sys._getframe(1).f_globals["__name__"].partition(".")[0])  # noqa: SLF001
        return real(number, handler)

    monkeypatch.setattr(signal, "signal", noted)
    dataset_id = local.add_dataset("signals")
    local.add_file(dataset_id, "a.bin", b"x")
    store = ObjectStoreResource(engine=engine, endpoint_url=local.s3_url)
    assert materialize(materialize.asset(dataset_id=dataset_id), object_store=store).success
    assert takers == {"dagster"}

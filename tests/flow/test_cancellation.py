"""A run that is ended from outside: its transfers stop, complete files stay, no incomplete one is left."""

import dataclasses
import json
import pathlib
import signal
import sys
import time
from typing import Any

import pytest

from roboto_dagster import ObjectStoreResource
from roboto_dagster.testing import LocalRoboto, faults
from roboto_dagster.testing.server.content import BodyContent
from roboto_dagster.testing.server.messages import Request, Response
from tests.conftest import Materializer
from tests.dagster_dev import DagsterDev
from tests.waiting import wait_until

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

    Args:
        local: The platform.
        destination: Where the dataset goes.

    Attributes:
        destination: Likewise.
        dataset_id: The dataset.
    """

    def __init__(self, local: LocalRoboto, destination: pathlib.Path) -> None:
        self._local = local
        self._watch = Watch()
        self.destination = destination
        self.dataset_id = local.add_dataset("slow")
        for name in QUICK:  # big files go first
            local.add_file(self.dataset_id, name, name.encode() * 600_000)
        for name in SLOW:
            local.add_file(self.dataset_id, name, b"x" * 4_000_000)
        slow = f"*{self.dataset_id}/slow_*"
        local.faults.add(faults.trickle(bytes_per_second=100_000), key=slow)
        local.faults.add(self._watch.fault, key=slow)

    def complete_files(self) -> list[str]:
        """Return the names of the published files."""
        return sorted(path.name for path in self.destination.glob("*/*.bin"))

    def partial_files(self) -> list[pathlib.Path]:
        """Return what is under way, or was."""
        return list(self.destination.rglob(".*.part"))

    def wait_for_slow_ones(self) -> None:
        """Wait until the quick files are complete and slow ones are under way."""
        wait_until(lambda: self.complete_files() == QUICK and self._watch.sent_at > 0)

    def assert_silence(self, since: float) -> None:
        """See that nothing is sent any more two seconds after a time, for at least as long."""
        wait_until(lambda: time.monotonic() > max(since, self._watch.sent_at) + 2)
        assert self._watch.sent_at - since < 2

    def assert_the_next_run_fetches_the_rest(self, materialize: Materializer) -> None:
        """Run it again, now that nothing is slow: what was complete costs no request."""
        self._local.requests.clear()
        asset = materialize.asset(destination=self.destination, dataset_id=self.dataset_id)
        assert materialize(asset).success
        assert self._local.requests.count(service="s3", key="*quick_*") == 0
        assert self.complete_files() == sorted(QUICK + SLOW)
        assert self.partial_files() == []


def test_a_terminated_run_stops_at_once(
    local: LocalRoboto, materialize: Materializer, tmp_path: pathlib.Path
) -> None:
    """Terminated from the UI, a run is silent within two seconds, CANCELED, and leaves complete files only."""
    scenes = {engine: Scene(local, tmp_path / engine) for engine in ("curl", "boto3")}
    described = {
        engine: {"dataset_id": scene.dataset_id, "destination": str(scene.destination)}
        for engine, scene in scenes.items()
    }
    environment = {**local.environment(), "SCENES": json.dumps(described)}
    environment["PYTHONPATH"] = str(REPOSITORY)
    location, home = ["-f", str(LOCATION)], tmp_path / "home"
    with DagsterDev(location, home, environment, has_daemon=False) as dagster:
        runs = {engine: dagster.launch(f"logs_{engine}") for engine in scenes}
        for engine, scene in scenes.items():
            scene.wait_for_slow_ones()
            dagster.terminate(runs[engine])
            scene.assert_silence(since=time.monotonic())
        assert [dagster.wait_for(run) for run in runs.values()] == ["CANCELED", "CANCELED"]
    assert {(*scene.complete_files(), *scene.partial_files()) for scene in scenes.values()} == {
        tuple(QUICK)
    }
    local.faults.clear()
    for scene in scenes.values():
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

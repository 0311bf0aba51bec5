"""`dagster dev`, or its web server alone, in a process group of its own, driven over GraphQL as the UI does it."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from typing_extensions import Self

from tests.ports import free_port
from tests.waiting import GUARD_SECONDS, wait_until

_SETTINGS = """\
nux: {enabled: false}
telemetry: {enabled: false}
run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}
"""
# One process a run, not one more a step: starting them is what takes the time.
_IN_PROCESS: dict[str, Any] = {"execution": {"config": {"in_process": {}}}}
ENDED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})

_REPOSITORIES = (
    """{repositoriesOrError {... on RepositoryConnection {nodes {name location {name}}}}}"""
)
_LAUNCH = """mutation ($p: ExecutionParams!) {launchRun(executionParams: $p) {
    __typename ... on LaunchRunSuccess {run {runId}} ... on PythonError {message}}}"""
_STATUS = """query ($r: ID!) {runOrError(runId: $r) {... on Run {status}}}"""
_TERMINATE = """mutation ($r: String!) {terminateRun(runId: $r) {__typename}}"""


class DagsterDev:
    """Runs `dagster dev`; use it in a `with`.

    Args:
        arguments: The arguments that name the code location.
        home: The `DAGSTER_HOME` to be.
        environment: Variables besides those of this process.
        has_daemon: Whether the daemon runs, too, which evaluates sensors and schedules and takes
            as long to start as all the rest. Default True.

    Attributes:
        url: Of the web server.
        home: The `DAGSTER_HOME`, made by this.
        log: The output of the processes.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        home: pathlib.Path,
        environment: Mapping[str, str],
        *,
        has_daemon: bool = True,
    ) -> None:
        self.home = home
        self.log = home / "dev.log"
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        program = ("dagster", "dev") if has_daemon else ("dagster_webserver",)
        where = ("-h", "127.0.0.1", "-p", str(self._port))
        self._command = (sys.executable, "-m", *program, *where, *arguments)
        self._environment = {**os.environ, **environment, "DAGSTER_HOME": str(home)}
        self._process: subprocess.Popen[bytes] | None = None
        self._repository: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self.home.mkdir(parents=True)
        (self.home / "dagster.yaml").write_text(_SETTINGS)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until(self._is_up, why=self._why)
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._kill()

    def _kill(self) -> None:
        """Ends the process group at once: the tests need nothing more of it, and its own end is slow."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _why(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._why()
        try:
            nodes = self.ask(_REPOSITORIES)["repositoriesOrError"].get("nodes")
        except (OSError, urllib.error.URLError):
            return False
        if nodes:
            self._repository = nodes[0]
        return bool(nodes)

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Ask the web server's API."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/graphql", body, headers)  # noqa: S310 -- ours
        with urllib.request.urlopen(request, timeout=GUARD_SECONDS) as response:  # noqa: S310
            answer: dict[str, Any] = json.load(response)
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    def launch(self, *assets: str, partition_key: str | None = None) -> str:
        """Launch a run of some assets; return its id."""
        tags = [{"key": "dagster/partition", "value": partition_key}] if partition_key else []
        parameters = {
            "selector": {
                "repositoryName": self._repository["name"],
                "repositoryLocationName": self._repository["location"]["name"],
                "jobName": "__ASSET_JOB",
                "assetSelection": [{"path": [asset]} for asset in assets],
                "assetCheckSelection": [],
            },
            "executionMetadata": {"tags": tags},
            "runConfigData": _IN_PROCESS,
        }
        launched = self.ask(_LAUNCH, p=parameters)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def status(self, run_id: str) -> str:
        """Return the status of a run."""
        return str(self.ask(_STATUS, r=run_id)["runOrError"]["status"])

    def wait_for(self, run_id: str, seconds: float = GUARD_SECONDS) -> str:
        """Wait until a run has ended; return how."""
        wait_until(lambda: self.status(run_id) in ENDED, seconds, self._why)
        return self.status(run_id)

    def terminate(self, run_id: str) -> None:
        """Ask for the end of a run, as the UI's button does."""
        self.ask(_TERMINATE, r=run_id)

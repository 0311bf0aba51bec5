"""Steps in processes of their own, and a code location behind gRPC: nothing is shared, no secret spills."""

import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
import pytest
import yaml

from roboto_dagster.testing import LocalRoboto
from tests.ports import can_connect, free_port
from tests.waiting import GUARD_SECONDS, wait_until

pytestmark = pytest.mark.slow

CODE = """
import os
import pathlib
import dagster as dg
from roboto_dagster import *

logs = build_roboto_dataset_asset(
    "logs",
    destination=os.environ["DESTINATION"],
    partitions_def=dg.StaticPartitionsDefinition(os.environ["DATASETS"].split()),
    pool="roboto",
)

@dg.asset(
    partitions_def=logs.partitions_def,
    ins={"logs": dg.AssetIn(input_manager_key="files")},
)
def names(logs: list[pathlib.Path]) -> None:
    pathlib.Path(os.environ["DESTINATION"], "names").write_text(" ".join(p.name for p in logs))

defs = dg.Definitions(
    assets=[logs, names],
    asset_checks=build_roboto_dataset_checks(logs, blocking=True),
    jobs=[
        dg.define_asset_job("download", [logs, names]),
        dg.define_asset_job("in_process", [logs, names], executor_def=dg.in_process_executor),
    ],
    resources={
        "roboto": RobotoResource(api_key=dg.EnvVar("MY_KEY"), endpoint=os.environ["API"]),
        "object_store": ObjectStoreResource(engine="boto3", endpoint_url=os.environ["S3"]),
        "files": RobotoFilesIOManager(),
    },
)
"""


class Project:
    """A file of definitions with a home of its own."""

    def __init__(self, local: LocalRoboto, folder: pathlib.Path) -> None:
        self.dataset_id = local.add_dataset()
        local.add_file(self.dataset_id, "a.bin", b"hello")
        self.folder, self.home = folder, folder / "home"
        self.code = folder / "pipeline.py"
        self.code.write_text(CODE)
        self.home.mkdir()
        settings = {
            "telemetry": {"enabled": False},
            "run_coordinator": {
                "module": "dagster._core.run_coordinator",
                "class": "DefaultRunCoordinator",
            },
        }
        (self.home / "dagster.yaml").write_text(yaml.safe_dump(settings))
        self.environment = {
            **os.environ,
            "DAGSTER_HOME": str(self.home),
            "DESTINATION": str(folder / "data"),
            "DATASETS": self.dataset_id,
            "MY_KEY": local.api_key,
            "API": local.api_url,
            "S3": local.s3_url,
            "PYTHONPATH": str(pathlib.Path(__file__).parents[2]),
        }

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of one of Dagster's commands."""
        return [sys.executable, "-m", "dagster", *arguments]

    def run(self, *arguments: str) -> str:
        """Run one of Dagster's commands, and return its output; it must succeed."""
        result = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=GUARD_SECONDS,
            check=False,
        )
        assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
        return result.stdout + result.stderr

    @property
    def tags(self) -> tuple[str, str]:
        """The arguments that choose the partition."""
        return ("--tags", f'{{"dagster/partition": "{self.dataset_id}"}}')

    def last_run(self) -> dg.DagsterRun | None:
        """Return the run that Dagster knows of."""
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            return next(iter(instance.get_runs(limit=1)), None)

    def stored(self) -> bytes:
        """Return everything that Dagster has written down."""
        return b"".join(path.read_bytes() for path in self.home.rglob("*") if path.is_file())

    def delivered(self) -> str:
        """Return what the downstream asset has read."""
        return (self.folder / "data" / "names").read_text()


@pytest.fixture
def project(local: LocalRoboto, tmp_path: pathlib.Path) -> Project:
    """A code location that names its key's variable."""
    return Project(local, tmp_path)


def test_steps_in_processes_of_their_own(project: Project, local: LocalRoboto) -> None:
    """The multiprocess executor rebuilds resources in each step, and nothing stored holds the key."""
    output = project.run("job", "execute", "-f", "pipeline.py", "-j", "download", *project.tags)
    assert "Executing steps using multiprocess executor" in output
    assert project.delivered() == "a.bin"
    assert local.api_key.encode() not in project.stored() + output.encode()


@pytest.fixture
def served(project: Project) -> Iterator[Project]:
    """The code location behind a gRPC server of its own."""
    port = free_port()
    where = {"host": "127.0.0.1", "port": port, "location_name": "served"}
    text = yaml.safe_dump({"load_from": [{"grpc_server": where}]})
    (project.folder / "workspace.yaml").write_text(text)
    arguments = ("api", "grpc", "-f", "pipeline.py", "-h", "127.0.0.1", "-p", str(port))
    with (project.folder / "server.log").open("w") as log:
        command = project.command(*arguments)
        server = subprocess.Popen(
            command, env=project.environment, cwd=project.folder, stdout=log, stderr=log
        )
    try:
        wait_until(lambda: can_connect(port))
        yield project
    finally:
        server.terminate()
        server.wait(timeout=GUARD_SECONDS)


def test_code_location_over_grpc(served: Project, local: LocalRoboto) -> None:
    """A run that a gRPC server carries out delivers the files, and nothing stored holds the key."""
    served.run("job", "launch", "-w", "workspace.yaml", "-j", "in_process", *served.tags)

    def is_finished() -> bool:
        run = served.last_run()
        return run is not None and run.is_finished

    wait_until(is_finished)
    run = served.last_run()
    assert run is not None
    assert run.is_success
    assert served.delivered() == "a.bin"
    assert local.api_key.encode() not in served.stored()

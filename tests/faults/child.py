"""One run in a process of its own, for what must not happen to the tests': signals, limits, mounts.

`processes` forks it from a process that has imported this module already: to import Dagster and the
SDK takes longer than the run itself.
"""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import time
from multiprocessing.connection import Connection
from typing import Any

import boto3.s3.inject
import dagster as dg
import pyarrow.parquet
import roboto

import roboto_dagster.fs.boto.store
import roboto_dagster.fs.curl.store
from roboto_dagster import RetryConfig, RobotoResource, build_roboto_dataset_asset
from tests.faults.lab import SmallPartStore

# Imported by runs when they need them; here once, before the fork.
_IMPORTED = (boto3.s3.inject, pyarrow.parquet, roboto, roboto_dagster.fs)
with dg.DagsterInstance.ephemeral():
    pass  # imports what storages need

_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWPID = 0x0002_0000, 0x0400_0000, 0x2000_0000
_PR_SET_PDEATHSIG = 1


def main(task: dict[str, Any], connection: Connection) -> None:
    """Materializes once. Sends "ready" when it starts, and the end as a dictionary.

    Args:
        task: `dataset_id`, `destination`, `engine`, `s3_url`, `api_url` and `api_key`; optionally `limits` (names
            and values for `resource.setrlimit`), `asset` (options), `host` (a name, for a container of its
            own), `mount` (a shell script, run in a mount namespace of its own), `namespace` (the path
            of one to join), and `finally` (a shell script for the end).
        connection: To the test.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    isolate(task)
    end = run(task, connection)
    if "finally" in task:
        _shell(task["finally"])
    connection.send(end)


def isolate(task: dict[str, Any]) -> None:
    """Enters the namespaces that the task asks for."""
    if "host" in task:
        _enter_container(task["host"])
    if "mount" in task:
        _call("unshare", _CLONE_NEWNS)
        _shell("mount --make-rprivate /; " + task["mount"])
    if "namespace" in task:
        file = os.open(task["namespace"], os.O_RDONLY)
        _call("setns", file, _CLONE_NEWNS)
        os.close(file)


def run(task: dict[str, Any], connection: Connection) -> dict[str, Any]:
    """Materializes once, and returns `success`, `description` and `seconds`."""
    settings = {
        "engine": task["engine"],
        "endpoint_url": task["s3_url"],
        "stall_timeout_seconds": task.get("stall_timeout_seconds", 5.0),
        "max_connections": task.get("max_connections", 8),
    }
    store = SmallPartStore(**settings)
    asset = build_roboto_dataset_asset(
        "logs",
        destination=task["destination"],
        dataset_id=task["dataset_id"],
        retry=RetryConfig(max_attempts=4, wait_initial_seconds=0.01, wait_max_seconds=0.05),
        **task.get("asset", {}),
    )
    platform = RobotoResource(api_key=task["api_key"], endpoint=task["api_url"], max_attempts=1)
    with dg.DagsterInstance.ephemeral() as instance:
        set_limits(task.get("limits", {}))
        connection.send("ready")
        started = time.monotonic()
        result = dg.materialize(
            [asset],
            resources={"roboto": platform, "object_store": store},
            instance=instance,
            raise_on_error=False,
        )
    failure = None if result.success else result.failure_data_for_node("logs")
    description = str(failure.user_failure_data) if failure else ""
    seconds = time.monotonic() - started
    return {"success": result.success, "description": description, "seconds": seconds}


def set_limits(limits: dict[str, int]) -> None:
    """Sets limits of this process; a file that grows too big is then an error, not a signal."""
    for name, value in limits.items():
        kind = getattr(resource, name)
        resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def _enter_container(host: str) -> None:
    """Goes on in a child with a host name and process numbers of its own; ends when the child has ended."""
    _call("unshare", _CLONE_NEWUTS | _CLONE_NEWPID | _CLONE_NEWNS)
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL)  # as `unshare --kill-child`
    socket.sethostname(host)
    _shell("mount --make-rprivate /; mount -t proc proc /proc")


def _call(function: str, *arguments: int) -> None:
    """Calls the C library: Python has these from 3.12 on, or not at all."""
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, function)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{function}{arguments}")


def _shell(script: str) -> None:
    subprocess.run(["sh", "-ec", script], check=True)

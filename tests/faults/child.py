"""One run in a process of its own, for what must not happen to the tests': signals and limits.

Arguments: a JSON object with `dataset_id`, `destination`, `engine`, `s3_url`, `api_url`, `api_key`, and
optionally `limits` (names and values for `resource.setrlimit`) and `asset` (options). Prints "ready" when it
starts, and at its end a JSON object with `success`, `description` and `seconds`.
"""

import json
import signal
import sys
import time
from typing import Any


def main(task: dict[str, Any]) -> None:
    """Materializes once."""
    import dagster as dg

    from roboto_dagster import RetryConfig, RobotoResource, build_roboto_dataset_asset
    from tests.faults.lab import SmallPartStore

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
        print("ready", flush=True)  # noqa: T201 - read by the test
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
    end = {"success": result.success, "description": description, "seconds": seconds}
    print(json.dumps(end), flush=True)  # noqa: T201 - read by the test


def set_limits(limits: dict[str, int]) -> None:
    """Sets limits of this process; a file that grows too big is then an error, not a signal."""
    import resource

    for name, value in limits.items():
        kind = getattr(resource, name)
        resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

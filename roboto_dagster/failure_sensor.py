"""The alert: a sensor that posts what failed in a run, in words, to wherever a team reads it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.failures import FailedFile, PartitionFailure, failures_of_run
from roboto_dagster.naming import derived_name
from roboto_dagster.setting_checks import check_http_url
from roboto_dagster.text import count, one_line

Post = Callable[[str], object]
"""Takes a text of several lines, and sends it."""

MAX_PARTITIONS = 20
MAX_FILES = 5
"""So many are written out; chats cut longer texts."""


def build_roboto_failure_sensor(
    post: Post,
    *,
    assets: Sequence[dg.AssetsDefinition | dg.AssetKey] | None = None,
    name: str | None = None,
    run_status: dg.DagsterRunStatus = dg.DagsterRunStatus.FAILURE,
    webserver_url: str | None = None,
    monitor_all_code_locations: bool = False,
    minimum_interval_seconds: int | None = None,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dg.SensorDefinition:
    """Build a sensor that posts a text for each failed run in which datasets were not delivered.

    The text names the run, its partitions, the failed files, and what to do. Runs in which only other assets
    failed are left alone.

    Args:
        post: Called with the text, such as `lambda text: slack.chat_postMessage(channel="robots", text=text)`. If
            it raises, the tick fails and shows why.
        assets: Whose partitions are posted: dataset assets and topics assets, or their keys. Default: all of them.
        name: The sensor's name. Default: roboto_failures, or with `assets` the first one's, such as logs_failures.
        run_status: Which runs: failed ones (default), or with `dagster.DagsterRunStatus.CANCELED` cancelled ones,
            in a second sensor of another name.
        webserver_url: URL of Dagster's UI, for a link to the run. Default: no link, but the run's id.
        monitor_all_code_locations: Whether runs of other code locations are watched, too. Default: no.
        minimum_interval_seconds: Time between two ticks. Default: Dagster's.
        default_status: Whether the sensor runs without being switched on in the UI. Default: stopped.
        description: Shown in the UI. Default: what it does.
        tags: Tags of the sensor itself. Default: none.
        metadata: Metadata of the sensor. Default: none.

    Returns:
        The sensor.

    Raises:
        ConfigurationError: `post` is no function, there is no asset, no run can end with that status, or the URL is
            none.
    """
    if not callable(post):
        raise ConfigurationError(f"post must be a function that takes a text, not {post!r}.")
    if run_status not in (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED):
        raise ConfigurationError(
            f"run_status must be DagsterRunStatus.FAILURE or .CANCELED, not {run_status!r}."
        )
    base_url = check_http_url("webserver_url", webserver_url) if webserver_url else None
    keys = None if assets is None else _keys(assets)

    @dg.run_status_sensor(
        run_status=run_status,
        name=name or (f"{derived_name(keys[0])}_failures" if keys else "roboto_failures"),
        monitor_all_code_locations=monitor_all_code_locations,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        description=description or "Posts which datasets a run has not delivered, and why.",
        tags=tags,
        metadata=metadata,
    )
    def roboto_failure_sensor(context: dg.RunStatusSensorContext) -> None:
        run = context.dagster_run
        failures = failures_of_run(context.instance, run.run_id)
        if keys is not None:
            failures = [each for each in failures if each.asset_key in keys]
        if failures:
            post(failure_text(failures, run.run_id, base_url))

    return roboto_failure_sensor


def _keys(assets: Sequence[dg.AssetsDefinition | dg.AssetKey]) -> Sequence[dg.AssetKey]:
    is_one = isinstance(assets, (dg.AssetsDefinition, dg.AssetKey, str))
    found = [] if is_one else [key for asset in assets for key in _keys_of(asset)]
    if not found:
        raise ConfigurationError(
            f"assets must be a list of assets or of their keys, not {assets!r}."
        )
    return found


def _keys_of(asset: object) -> Sequence[dg.AssetKey]:
    if isinstance(asset, dg.AssetsDefinition):
        return sorted(asset.keys)
    if isinstance(asset, dg.AssetKey):
        return [asset]
    raise ConfigurationError(f"assets must be assets or their keys, not {asset!r}.")


def failure_text(
    failures: Sequence[PartitionFailure], run_id: str, webserver_url: str | None = None
) -> str:
    """Return what is posted about a run.

    Args:
        failures: Of the run, at least one.
        run_id: The run.
        webserver_url: URL of Dagster's UI. Default None: the text has the run's id alone.
    """
    run = f"{webserver_url}/runs/{run_id}" if webserver_url else f"run {run_id}"
    verb = "decoded" if all(each.of_topics for each in failures) else "delivered"
    head = f"Not {verb}: {count(len(failures), 'partition')} in {run}"
    shown = [line for each in failures[:MAX_PARTITIONS] for line in _partition_lines(each)]
    hidden = len(failures) - MAX_PARTITIONS
    return "\n".join([head, *shown, *([f"… and {hidden} more"] if hidden > 0 else [])])


def _partition_lines(failure: PartitionFailure) -> Sequence[str]:
    names = [failure.asset_key.to_user_string(), failure.partition_key, failure.dataset_name]
    title = ", ".join(dict.fromkeys(one_line(each) for each in names if each))
    if not failure.files:
        return [f"• {title}: {one_line(' '.join(failure.description.split()))}"]
    total = sum(failure.error_codes.values())
    nouns = ("log or topic", "logs or topics") if failure.of_topics else ("file", "files")
    files = [
        f"    {file.error_code} {_place(file)}: {one_line(file.message)}"
        for file in failure.files[:MAX_FILES]
    ]
    hidden = total - len(files)
    advice = dict.fromkeys(file.advice for file in failure.files if file.advice)
    return [
        f"• {title}: {total} {nouns[total != 1]} failed",
        *files,
        *([f"    … and {hidden} more {nouns[hidden != 1]}"] if hidden > 0 else []),
        *(f"    → {each}" for each in advice),
    ]


def _place(file: FailedFile) -> str:
    names = [file.relative_path, file.topic]
    return ", ".join(one_line(each) for each in names if each)

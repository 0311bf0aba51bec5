"""One platform for all tests, and short ways to sync from it and to materialize on it."""

import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from roboto_dagster import (
    DownloadableFile,
    ObjectStoreResource,
    RetryConfig,
    RobotoResource,
    build_roboto_dataset_asset,
)
from roboto_dagster.platform.scope import Scope
from roboto_dagster.sync.manifest import manifest_path, read_manifest
from roboto_dagster.sync.options import SyncSettings
from roboto_dagster.sync.report import SyncReport
from roboto_dagster.sync.run import sync
from roboto_dagster.testing import LocalRoboto

if TYPE_CHECKING:
    from tests.topic_assets.lab import Topics

AT_ONCE = RetryConfig(max_attempts=3, wait_initial_seconds=0.0, wait_max_seconds=0.0)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what runs Dagster: each such test is quick, and there are hundreds."""
    for item in items:
        if "materialize" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _no_accounts(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """Nothing of this machine's own AWS, Roboto, proxy and Dagster settings reaches a test."""
    import os

    for name in list(os.environ):
        if name.startswith(("AWS_", "ROBOTO_", "DAGSTER_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("ROBOTO_CONFIG_FILE", str(tmp_path / "no-such-config.json"))


@pytest.fixture(scope="session")
def platform() -> Iterator[LocalRoboto]:
    """The platform; pages are small, so that listings have several."""
    with LocalRoboto(page_size=10) as local:
        yield local


@pytest.fixture
def local(platform: LocalRoboto) -> Iterator[LocalRoboto]:
    """The platform, empty: what a test has put there would take memory, and time of those that list."""
    yield platform
    platform.clear()


@pytest.fixture(params=["curl", "boto3"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    return str(request.param)


@pytest.fixture
def environment(local: LocalRoboto, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that leads the SDK, boto3 and our defaults to the platform."""
    for name, value in local.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def resources(local: LocalRoboto) -> dict[str, Any]:
    """The resources of a user who set both endpoints."""
    return {
        "roboto": RobotoResource(api_key=local.api_key, endpoint=local.api_url, max_attempts=1),
        "object_store": ObjectStoreResource(engine="boto3", endpoint_url=local.s3_url),
    }


class Syncer:
    """Syncs datasets to one folder, again and again.

    Attributes:
        destination: The folder.
        manifest: Where the manifest is.
        lines: What was logged, as pairs of level and text.
    """

    def __init__(
        self, local: LocalRoboto, object_store: ObjectStoreResource, folder: pathlib.Path
    ) -> None:
        self._local = local
        self._object_store = object_store
        self.destination = folder
        self.manifest = manifest_path(folder, "logs", "key")
        self.lines: list[tuple[int, str]] = []

    def __call__(
        self,
        *dataset_ids: str,
        include_patterns: Sequence[str] = (),
        exclude_patterns: Sequence[str] = (),
        **settings: Any,
    ) -> SyncReport:
        """Sync once; the log of requests then holds those of this sync alone."""
        self._local.requests.clear()
        return self.run_beside(
            *dataset_ids,
            include_patterns=include_patterns,
            exclude_patterns=exclude_patterns,
            **settings,
        )

    def run_beside(
        self,
        *dataset_ids: str,
        include_patterns: Sequence[str] = (),
        exclude_patterns: Sequence[str] = (),
        engine: str | None = None,
        **settings: Any,
    ) -> SyncReport:
        """Sync once, perhaps while another sync is under way."""
        scopes = self.scopes(
            *dataset_ids, include_patterns=include_patterns, exclude_patterns=exclude_patterns
        )
        return sync(scopes, self.settings(engine, **settings))

    @staticmethod
    def scopes(
        *dataset_ids: str,
        include_patterns: Sequence[str] = (),
        exclude_patterns: Sequence[str] = (),
    ) -> list[Scope]:
        """Return the scope of a sync."""
        return [
            Scope(
                dataset_id=dataset_id,
                include_patterns=tuple(include_patterns),
                exclude_patterns=tuple(exclude_patterns),
            )
            for dataset_id in dataset_ids
        ]

    def settings(self, engine: str | None = None, **settings: Any) -> SyncSettings:
        """Return the settings of a sync."""
        object_store = self._object_store
        if engine is not None:
            object_store = object_store.model_copy(update={"engine": engine})
        defaults: dict[str, Any] = {
            "client": self._local.client(max_attempts=1),
            "open_store": object_store.open_store,
            "destination": self.destination,
            "manifest": self.manifest,
            "retry": AT_ONCE,
            "log": lambda level, line: self.lines.append((level, line)),
        }
        return SyncSettings(**{**defaults, **settings})

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the manifest's rows by path."""
        return {row["relative_path"]: row for row in read_manifest(self.manifest).to_pylist()}

    def files(self) -> dict[str, bytes]:
        """Return every file below the destination but the manifests, by path from there."""
        return {
            path.relative_to(self.destination).as_posix(): path.read_bytes()
            for path in sorted(self.destination.rglob("*"))
            if path.is_file() and ".roboto" not in path.parts
        }


@pytest.fixture
def syncer(local: LocalRoboto, resources: dict[str, Any], tmp_path: pathlib.Path) -> Syncer:
    """A destination on this machine."""
    return Syncer(local, resources["object_store"], tmp_path / "logs")


class Materializer:
    """Runs an asset on the platform, in this process.

    Attributes:
        destination: The folder of its files.
        instance: The Dagster instance, which keeps every event.
    """

    def __init__(
        self,
        resources: Mapping[str, Any],
        folder: pathlib.Path,
        instance: dg.DagsterInstance,
    ) -> None:
        self.resources = dict(resources)
        self.destination = folder
        self.instance = instance

    def asset(self, **options: Any) -> dg.AssetsDefinition:
        """Build the asset `logs`."""
        defaults: dict[str, Any] = {"destination": self.destination, "retry": AT_ONCE}
        return build_roboto_dataset_asset("logs", **{**defaults, **options})

    def range_asset(self, keys: Sequence[str], **options: Any) -> dg.AssetsDefinition:
        """Build the asset `logs` with static partitions, all of which one run may hold."""
        return self.asset(
            partitions_def=dg.StaticPartitionsDefinition(list(keys)),
            backfill_policy=dg.BackfillPolicy.single_run(),
            **options,
        )

    def __call__(
        self,
        asset: dg.AssetsDefinition,
        *,
        partition_key: str | None = None,
        partition_range: tuple[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        **resources: Any,
    ) -> dg.ExecuteInProcessResult:
        """Materialize one partition, a range of them, or an asset without partitions."""
        tags = dict(tags or {})
        if partition_range is not None:
            tags["dagster/asset_partition_range_start"] = partition_range[0]
            tags["dagster/asset_partition_range_end"] = partition_range[1]
        return dg.materialize(
            [asset],
            resources={**self.resources, **resources},
            partition_key=partition_key,
            tags=tags,
            instance=self.instance,
            raise_on_error=False,
        )

    def log(self, result: dg.ExecuteInProcessResult) -> Sequence[dg.EventLogEntry]:
        """Return everything that a run has written to the event log, log lines included."""
        return self.instance.all_logs(result.run_id)

    def materializations(
        self, result: dg.ExecuteInProcessResult
    ) -> list[tuple[str | None, dict[str, Any]]]:
        """Return partition and plain metadata of every materialization of a run, in order."""
        found = [entry.asset_materialization for entry in self.log(result)]
        return [
            (each.partition, {key: value.value for key, value in each.metadata.items()})
            for each in found
            if each is not None
        ]

    def observations(self, result: dg.ExecuteInProcessResult) -> list[dg.AssetObservation]:
        """Return every observation of a run."""
        found = [entry.asset_observation for entry in self.log(result)]
        return [each for each in found if each is not None]


@pytest.fixture
def materialize(resources: dict[str, Any], tmp_path: pathlib.Path) -> Iterator[Materializer]:
    """Runs assets with an instance of their own."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Materializer(resources, tmp_path / "logs", instance)


@pytest.fixture
def topics(materialize: Materializer, local: LocalRoboto) -> "Topics":
    """Two datasets of a log and a file that is none."""
    from tests.topic_assets.lab import LOG, Topics

    keys = []
    for number in range(2):
        keys.append(local.add_dataset(f"flight {number}"))
        local.add_file(keys[-1], "drive.lines", LOG)
        local.add_file(keys[-1], "notes.txt", b"no log")
    return Topics(materialize, local, keys)


@pytest.fixture
def file(tmp_path: pathlib.Path) -> DownloadableFile:
    """A file of a session, for tests that fetch nothing."""
    return DownloadableFile(
        bucket_name="bucket",
        source_uri="s3://bucket/logs/a.mcap",
        destination_path=tmp_path / "a.mcap",
    )

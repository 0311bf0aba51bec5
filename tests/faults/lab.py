"""Where faults are injected: one dataset, one engine, one destination, and complete Dagster runs between them.

Every run is judged by `invariants.check`, whatever went wrong in it.
"""

import os
import pathlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from roboto_dagster import ObjectStoreResource, RetryConfig, RobotoResource
from roboto_dagster.assets import build_roboto_dataset_asset
from roboto_dagster.fs.core.settings import OnRetry
from roboto_dagster.sync.manifest import manifest_path, read_manifest
from roboto_dagster.testing import LocalRoboto, faults
from roboto_dagster.testing.faults import Fault, Rule
from roboto_dagster.testing.request_log import LoggedRequest
from tests.faults import invariants

PART = 64 * 1024
"""Parts are small, so that a big file is small too."""

ATTEMPTS = 4
AT_ONCE = RetryConfig(
    max_attempts=ATTEMPTS, wait_initial_seconds=0.0, wait_max_seconds=0.0, deadline_seconds=30.0
)
STALL_SECONDS = 0.8
"""Server and client share the cores of a machine that may be busy: a pause of theirs is no stall."""
BYTES_A_SECOND = 400_000


def noise(size_bytes: int, seed: int = 0) -> bytes:
    """Returns bytes that differ everywhere, so that a shift, a hole or a mixture shows."""
    import random

    return random.Random(seed).randbytes(size_bytes)  # noqa: S311 - test data, not a secret


SMALL = noise(1_000)
BIG = noise(7 * PART // 2, 1)
"""Three parts and a half."""


class SmallPartStore(ObjectStoreResource):
    """The object store with parts so small that a range costs nothing."""

    part_size_bytes: int = PART

    def _s3_options(self, retry: RetryConfig | None, on_retry: OnRetry | None) -> dict[str, Any]:
        """Adds one option that users do not have."""
        return {**super()._s3_options(retry, on_retry), "part_size_bytes": self.part_size_bytes}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run reported, in every place where it reports.

    Attributes:
        success: Whether Dagster calls the run one.
        rows: The manifest after it; None if it wrote none.
        metadata: Of the materialization or of the failure.
        description: Of the failure.
        requests: What it asked, oldest first.
    """

    success: bool
    rows: list[dict[str, Any]] | None
    metadata: Mapping[str, Any]
    description: str
    requests: Sequence[LoggedRequest] = field(repr=False)

    @property
    def codes(self) -> dict[str, str]:
        """The code of every failed file, by path, as the manifest has it."""
        return {row["relative_path"]: row["error_code"] for row in self.failed}

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The manifest's rows of files that were not delivered: failed, or refused and skipped."""
        return [
            row
            for row in self.rows or []
            if row["status"] in ("failed", "skipped") and row["error_code"]
        ]

    @property
    def complete(self) -> set[str]:
        """The paths that the manifest calls complete."""
        good = ("fetched", "unchanged")
        return {row["relative_path"] for row in self.rows or [] if row["status"] in good}

    def row(self, path: str) -> dict[str, Any]:
        """Returns the manifest's row of a path."""
        (found,) = [row for row in self.rows or [] if row["relative_path"] == path]
        return found

    def asked(self, path: str) -> list[LoggedRequest]:
        """Returns the requests for one file's object."""
        return [one for one in self.requests if one.service == "s3" and one.key.endswith(path)]


class Lab:
    """See the module.

    Attributes:
        local: The platform.
        engine: `curl` or `boto3`.
        house: A folder that holds the destination, and what must not be touched.
        destination: The folder of the asset.
        dataset_id: The dataset.
        listed: The paths that the platform lists, each as often as it does.
        versions: Every content that a path has ever had.
        api_attempts: How often a request to the API is tried.
        api_timeout_seconds: How long it may wait for the next bytes.
        may_be_wrong: Paths for which the store has no checksum by which a wrong byte could be found.
    """

    def __init__(
        self,
        local: LocalRoboto,
        engine: str,
        folder: pathlib.Path,
        instance: dg.DagsterInstance,
    ) -> None:
        self.local = local
        self.engine = engine
        self.house = folder / "house"
        self.destination = self.house / "logs"
        self.destination.mkdir(parents=True)
        (self.house / "neighbour").mkdir()
        (self.house / "neighbour" / "diary.txt").write_text("mine", encoding="utf-8")
        self.dataset_id = local.add_dataset("lab")
        self.manifest = manifest_path(self.destination, "logs", self.dataset_id)
        self.listed: Counter[str] = Counter()
        self.versions: dict[str, list[bytes]] = {}
        self.may_be_wrong: set[str] = set()
        self.instance = instance
        self.settings: dict[str, Any] = {}
        self.api_attempts = 1
        self.api_timeout_seconds = 30.0

    # What is on the platform

    def add(self, path: str, data: bytes = SMALL, **options: Any) -> None:
        """Adds a file; see `LocalRoboto.add_file`."""
        self.local.add_file(self.dataset_id, path, data, **options)
        self.listed[path] += 1
        self.versions.setdefault(path, []).append(data)

    def add_small(self, count: int) -> list[str]:
        """Adds small files that nothing goes wrong with, and returns their paths."""
        paths = [f"plain/{number:03}.bin" for number in range(count)]
        for number, path in enumerate(paths):
            self.add(path, noise(500 + number, 100 + number))
        return paths

    def replace(self, path: str, data: bytes, **options: Any) -> None:
        """Gives a file another content and version."""
        self.local.replace_file(self.dataset_id, path, data, **options)
        self.versions[path].append(data)

    def swap(self, path: str, data: bytes, **options: Any) -> None:
        """Gives the object other bytes, which the platform's record does not show."""
        uri = self.local.record(self.dataset_id, path)["uri"]
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        self.local.replace_object(bucket, key, data, **options)
        self.versions[path].append(data)

    def fault(self, fault: Fault, path: str | None = None, **rule: Any) -> Rule:
        """Lets a fault strike: the S3 requests for a path, or whatever the rule matches."""
        if path is not None:
            rule.setdefault("service", "s3")
            rule["key"] = f"*/{self.dataset_id}/{path}"
        return self.local.faults.add(fault, **rule)

    def slow_front(self, path: str) -> Rule:
        """Slows the plain GET with which the curl engine starts, so that ranges go to other connections."""
        return self.fault(
            faults.trickle(bytes_per_second=BYTES_A_SECOND),
            path,
            when=lambda request: "range" not in request.headers,
        )

    def local_path(self, path: str) -> pathlib.Path:
        """Returns where a file goes."""
        return self.destination / self.dataset_id / path

    # Running

    def resources(self, **changed: Any) -> dict[str, Any]:
        """Returns the asset's resources."""
        store = {
            "engine": self.engine,
            "endpoint_url": self.local.s3_url,
            "stall_timeout_seconds": STALL_SECONDS,
            "max_connections": 8,
        }
        platform = RobotoResource(
            api_key=self.local.api_key,
            endpoint=self.local.api_url,
            max_attempts=self.api_attempts,
            timeout_seconds=self.api_timeout_seconds,
        )
        return {"roboto": platform, "object_store": SmallPartStore(**{**store, **changed})}

    def run(self, *, store: Mapping[str, Any] | None = None, **asset: Any) -> Run:
        """Materializes once, and checks every invariant."""
        watch = invariants.Watch(self)
        run = self.run_unchecked(store=store, **asset)
        watch.check(run, **asset)
        return run

    def run_unchecked(self, *, store: Mapping[str, Any] | None = None, **asset: Any) -> Run:
        """Materializes once."""
        return self._reported(self._materialize(store, **asset))

    def _materialize(
        self, store: Mapping[str, Any] | None = None, **asset: Any
    ) -> dg.ExecuteInProcessResult:
        self.local.requests.clear()
        return dg.materialize(
            [self.asset(**asset)],
            resources=self.resources(**(store or {})),
            instance=self.instance,
            raise_on_error=False,
        )

    def failing_run(self) -> str:
        """Materializes once, and returns the failure's message of a run that wrote no manifest."""
        result = self._materialize()
        reported = result.failure_data_for_node("logs")
        assert reported is not None
        assert reported.user_failure_data is not None
        return reported.user_failure_data.description or ""

    def asset(self, **options: Any) -> dg.AssetsDefinition:
        """Builds the asset."""
        defaults: dict[str, Any] = {
            "destination": self.destination,
            "dataset_id": self.dataset_id,
            "retry": AT_ONCE,
        }
        return build_roboto_dataset_asset("logs", **{**defaults, **self.settings, **options})

    def survive(
        self,
        codes: Mapping[str, str] | None = None,
        *,
        recovers: bool = True,
        store: Mapping[str, Any] | None = None,
        **asset: Any,
    ) -> Run:
        """Runs under the faults, expects exactly these failures, and then runs again without the
        faults.

        Args:
            codes: The code of every file that is to fail, by path.
            recovers: Whether the second run completes all files; if not, the same files fail again.
            store: Fields of the object store.
            asset: Options of the asset.

        Returns:
            The run under the faults.
        """
        run = self.run(store=store, **asset)
        assert run.codes == dict(codes or {}), run.description
        self.converge(run, recovers=recovers, store=store, **asset)
        return run

    def converge(
        self,
        before: Run,
        *,
        recovers: bool = True,
        store: Mapping[str, Any] | None = None,
        **asset: Any,
    ) -> Run:
        """Takes all faults away and runs again: what was complete costs no request (I6)."""
        self.local.faults.clear()
        run = self.run(store=store, **asset)
        refetched = {path for path in before.complete if run.row(path)["status"] == "fetched"}
        assert not refetched, f"complete already, and fetched again: {sorted(refetched)}"
        asked = {path for path in before.complete for one in run.asked(f"/{path}")}
        assert not asked, f"complete already, and asked for again: {sorted(asked)}"
        if recovers:
            assert run.success, run.description
            self.expect_latest()
        else:
            assert run.codes == before.codes, run.description
        return run

    def expect_latest(self) -> None:
        """Asserts that every file is there in the last of its versions."""
        for path, versions in self.versions.items():
            assert self.local_path(path).read_bytes() == versions[-1], path

    def _reported(self, result: dg.ExecuteInProcessResult) -> Run:
        rows = read_manifest(self.manifest).to_pylist() if self.manifest.exists() else None
        requests = list(self.local.requests)
        if result.success:
            (done,) = result.asset_materializations_for_node("logs")
            return Run(
                success=True, rows=rows, metadata=done.metadata, description="", requests=requests
            )
        reported = result.failure_data_for_node("logs")
        assert reported is not None
        failure = reported.user_failure_data
        assert failure is not None, f"no Failure of ours, but {reported.error}"
        return Run(
            success=False,
            rows=rows,
            metadata=failure.metadata,
            description=failure.description or "",
            requests=requests,
        )


def files_below(folder: pathlib.Path) -> dict[str, tuple[str, bytes | str | None]]:
    """Returns everything below a folder: its kind, and its content or a link's target; follows no link."""
    found: dict[str, tuple[str, bytes | str | None]] = {}
    for parent, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            path = pathlib.Path(parent) / name
            found[path.relative_to(folder).as_posix()] = _kind_and_content(path)
    return found


def _kind_and_content(path: pathlib.Path) -> tuple[str, bytes | str | None]:
    if path.is_symlink():
        return "link", str(path.readlink())
    if path.is_dir():
        return "folder", None
    return ("file", path.read_bytes()) if path.is_file() else ("other", None)


Harm = Callable[[Lab], object]
"""Does the harm of one test."""

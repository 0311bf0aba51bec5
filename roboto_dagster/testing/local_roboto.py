"""`LocalRoboto`: starts the platform on this machine, fills it, and says how to reach it."""

import logging
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import Self

from roboto_dagster.testing.faults import Faults
from roboto_dagster.testing.request_log import RequestLog
from roboto_dagster.testing.server.catalog import ORG_ID, Catalog, split_uri
from roboto_dagster.testing.server.content import as_content
from roboto_dagster.testing.server.http import Handler, HttpServer, Request, Response

if TYPE_CHECKING:
    from roboto import RobotoClient

    from roboto_dagster.testing.server.api import Api, Settings
    from roboto_dagster.testing.server.s3 import S3Store

logger = logging.getLogger(__name__)

DEFAULT_BUCKET = "roboto-managed"

ChecksumAlgorithm = Literal["CRC64NVME", "CRC32C", "CRC32", "SHA256", "SHA1"]
ChecksumType = Literal["FULL_OBJECT", "COMPOSITE"]


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


class LocalRoboto:
    """The Roboto platform on this machine: its HTTP API, and an S3 server behind it.

    It speaks the platform's protocol well enough for the unchanged Roboto SDK, checks API keys and
    S3 signatures, and forgets everything when it stops. Several may run at once; they share
    nothing.

    ```python
    with LocalRoboto() as local, dagster.DagsterInstance.ephemeral() as instance:
        dataset_id = local.add_dataset("flight 1")
        local.add_file(dataset_id, "logs/a.mcap", b"...")
        local.faults.add(faults.status(503, "SlowDown"), key="*a.mcap", times=1)
        instance.add_dynamic_partitions("flights", [dataset_id])
        dagster.materialize(
            [my_asset],
            resources=local.resources(),
            partition_key=dataset_id,
            instance=instance,
        )
        assert local.requests.count(service="s3", method="GET") == 2
    ```

    Code that makes its own clients (the SDK, boto3) reaches it through `environment`.

    Attributes:
        api_key: The API key that it accepts.
        faults: What goes wrong, and when; see `roboto_dagster.testing.faults`.
        requests: What was asked.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        api_key: str | None = None,
        page_size: int = 100,
        credentials_ttl_seconds: float = 3600.0,
        bucket: str = DEFAULT_BUCKET,
        clock: Callable[[], datetime] = _utc_now,
        seed: int | None = None,
        api_port: int = 0,
        s3_port: int = 0,
    ) -> None:
        """Prepare a platform; nothing is imported or listens before `start`.

        Args:
            folder: A folder whose sub-folders become datasets when it starts; see `add_folder`.
            api_key: The API key to accept. Default: a new one.
            page_size: How many records the API returns at once.
            credentials_ttl_seconds: How long the S3 credentials that it hands out live.
            bucket: Where files are kept unless told otherwise.
            clock: Returns the time, with its zone, for records and for the life of credentials.
            seed: What the ids of records start from: two platforms with one seed, on which the same
                is done, have the same ids. Default: every platform has ids of its own, so that
                nothing that another test has delivered is taken for what this one added.
            api_port: The API's port. Default: any free one.
            s3_port: The S3 server's port. Default: any free one.
        """
        self.api_key = api_key or f"local-{secrets.token_hex(16)}"
        self.requests = RequestLog()
        self._parts: _Parts | None = None
        self._catalog = Catalog(clock=clock, seed=seed)
        self.faults = Faults(self.replace_object)
        self._folder = None if folder is None else Path(folder)
        self._page_size = page_size
        self._ttl_seconds = credentials_ttl_seconds
        self._bucket = bucket
        self._clock = clock
        self._api_server = HttpServer(
            "api", lambda request: self._answer(request, self._running.api.handle), port=api_port
        )
        self._s3_server = HttpServer(
            "s3", lambda request: self._answer(request, self._running.store.handle), port=s3_port
        )

    # --- life ---

    def start(self) -> Self:
        """Start both servers and serve the folder, if there is one.

        Raises:
            ImportError: What the S3 server is made of is not installed.
            OSError: A port is taken, or the folder cannot be read; nothing is left running.
        """
        self._parts = self._make_parts()
        try:
            self._s3_server.start()
            self._api_server.start()
            if self._folder is not None:
                self._add_folders(self._folder)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop both servers, end what they are still sending, and forget everything."""
        self._api_server.stop()
        self._s3_server.stop()
        self._catalog.clear()
        if self._parts is not None:
            self._parts.store.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    # --- how to reach it ---

    @property
    def api_url(self) -> str:
        """The API's endpoint, for `ROBOTO_SERVICE_ENDPOINT`."""
        return self._api_server.url

    @property
    def s3_url(self) -> str:
        """The S3 server's endpoint, for `AWS_ENDPOINT_URL_S3`."""
        return self._s3_server.url

    def client(self, *, max_attempts: int = 2) -> "RobotoClient":
        """Return a client of the SDK, bounded and without redirects as `RobotoResource` makes it.

        Its downloads and uploads go where the environment of the process leads: see `environment`.

        Args:
            max_attempts: How often one request is tried in all. Default 2: the SDK's own default is
                10, with long pauses.
        """
        from roboto_dagster.platform.client import make_client

        return make_client(api_key=self.api_key, endpoint=self.api_url, max_attempts=max_attempts)

    def resources(self) -> dict[str, Any]:
        """Return the Dagster resources `roboto` and `object_store`, set up for this platform."""
        from roboto_dagster import ObjectStoreResource, RobotoResource

        return {
            "roboto": RobotoResource(api_key=self.api_key, endpoint=self.api_url),
            "object_store": ObjectStoreResource(endpoint_url=self.s3_url),
        }

    def environment(self) -> dict[str, str]:
        """Return the environment variables that lead the Roboto SDK and boto3 here.

        `AWS_PROFILE` should not be set besides: boto3 would look for that profile in an empty file.
        """
        direct = ",".join(
            filter(None, [os.environ.get("NO_PROXY", os.environ.get("no_proxy")), "127.0.0.1"])
        )
        return {
            "ROBOTO_API_KEY": self.api_key,
            "ROBOTO_SERVICE_ENDPOINT": self.api_url,
            "AWS_ENDPOINT_URL_S3": self.s3_url,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": direct,
            "no_proxy": direct,
        }

    # --- what is on it ---

    def add_dataset(
        self,
        name: str | None = None,
        *,
        dataset_id: str | None = None,
        description: str | None = None,
        device_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        created: datetime | None = None,
        modified: datetime | None = None,
    ) -> str:
        """Add an empty dataset and return its id.

        Args:
            name: Its name.
            dataset_id: Its id, which should start with `ds_`. Default: a new one.
            description: Its description.
            device_id: The device that recorded it.
            metadata: Its metadata.
            tags: Its tags.
            created: When it was made. Default: now.
            modified: When it was last changed. Default: when it was made.
        """
        times = _times(created, modified)
        record = self._catalog.add_dataset(
            dataset_id,
            name=name,
            description=description,
            device_id=device_id,
            metadata=dict(metadata or {}),
            tags=list(tags),
            **times,
        )
        return str(record["dataset_id"])

    def add_file(
        self,
        dataset_id: str,
        relative_path: str,
        data: bytes | Path = b"",
        *,
        bucket: str | None = None,
        key: str | None = None,
        checksum_algorithm: ChecksumAlgorithm | None = "CRC64NVME",
        part_bytes: int | None = None,
        checksum_type: ChecksumType = "FULL_OBJECT",
        size: int | None = None,
        uri: str | None = None,
        fs_type: str = "file",
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        file_id: str | None = None,
        version: int | None = None,
        created: datetime | None = None,
        modified: datetime | None = None,
    ) -> str:
        """Add a file: its object in S3 and its record on the platform. Return the file's id.

        Args:
            dataset_id: The dataset to add it to.
            relative_path: Its path in the dataset, taken as it is, also if it is unsafe.
            data: Its bytes, or a file on disk that is served where it lies and must not change
                meanwhile.
            bucket: The bucket to put it into. Default: the platform's.
            key: The object's key, taken as it is. Default: made of the organization, the dataset
                and the path.
            checksum_algorithm: The checksum that S3 keeps with the object and returns when asked.
                None: no checksum.
            part_bytes: Store it as if uploaded in parts of this size, with the ETag that such
                objects have.
            checksum_type: Whether the checksum of a multipart object is of the whole or of the
                parts' checksums.
            size: The size in the record, if it is to be another than the true one.
            uri: The URI in the record, if it is to be another than the object's.
            fs_type: The record's kind.
            tags: The record's tags.
            metadata: The record's metadata.
            file_id: The file's id. Default: a new one.
            version: The record's version. Default: 1; with a *file_id*, a number that is made of
                the content, so that the same id with other content is another version.
            created: When it was made. Default: now.
            modified: When it was last changed. Default: when it was made.
        """
        self._catalog.dataset(dataset_id)
        bucket = bucket or self._bucket
        key = f"{ORG_ID}/{dataset_id}/{relative_path}" if key is None else key
        content = as_content(data)
        etag = self._running.store.put(
            bucket,
            key,
            content,
            checksum_algorithm=checksum_algorithm,
            part_bytes=part_bytes,
            checksum_type=checksum_type,
            modified=modified or created,
        )
        if version is None:
            version = 1 if file_id is None else _version_of(etag)
        return self.add_record(
            dataset_id,
            relative_path=relative_path,
            uri=f"s3://{bucket}/{key}" if uri is None else uri,
            size=len(content) if size is None else size,
            fs_type=fs_type,
            tags=list(tags),
            metadata=dict(metadata or {}),
            version=version,
            **({} if file_id is None else {"file_id": file_id}),
            **_times(created, modified),
        )

    def add_record(self, dataset_id: str, *, relative_path: str, **fields: Any) -> str:
        """Add only a file's record, with any fields, however mad. Return the file's id."""
        self._catalog.dataset(dataset_id)
        return str(self._catalog.add_file(dataset_id, relative_path, **fields)["file_id"])

    def add_link(
        self,
        dataset_id: str,
        relative_path: str,
        target_file_id: str,
        *,
        target_version: int | None = None,
    ) -> str:
        """Add a link to a version of another file (default: its latest). Return the link's id.

        With *target_version*, the target need not exist.
        """
        if target_version is None:
            target_version = self._catalog.file(target_file_id)["version"]
        uri = f"roboto://file/{target_file_id}?v={target_version}"
        return self.add_record(dataset_id, relative_path=relative_path, fs_type="link", uri=uri)

    def replace_file(
        self,
        dataset_id: str,
        relative_path: str,
        data: bytes | Path,
        *,
        key: str | None = None,
        checksum_algorithm: ChecksumAlgorithm | None = "CRC64NVME",
        part_bytes: int | None = None,
        checksum_type: ChecksumType = "FULL_OBJECT",
        size: int | None = None,
        modified: datetime | None = None,
    ) -> int:
        """Give a file new content, which makes a new version of its record; return the version.

        The object is overwritten in place, so that links to older versions break, unless another
        *key* is given. The other arguments are those of `add_file`.
        """
        record = self._catalog.file_at(dataset_id, relative_path)
        bucket, old_key = split_uri(record["uri"])
        key = old_key if key is None else key
        content = as_content(data)
        self._running.store.put(
            bucket,
            key,
            content,
            checksum_algorithm=checksum_algorithm,
            part_bytes=part_bytes,
            checksum_type=checksum_type,
            modified=modified,
        )
        changes = {"uri": f"s3://{bucket}/{key}", "size": len(content) if size is None else size}
        revised = self._catalog.revise_file(record["file_id"], **changes, **_times(None, modified))
        return int(revised["version"])

    def remove_file(self, dataset_id: str, relative_path: str) -> None:
        """Remove a file: its record and its object."""
        self.remove_object(dataset_id, relative_path)
        self._catalog.remove_file(self._catalog.file_at(dataset_id, relative_path)["file_id"])

    def remove_object(self, dataset_id: str, relative_path: str) -> None:
        """Remove a file's object but not its record: downloading it now finds nothing."""
        self._running.store.delete(
            *split_uri(self._catalog.file_at(dataset_id, relative_path)["uri"])
        )

    def replace_object(
        self,
        bucket: str,
        key: str,
        data: bytes | Path,
        *,
        checksum_algorithm: ChecksumAlgorithm | None = "CRC64NVME",
    ) -> None:
        """Put an object under a bucket and key without telling the platform."""
        self._running.store.put(
            bucket, key, as_content(data), checksum_algorithm=checksum_algorithm
        )

    def touch_dataset(self, dataset_id: str, *, modified: datetime | None = None) -> None:
        """Set a dataset's `modified`. Default: now."""
        self._catalog.update_dataset(dataset_id, {})
        if modified is not None:
            self._catalog.dataset(dataset_id)["modified"] = modified

    def record(self, dataset_id: str, relative_path: str) -> dict[str, Any]:
        """Return a copy of a file's record, as the API would send it."""
        return dict(self._catalog.file_at(dataset_id, relative_path))

    def add_folder(
        self,
        folder: Path | str,
        *,
        dataset_id: str | None = None,
        name: str | None = None,
        checksum_algorithm: ChecksumAlgorithm | None = "CRC64NVME",
    ) -> str:
        """Add a folder as a dataset, its files served where they lie, and return the dataset's id.

        Hidden files are left out. Ids come from the names and versions from the content, so that
        a folder that is served again, in another process, is the same dataset with the same files,
        and an edited file has another version.
        """
        folder = Path(folder).resolve()
        dataset_id = self.add_dataset(
            name or folder.name,
            dataset_id=dataset_id or _stable_id("ds", name or folder.name),
            created=_modified(folder),
        )
        for path in sorted(folder.rglob("*")):
            relative_path = path.relative_to(folder)
            if path.is_file() and not any(part.startswith(".") for part in relative_path.parts):
                self._add_path(dataset_id, relative_path.as_posix(), path, checksum_algorithm)
        return dataset_id

    def summary(self) -> list[tuple[str, str, int]]:
        """Return id, name and number of files of every dataset, oldest first."""
        return [
            (
                record["dataset_id"],
                record["name"] or "",
                len(self._catalog.files(record["dataset_id"])),
            )
            for record in self._catalog.datasets()
        ]

    def dataset_ids(self) -> list[str]:
        """Return the ids of all datasets, oldest first."""
        return [str(record["dataset_id"]) for record in self._catalog.datasets()]

    # --- credentials ---

    @property
    def credentials_ttl_seconds(self) -> float:
        """How long S3 credentials that are handed out from now on live."""
        return self._running.settings.credentials_ttl_seconds

    @credentials_ttl_seconds.setter
    def credentials_ttl_seconds(self, seconds: float) -> None:
        self._running.settings.credentials_ttl_seconds = seconds

    def expire_credentials(self) -> None:
        """End the life of all S3 credentials handed out so far: S3 answers `ExpiredToken`."""
        self._running.store.authority.expire_all()

    # --- inside ---

    def _make_parts(self) -> "_Parts":
        try:
            from roboto_dagster.testing.server.api import Api, Settings
            from roboto_dagster.testing.server.s3 import S3Store
        except ModuleNotFoundError as error:
            raise ImportError(
                f"LocalRoboto needs {error.name}, which is not installed: "
                'pip install "roboto-dagster[local]"'
            ) from error
        store = S3Store(clock=self._clock, other_regions=self.faults.regions)
        settings = Settings(
            api_key=self.api_key,
            page_size=self._page_size,
            credentials_ttl_seconds=self._ttl_seconds,
            bucket=self._bucket,
            s3_url=lambda: self.s3_url,
        )
        return _Parts(store=store, settings=settings, api=Api(self._catalog, store, settings))

    @property
    def _running(self) -> "_Parts":
        if self._parts is None:
            raise RuntimeError("LocalRoboto is not running: use it in a `with`, or call start().")
        return self._parts

    def _answer(self, request: Request, handle: Handler) -> Response:
        try:
            response, faults = self.faults.around(request, handle)
        except (
            Exception
        ):  # the boundary of a web server: a bug of ours is a 500, not a dead connection
            logger.exception("LocalRoboto failed on %s %s", request.method, request.route)
            response, faults = Response(status=500), ("bug",)
        self.requests.add(request, response.status, len(response.body), faults)
        return response

    def _add_folders(self, folder: Path) -> None:
        if not folder.is_dir():
            raise NotADirectoryError(
                f"{folder} is not a folder: give LocalRoboto a folder of datasets."
            )
        visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        for path in visible:
            if path.is_dir():
                self.add_folder(path)
        if any(path.is_file() for path in visible):
            self._add_loose_files(folder, [path for path in visible if path.is_file()])

    def _add_loose_files(self, folder: Path, paths: Sequence[Path]) -> None:
        name = folder.resolve().name
        dataset_id = self.add_dataset(
            name, dataset_id=_stable_id("ds", f"{name}/"), created=_modified(folder)
        )
        for path in paths:
            self._add_path(dataset_id, path.name, path, "CRC64NVME")

    def _add_path(
        self,
        dataset_id: str,
        relative_path: str,
        path: Path,
        checksum_algorithm: ChecksumAlgorithm | None,
    ) -> None:
        modified = _modified(path)
        self.add_file(
            dataset_id,
            relative_path,
            path.resolve(),
            checksum_algorithm=checksum_algorithm,
            file_id=_stable_id("fl", f"{dataset_id}/{relative_path}"),
            created=modified,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What is made when a platform starts, because its imports take most of a second."""

    store: "S3Store"
    settings: "Settings"
    api: "Api"


def _times(created: datetime | None, modified: datetime | None) -> dict[str, Any]:
    """Return the times that are given; what was only created was modified then."""
    times = {"created": created, "modified": modified or created}
    return {name: time for name, time in times.items() if time is not None}


def _modified(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)


def _version_of(etag: str) -> int:
    """Return a version for the content that has this ETag."""
    return 1 + int(sha256(etag.encode()).hexdigest()[:7], 16)


def _stable_id(prefix: str, name: str) -> str:
    return f"{prefix}_{sha256(name.encode()).hexdigest()[:16]}"

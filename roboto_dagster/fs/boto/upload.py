"""Uploads, by boto3's transfer manager, with errors of our own."""

import pathlib
import threading
from typing import Any

import boto3.s3.transfer
import s3transfer.futures
import s3transfer.subscribers

from roboto_dagster.fs.boto.client import CachedCredentials, make_s3_client
from roboto_dagster.fs.boto.errors import upload_error
from roboto_dagster.fs.core.progress import ProgressReport
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.credential_cache import CredentialCache
from roboto_dagster.fs.object_store import OnProgress


class Upload:
    """An upload under way; `result()` is None once the object is stored."""

    def __init__(
        self, future: s3transfer.futures.TransferFuture, source: pathlib.Path, uri: str
    ) -> None:
        self._future = future
        self._source = source
        self._uri = uri

    def done(self) -> bool:
        """Reports whether `result` would return at once."""
        return self._future.done()

    def result(self) -> None:
        """Waits until the object is stored.

        Raises:
            UploadError: It could not be stored.
        """
        try:
            self._future.result()
        except Exception as error:  # noqa: BLE001 - each becomes one of ours
            raise upload_error(error, self._source, self._uri) from None

    def cancel(self) -> bool:
        """Asks it to stop; `result` then raises."""
        self._future.cancel()
        return True


class Uploader:
    """Uploads files, each in parts where it is large.

    Args:
        cache: Keeps the credentials fresh.
        settings: See `S3Settings`.
        connections: How many requests are sent at once, at most.
    """

    def __init__(self, cache: CredentialCache, settings: S3Settings, connections: int) -> None:
        self._cache = cache
        self._settings = settings
        self._connections = connections
        self._lock = threading.Lock()
        self._manager: Any = None

    def put(
        self, source: pathlib.Path, uri: str, bucket: str, key: str, on_progress: OnProgress | None
    ) -> Upload:
        """Starts the upload of a file.

        Args:
            source: The file.
            uri: Where it goes, as errors name it.
            bucket: Its bucket.
            key: Its key.
            on_progress: Called with numbers of bytes as they are sent, or None.

        Raises:
            UploadError: There are no credentials, or this machine's AWS configuration cannot be used.
        """
        subscriber = _Subscriber(ProgressReport(on_progress, uri))
        try:
            future = self._transfers().upload(str(source), bucket, key, subscribers=[subscriber])
        except Exception as error:  # noqa: BLE001 - each becomes one of ours
            raise upload_error(error, source, uri) from None
        return Upload(future, source, uri)

    def _transfers(self) -> Any:
        """Returns boto3's transfer manager, made when first needed since that asks for credentials."""
        with self._lock:
            if self._manager is None:
                client = make_s3_client(
                    CachedCredentials(self._cache),
                    self._cache.current().region,
                    self._settings,
                    self._connections,
                )
                self._manager = boto3.s3.transfer.create_transfer_manager(
                    client,
                    boto3.s3.transfer.TransferConfig(
                        multipart_chunksize=self._settings.part_size_bytes,
                        max_concurrency=self._connections,
                        preferred_transfer_client="classic",
                    ),
                )
            return self._manager

    def close(self, *, cancel: bool) -> None:
        """Waits for the uploads, or ends them.

        Args:
            cancel: Whether to end them.
        """
        if self._manager is not None:
            self._manager.shutdown(cancel=cancel)
            self._manager.client.close()


class _Subscriber(s3transfer.subscribers.BaseSubscriber):
    """Passes s3transfer's progress on."""

    def __init__(self, progress: ProgressReport) -> None:
        self._progress = progress
        self._lock = threading.Lock()

    def on_progress(
        self,
        future: s3transfer.futures.TransferFuture,  # noqa: ARG002 - the interface
        bytes_transferred: int,
        **_: object,
    ) -> None:
        with self._lock:
            self._progress.add(bytes_transferred)

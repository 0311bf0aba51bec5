"""S3 over botocore: the portable engine, and the one for uploads.

`get` hands a file to threads that each send one request after another (`download.py`); what is
requested and what an answer means is decided in `fs.core`, as for the curl engine. The threads
start with the first `get` and end with the `with`.
"""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

from roboto_dagster.errors import DownloadError
from roboto_dagster.fs.boto.engine import BotoEngine
from roboto_dagster.fs.boto.errors import failure_of
from roboto_dagster.fs.boto.upload import Uploader
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.credential_cache import CredentialCache
from roboto_dagster.fs.credentials import CredentialProvider
from roboto_dagster.fs.engine.store import EngineStore
from roboto_dagster.fs.object_store import FutureLike, OnProgress
from roboto_dagster.fs.shared_engine import SharedEngine
from roboto_dagster.types import DownloadableFile
from roboto_dagster.uri import split_s3_uri


class BotoStore(EngineStore):
    """An `ObjectStore` over botocore; use it in a `with`.

    Args:
        cache: Keeps the credentials fresh.
        settings: See `S3Settings`.
        shared: What it shares with other stores. Default None: it has an engine of its own.
    """

    def __init__(
        self, cache: CredentialCache, settings: S3Settings, shared: SharedEngine | None = None
    ) -> None:
        own = settings.of_engine
        engine = BotoEngine(own) if shared is None else shared.get(BotoEngine, own)
        super().__init__(cache, settings, engine, is_shared=shared is not None)
        self._sender = engine.sender
        self._uploader = Uploader(cache, settings, engine.connections)

    @classmethod
    def create(
        cls,
        credential_provider: CredentialProvider,
        *,
        shared: SharedEngine | None = None,
        **options: Any,
    ) -> "BotoStore":
        """Makes a store.

        Args:
            credential_provider: Called whenever fresh credentials are needed, from any thread.
            shared: What it shares with other stores. Default None: it has an engine of its own.
            **options: The fields of `S3Settings`.

        Raises:
            ConfigurationError: An option is unknown or wrong.
        """
        settings = S3Settings.from_options(options)
        return cls(CredentialCache(credential_provider, retry=settings.retry), settings, shared)

    def _close(self, *, cancel: bool) -> None:
        self._uploader.close(cancel=cancel)

    def head(self, source_uri: str) -> Mapping[str, str]:
        """Asks for the headers of an object, once; its ETag and checksums among them.

        Args:
            source_uri: `s3://bucket/key`.

        Returns:
            The headers, names in lower case.

        Raises:
            ConfigurationError: The store is closed, belongs to another process, or the URI is none
                of S3's.
            DownloadError: The store did not give them.
        """
        bucket, key = split_s3_uri(source_uri)
        self._check_usable()
        file = DownloadableFile(
            bucket_name=bucket, source_uri=source_uri, destination_path=pathlib.Path(os.devnull)
        )
        try:
            answer = self._sender.head(self._state, bucket, key, self._cache.current())
        except Exception as error:  # noqa: BLE001 - whatever a record or a network causes
            answer = failure_of(error, file)
        if isinstance(answer, Failure):
            raise DownloadError(
                file, answer.code, answer.reason, answer.transient, 1, answer.request_id
            ) from None
        return answer

    def put(
        self, source: pathlib.Path, destination_uri: str, on_progress: OnProgress | None = None
    ) -> FutureLike[None]:
        """Starts the upload of a local file.

        Args:
            source: The file.
            destination_uri: `s3://bucket/key`.
            on_progress: Called with numbers of bytes as they are sent. Default None.

        Raises:
            ConfigurationError: The store is closed, belongs to another process, or the URI is none
                of S3's.
            UploadError: There are no credentials, or this machine's AWS configuration cannot be used.
        """
        bucket, key = split_s3_uri(destination_uri)
        self._check_usable()
        return self._uploader.put(source, destination_uri, bucket, key, on_progress)

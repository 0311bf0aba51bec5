"""S3 over libcurl: the default engine, for many files and big ones.

`get` hands a file to one of a few loops (`loop.py`), each a thread that drives hundreds of
connections. The loops start with the first `get` and end with the `with`.
"""

import dataclasses
import os
import pathlib
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import Self

from roboto_dagster.errors import ConfigurationError, PlatformError
from roboto_dagster.fs.admission import AdmissionLimit
from roboto_dagster.fs.core.download import Download
from roboto_dagster.fs.core.failure import Failure, credentials_failure
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.core.store_state import StoreState
from roboto_dagster.fs.credential_cache import CredentialCache
from roboto_dagster.fs.credentials import CredentialProvider
from roboto_dagster.fs.curl.keys import has_dot_segments
from roboto_dagster.fs.curl.loops import Loops
from roboto_dagster.fs.object_store import (
    BeforePublish,
    FutureLike,
    OnProgress,
    Transfer,
)
from roboto_dagster.uri import split_s3_uri

if TYPE_CHECKING:
    from roboto_dagster.fs.boto.store import BotoStore

_DEFAULT_CONNECTIONS = 256
_MOST_LOOPS = 2
_FILES_PER_CONNECTION = 4


class CurlStore:
    """An `ObjectStore` over libcurl; use it in a `with`.

    Args:
        broker: Keeps the credentials fresh.
        settings: See `S3Settings`.
    """

    def __init__(self, broker: CredentialCache, settings: S3Settings) -> None:
        self._broker = broker
        self._settings = settings
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._is_closed = False
        self._boto: BotoStore | None = None
        connections = _connections(settings)
        loops = min(_MOST_LOOPS, _cores(), connections)
        self._state = StoreState(settings, broker, connections=connections, drivers=loops)
        self._admission = AdmissionLimit(max(connections * _FILES_PER_CONNECTION, 64))
        self._loops = Loops(self._state, self._admission.release)

    @classmethod
    def create(cls, credential_provider: CredentialProvider, **options: Any) -> "CurlStore":
        """Make a store.

        Args:
            credential_provider: Called whenever fresh credentials are needed, from any thread.
            **options: The fields of `S3Settings`.

        Raises:
            ConfigurationError: An option is unknown or wrong.
        """
        settings = S3Settings.from_options(options)
        return cls(CredentialCache(credential_provider, retry=settings.retry), settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> Literal[False]:
        if os.getpid() != self._pid:
            return False
        try:
            self._is_closed = True
            self._loops.end(cancel=exc_type is not None)
        except BaseException:  # a signal while waiting for the transfers
            self._loops.end(cancel=True)
            raise
        finally:
            self._broker.close()
            if self._boto is not None:
                self._boto.__exit__(exc_type, exc_val, exc_tb)
        return False

    def cancel(self) -> None:
        """End every transfer under way with `CANCELLED`; what is published stays."""
        self._loops.cancel()
        if self._boto is not None:
            self._boto.cancel()

    def put(
        self, source: pathlib.Path, destination_uri: str, on_progress: OnProgress | None = None
    ) -> FutureLike[None]:
        """Start the upload of one file, by the boto3 engine.

        Args:
            source: The file.
            destination_uri: `s3://bucket/key`.
            on_progress: Called with bytes as they leave.
        """
        return self._portable().put(source, destination_uri, on_progress)

    def head(self, source_uri: str) -> Mapping[str, str]:
        """Return the headers of an object, names in lower case, by the boto3 engine.

        Args:
            source_uri: `s3://bucket/key`.
        """
        return self._portable().head(source_uri)

    def get(
        self,
        source_uri: str,
        destination: pathlib.Path,
        on_progress: OnProgress | None = None,
        *,
        size_bytes: int | None = None,
        within: pathlib.Path | None = None,
        before_publish: BeforePublish | None = None,
    ) -> Transfer:
        """Start the download of one file; blocks while enough is queued.

        Args:
            source_uri: `s3://bucket/key`.
            destination: Where the file is published once it is complete and verified.
            on_progress: Called with bytes as they arrive, from a thread of the store; negative
                numbers take back what is fetched again.
            size_bytes: The size it must have, in bytes, where it is known.
            within: A parent of `destination` below which no link is followed.
            before_publish: Called with the verified file just before it is renamed into place, from a
                thread of the store.

        Returns:
            Its future, whose `receipt` is set when it is done.

        Raises:
            ConfigurationError: The store is closed, belongs to another process, the URI is none of
                S3's, or this machine's AWS configuration cannot be used.
        """
        bucket, key = split_s3_uri(source_uri)
        if self._is_closed or os.getpid() != self._pid:
            self._refuse_use()
        problem = self._resolve(bucket)
        if problem is None and self._is_for_boto(bucket, key):
            return self._portable().get(
                source_uri,
                destination,
                on_progress,
                size_bytes=size_bytes,
                within=within,
                before_publish=before_publish,
            )
        self._admission.acquire()
        loop = self._loops.choose(size_bytes)
        download = Download(
            Transfer(loop.cancel),
            source_uri,
            bucket,
            key,
            destination,
            within=within,
            before_publish=before_publish,
            expected_size=size_bytes,
            on_progress=on_progress,
            part_size=self._settings.part_size_bytes,
            verify=self._settings.verify,
        )
        if problem is None:
            loop.submit(download)
        else:
            download.transfer.fail(download.error(problem))
            self._admission.release(1)
        return download.transfer

    def _resolve(self, bucket: str) -> Failure | None:
        """Find a bucket's endpoint; that takes credentials, which name the region.

        Returns:
            Why there are no credentials; None if the endpoint is known.
        """
        if bucket in self._state.endpoints:
            return None
        try:
            region = self._broker.current().region
        except PlatformError as error:
            failure = credentials_failure(error)
            advice = failure.advice or self._broker.advice_for(failure.code)
            return dataclasses.replace(failure, advice=advice)
        self._state.endpoints.get(bucket, region)
        return None

    def _is_for_boto(self, bucket: str, key: str) -> bool:
        """Report whether libcurl would ask for another key, or cannot sign for the bucket."""
        endpoint = self._state.endpoints.get(bucket, "")
        return not endpoint.is_plain_s3 or has_dot_segments(key)

    def _refuse_use(self) -> None:
        if os.getpid() != self._pid:
            raise ConfigurationError(
                "This store was made in another process, whose connections it cannot share: "
                "make the store in the process that uses it."
            )
        raise ConfigurationError("This store is closed: call get inside its `with`.")

    def _portable(self) -> "BotoStore":
        # Deferred: boto3 takes a tenth of a second, and few stores need it.
        from roboto_dagster.fs.boto.store import BotoStore

        with self._lock:
            if self._boto is None:
                self._boto = BotoStore(self._broker, self._settings)
            return self._boto


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _connections(settings: S3Settings) -> int:
    """Leave room for the files that the connections fill, and for the rest of the process."""
    wanted = settings.max_connections or _DEFAULT_CONNECTIONS
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows
        return wanted
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if open_files == resource.RLIM_INFINITY:
        return wanted
    return max(min(wanted, (open_files - 32) // 3), 1)

"""S3 over botocore: the portable engine, and the one for uploads.

`get` hands a file to threads that each send one request after another (`download.py`); what is
requested and what an answer means is decided in `fs.core`, as for the curl engine. The threads
start with the first `get` and end with the `with`.
"""

import os
import pathlib
import threading
import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal

from typing_extensions import Self

from roboto_dagster.errors import ConfigurationError, DownloadError
from roboto_dagster.fs.admission import AdmissionLimit
from roboto_dagster.fs.boto.download import BotoDriver
from roboto_dagster.fs.boto.errors import failure_of
from roboto_dagster.fs.boto.sender import Sender
from roboto_dagster.fs.boto.upload import Uploader
from roboto_dagster.fs.core.download import Download
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.settings import MIB, S3Settings
from roboto_dagster.fs.core.store_state import StoreState
from roboto_dagster.fs.credential_cache import CredentialCache
from roboto_dagster.fs.credentials import CredentialProvider
from roboto_dagster.fs.object_store import BeforePublish, FutureLike, OnProgress, Transfer
from roboto_dagster.types import DownloadableFile
from roboto_dagster.uri import split_s3_uri

_DEFAULT_CONNECTIONS = 32
_FILES_PER_CONNECTION = 4
_BYTES_IN_FLIGHT = 512 * MIB
# What this process has open besides, and what each connection needs: a socket, a file, its folder.
_OTHER_OPEN_FILES = 40
_OPEN_FILES_PER_CONNECTION = 3


class BotoStore:
    """An `ObjectStore` over botocore; use it in a `with`.

    Args:
        cache: Keeps the credentials fresh.
        settings: See `S3Settings`.
    """

    def __init__(self, cache: CredentialCache, settings: S3Settings) -> None:
        self._cache = cache
        self._settings = settings
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._is_closed = False
        self._connections = _affordable(settings.max_connections or _DEFAULT_CONNECTIONS)
        self._state = StoreState(settings, cache, connections=self._connections)
        self._admission = AdmissionLimit(max(self._connections * _FILES_PER_CONNECTION, 64))
        self._uploader = Uploader(cache, settings, self._connections)
        self._sender = Sender(self._state, self._connections)
        self._driver: BotoDriver | None = None

    @classmethod
    def create(cls, credential_provider: CredentialProvider, **options: Any) -> "BotoStore":
        """Makes a store.

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
            self._end(cancel=exc_type is not None)
        except BaseException:  # a signal while waiting for the transfers
            self._end(cancel=True)
            raise
        finally:
            self._uploader.close(cancel=exc_type is not None)
            self._sender.close()
            self._cache.close()
        return False

    def _end(self, *, cancel: bool) -> None:
        driver = self._driver
        if driver is None:
            return
        if cancel:
            driver.cancel_all()
        driver.stop()
        driver.join()

    def cancel(self) -> None:
        """Ends every transfer under way with `CANCELLED`; what is published stays."""
        if self._driver is not None:
            self._driver.cancel_all()

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
        """Starts the download of one file; blocks while enough is queued.

        Args:
            source_uri: `s3://bucket/key`.
            destination: Where the file is published once it is complete and verified.
            on_progress: Called with numbers of bytes as they arrive; negative numbers take back what
                is fetched again. Default None.
            size_bytes: The size it must have. Default None: not known.
            within: A parent of `destination` below which no link is followed. Default None.
            before_publish: Called with the verified file just before it is renamed into place.
                Default None.

        Returns:
            Its future, whose `receipt` is set when it is done.

        Raises:
            ConfigurationError: The store is closed, belongs to another process, or the URI is none
                of S3's.
        """
        bucket, key = split_s3_uri(source_uri)
        self._check_usable()
        driver = self._started()
        download = Download(
            Transfer(driver.cancel),
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
        self._admission.acquire()
        driver.submit(download)
        return download.transfer

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
            answer = self._sender.head(bucket, key, self._cache.current())
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

    def _check_usable(self) -> None:
        if os.getpid() != self._pid:
            raise ConfigurationError(
                "This store was made in another process, whose connections it cannot share: "
                "make the store in the process that uses it."
            )
        if self._is_closed:
            raise ConfigurationError("This store is closed: call get inside its `with`.")

    def _started(self) -> BotoDriver:
        with self._lock:
            if self._driver is None:
                self._driver = BotoDriver(
                    self._state,
                    self._sender,
                    connections=self._connections,
                    bytes_in_flight=_BYTES_IN_FLIGHT,
                    on_ended=self._admission.release,
                )
                # Where a signal keeps even `__exit__` from being reached.
                weakref.finalize(self, self._driver.stop).atexit = False
            self._driver.start()
            return self._driver


def _affordable(connections: int) -> int:
    """Bounds connections by the files that this process may open."""
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows
        return connections
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if open_files == resource.RLIM_INFINITY:
        return connections
    room = (open_files - _OTHER_OPEN_FILES) // _OPEN_FILES_PER_CONNECTION
    return max(min(connections, room), 1)

"""What an object store must offer a session, and the registry that finds one for a URI.

The protocols have the shapes of the SDK's (`roboto.storage`), so that either side's objects work
with the other's.
"""

import dataclasses
import os
import pathlib
import pkgutil
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.fs.credentials import CredentialProvider

T_co = TypeVar("T_co", covariant=True)

OnProgress = Callable[[int], None]
"""Called with a number of bytes as they arrive; a negative number takes back bytes that are
fetched again.
"""


class FutureLike(Protocol[T_co]):
    """A result that will be there later."""

    def result(self) -> T_co:
        """Wait for the result, and return it or raises what went wrong."""
        ...

    def done(self) -> bool:
        """Report whether `result` would return at once."""
        ...


@runtime_checkable
class ObjectStore(Protocol):
    """A store of objects, open for the length of a `with`."""

    @classmethod
    def create(cls, credential_provider: CredentialProvider, **kwargs: Any) -> "ObjectStore":
        """Make a store that asks `credential_provider` for credentials whenever it needs them."""
        ...

    def __enter__(self) -> "ObjectStore": ...  # noqa: PYI034 - as the SDK's protocol has it

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
        /,
    ) -> bool | None: ...

    def put(
        self, source: pathlib.Path, destination_uri: str, on_progress: OnProgress | None = None
    ) -> FutureLike[None]:
        """Start the upload of a local file.

        Args:
            source: The file.
            destination_uri: Where it goes, such as `s3://bucket/key`.
            on_progress: Called with bytes as they leave. Default None.
        """
        ...

    def get(
        self, source_uri: str, destination: pathlib.Path, on_progress: OnProgress | None = None
    ) -> FutureLike[None]:
        """Start the download of one object; may block while the store is busy.

        Args:
            source_uri: The object, such as `s3://bucket/key`.
            destination: The local path; parent folders are made.
            on_progress: Called with bytes as they arrive. Default None.
        """
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What is known of a file that was published.

    Attributes:
        size_bytes: Its size on disk.
        etag: The store's ETag without quotes, or None.
        checksum: The object's checksum as the store sent it, `<algorithm>:<base64>`, or None.
        verified: The algorithm that matched (`crc64nvme`, `crc32c`, `crc32`, `sha256`, `md5`), or
            `size`.
        attempts: How often it was tried, 1 if nothing went wrong.
        duration_seconds: From the first request to the publishing rename.
        request_id: The store's id of the last request, or None.
    """

    size_bytes: int
    etag: str | None
    checksum: str | None
    verified: str
    attempts: int
    duration_seconds: float
    request_id: str | None = None


BeforePublish = Callable[[Receipt, os.stat_result, os.stat_result | None], None]
"""Called, from any thread, just before a verified file is renamed into place, with its status and that of what it
replaces, or None.
"""

BeforeRenames = Callable[[], None]
"""Called after `BeforePublish` and before the rename, by the same thread, once for several files: for what is done for all
of them at once.
"""


class Transfer:
    """A download under way; `result()` is None once the file is published, complete and verified.

    Not a `concurrent.futures.Future`: that is nine objects, which the garbage collector visits
    again and again while files wait; measured, a fifth of the time that a small file takes.

    Args:
        on_cancel: Asks the store to end this transfer.

    Attributes:
        receipt: What is known of the file, once it is published.
    """

    __slots__ = ("_error", "_is_done", "_on_cancel", "_waited_for", "receipt")

    def __init__(self, on_cancel: Callable[["Transfer"], None]) -> None:
        self.receipt: Receipt | None = None
        self._on_cancel = on_cancel
        self._is_done = False
        self._error: BaseException | None = None
        self._waited_for: threading.Event | None = None

    def done(self) -> bool:
        """Report whether `result` would return at once."""
        return self._is_done

    def result(self, timeout: float | None = None) -> None:
        """Wait until the file is published.

        Args:
            timeout: How many seconds to wait at most; None for as long as it takes.

        Raises:
            DownloadError: The file could not be fetched.
            TimeoutError: It is still under way.
        """
        error = self.exception(timeout)
        if error is not None:
            raise error

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait until the transfer ends.

        Args:
            timeout: How many seconds to wait at most; None for as long as it takes.

        Returns:
            Why the file could not be fetched; None if it is published.

        Raises:
            TimeoutError: It is still under way.
        """
        if not self._is_done and not self._wait(timeout):
            raise TimeoutError("the transfer is still under way")
        return self._error

    def _wait(self, timeout: float | None) -> bool:
        with _making_event:  # most transfers are never waited for
            event = self._waited_for = self._waited_for or threading.Event()
        # Looked at again: who ends it now sees the event, who ended it before did not.
        return self._is_done or event.wait(timeout)

    def cancel(self) -> bool:
        """Ask the store to stop; the transfer then ends with a `CANCELLED` error, its target
        untouched.
        """
        if not self._is_done:
            self._on_cancel(self)
        return True

    def succeed(self, receipt: Receipt) -> None:
        """End it well; for the store."""
        self.receipt = receipt
        self._end()

    def fail(self, error: BaseException) -> None:
        """End it with an error; for the store."""
        self._error = error
        self._end()

    def _end(self) -> None:
        self._is_done = True
        if self._waited_for is not None:
            self._waited_for.set()


_making_event = threading.Lock()

StoreT = TypeVar("StoreT", bound=type[Any])


class StoreRegistry:
    """Finds the store class for a URI by its scheme."""

    # A text names a class of this package that is imported when it is first used.
    _stores: ClassVar[dict[str, type[Any] | str]] = {"s3": "roboto_dagster.fs.s3_store:S3Store"}

    @classmethod
    def register(cls, scheme: str) -> Callable[[StoreT], StoreT]:
        """Class decorator: the decorated `ObjectStore` serves URIs of this scheme.

        Args:
            scheme: Such as `"s3"` or `"gs"`.

        Raises:
            ConfigurationError: The scheme is taken.
        """

        def decorate(store_class: StoreT) -> StoreT:
            if scheme in cls._stores:
                taken_by = cls._class_for(scheme).__qualname__
                msg = f"Scheme {scheme!r} is already served by {taken_by}; register another scheme."
                raise ConfigurationError(msg)
            cls._stores[scheme] = store_class
            return store_class

        return decorate

    @classmethod
    def schemes(cls) -> frozenset[str]:
        """Return the schemes for which a store is registered."""
        return frozenset(cls._stores)

    @classmethod
    def get_store_for_uri(
        cls, uri: str, credential_provider: CredentialProvider, **options: Any
    ) -> ObjectStore:
        """Make the store that serves `uri`, to be used in a `with`.

        Args:
            uri: Any URI of the store, such as `s3://bucket/key`.
            credential_provider: Called whenever credentials are needed, from any thread.
            **options: Passed to the store's `create`; for `s3` those of `S3Settings`, and `engine`.

        Raises:
            ConfigurationError: No store is registered for the scheme, or an option is unknown.
        """
        given: Any = uri
        scheme = given.partition("://")[0] if isinstance(given, str) else None
        if scheme not in cls._stores:
            msg = f"No object store serves {uri!r}; registered schemes: {', '.join(sorted(cls._stores)) or 'none'}."
            raise ConfigurationError(msg)
        given = credential_provider
        if not callable(given):
            msg = f"credential_provider must be a function that returns credentials, not {type(given).__name__}."
            raise ConfigurationError(msg)
        store: ObjectStore = cls._class_for(scheme).create(
            credential_provider=credential_provider, **options
        )
        return store

    @classmethod
    def _class_for(cls, scheme: str) -> type[Any]:
        found = cls._stores[scheme]
        if isinstance(found, str):
            found = cls._stores[scheme] = pkgutil.resolve_name(found)
        return found

"""A batch of downloads of one association with shared credentials: what is fetched, and its outcome.

The session starts no transfer itself: the caller asks a store for each file and registers the
future. It holds no transaction on the platform.
"""

import collections
import contextlib
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from typing_extensions import Self

from roboto_dagster.errors import DownloadError, PlatformError
from roboto_dagster.fs.credentials import CredentialProvider, Credentials, DescribedProvider
from roboto_dagster.fs.download_errors import as_download_error
from roboto_dagster.fs.object_store import FutureLike
from roboto_dagster.platform.client import make_client
from roboto_dagster.platform.errors import platform_errors
from roboto_dagster.types import DownloadableFile

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

if TYPE_CHECKING:  # importing the SDK takes about a second, and only using a session needs it
    from roboto import Association, RobotoClient
    from roboto.storage.credentials import RobotoCredentials

logger = logging.getLogger(__name__)


OnSettled = Callable[[DownloadableFile, FutureLike[None], DownloadError | None], None]
"""Called once for every registered file, by the waiting thread: with the file, its future, and its
failure or None.
"""

# So many are left alone; of more, what has ended would only fill the processor's caches.
_PENDING = 250
_SWEEP_EVERY = 1000
_MAX_LOGGED = 5
_MAX_KEPT = 100  # failures in the group of a session whose `on_settled` gets every one


class DownloadSession:
    """Manages one batch of downloads with shared credentials.

    Iterating it yields the files; when all have been yielded it waits for what was registered, and
    raises one `ExceptionGroup` that holds every failure. Memory does not grow with the number of files
    that succeeded.

    As a context manager it waits on leaving. If the body raised, what is running is cancelled and
    the body's error wins.

    ```python
    session = DownloadSession(
        items=files, association=Association.dataset("ds_123"), roboto_client=client
    )
    store = StoreRegistry.get_store_for_uri(uri, session.make_credential_provider(bucket))
    with store:
        for file in session:
            future = store.get(file["source_uri"], file["destination_path"])
            session.register_download(file, future)
    ```

    Args:
        items: The files. A lazy iterable is consumed as the session is iterated.
        association: Whose files they are: a dataset, a device, an org.
        roboto_client: Client of the platform. Default None: one that the environment describes, as with the
            SDK.
        caller_org_id: Organization to act for, where the files belong to another one. Default None.
        on_settled: Called once for every file, when its end is noticed. With it, the group holds the first
            hundred failures only, since the function got them all. Default None.
    """

    def __init__(
        self,
        items: Iterable[DownloadableFile],
        association: "Association",
        roboto_client: "RobotoClient | None" = None,
        caller_org_id: str | None = None,
        *,
        on_settled: OnSettled | None = None,
    ) -> None:
        self._items = items
        self._association = association
        self._roboto_client = roboto_client
        self._caller_org_id = caller_org_id
        self._on_settled = on_settled
        self._pending: collections.deque[tuple[DownloadableFile, FutureLike[None]]] = (
            collections.deque()
        )
        self._failures: list[DownloadError] = []
        self._failed = 0
        self._sweep_at = _SWEEP_EVERY
        self._is_cancelled = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> Literal[False]:
        if exc_type is None:
            self.await_downloads()
        else:
            self._cancel_pending()
        return False

    def __iter__(self) -> Iterator[DownloadableFile]:
        yield from self._items
        self.await_downloads()

    @property
    def credential_provider(self) -> CredentialProvider:
        """The same as `make_credential_provider()`: for a batch that lies in one bucket."""
        return self.make_credential_provider()

    def make_credential_provider(self, bucket_name: str | None = None) -> CredentialProvider:
        """Return a provider of read-only credentials for the association's files.

        Args:
            bucket_name: The bucket they are for. Default None: the first that the platform offers.

        Returns:
            A function that asks the platform each time it is called. It raises `PlatformError` if
            the platform rejects that, offers none, or none for this bucket.
        """

        def provide_credentials() -> Credentials:
            offered = self._request_credentials()
            chosen = _choose(offered, bucket_name, self._association.association_id)
            return chosen.to_object_store_credentials()

        return DescribedProvider(provide_credentials, _ADVICE)

    def register_download(self, file: DownloadableFile, future: FutureLike[None]) -> None:
        """Register a transfer under way; call it right after starting one.

        Args:
            file: The file, as the session yielded it.
            future: Anything with `result()` and `done()`.
        """
        self._pending.append((file, future))
        if len(self._pending) > _PENDING:
            self._settle_first(lambda first: first.done())
        if len(self._pending) >= self._sweep_at:
            self._sweep()

    def await_downloads(self) -> None:
        """Wait for every registered download, inside the store's `with`.

        Raises:
            ExceptionGroup: One `DownloadError` for each file that failed; once raised they are
                forgotten, and a second call is about what was registered since.
        """
        try:
            self._settle_first(lambda _: True)
        except BaseException:  # an interrupt: nothing may continue unnoticed by the caller
            self._cancel_pending()
            raise
        failures, self._failures = self._failures, []
        failed, self._failed = self._failed, 0
        if failures:
            files = "1 file" if failed == 1 else f"{failed} files"
            msg = f"{files} of {self._association.association_id} could not be downloaded"
            raise ExceptionGroup(msg, failures)

    def cancel(self) -> None:
        """Cancel every registered download that has not ended; may be called from another thread."""
        self._is_cancelled = True
        for _, future in list(self._pending):
            _cancel(future)

    def _settle_first(self, may_settle: Callable[[FutureLike[None]], bool]) -> None:
        """Settle the oldest, one after the other, as long as that may be done; it waits for those that have not ended."""
        while self._pending and may_settle(self._pending[0][1]):
            self._settle(*self._pending[0])
            self._pending.popleft()

    def _sweep(self) -> None:
        """Settle what has ended behind one that takes long, so that the list does not grow with the batch; amortised
        constant time a file.
        """
        # In place: the traceback of a failure that is kept holds this frame, and with it what its variables hold.
        for _ in range(len(self._pending)):
            file, future = self._pending[0]
            if future.done():
                self._settle(file, future)
                self._pending.popleft()
            else:
                self._pending.rotate(-1)
        self._sweep_at = 2 * len(self._pending) + _SWEEP_EVERY

    def _settle(self, file: DownloadableFile, future: FutureLike[None]) -> None:
        failure: DownloadError | None = None
        try:
            future.result()
        except BaseException as error:
            if not _is_the_futures(error, future):
                raise
            # Without the traceback, whose frames would hold the failure in a cycle: of a million, the
            # collector finds too few in time.
            failure = as_download_error(file, error).with_traceback(None)
            self._note(failure)
        if self._on_settled:
            self._on_settled(file, future, failure)

    def _note(self, failure: DownloadError) -> None:
        """Log and keep a failure; of thousands, as in an outage, the first are enough."""
        self._failed += 1
        if self._is_cancelled:  # whoever cancelled it knows
            pass
        elif self._failed <= _MAX_LOGGED:
            logger.error("Download failed: %s", failure)
        elif self._failed == _MAX_LOGGED + 1:
            logger.error("More downloads failed; they are not logged one by one.")
        if self._on_settled is None or len(self._failures) < _MAX_KEPT:
            self._failures.append(failure)

    def _cancel_pending(self) -> None:
        for file, future in self._pending:
            if not future.done():
                _cancel(future)
            elif self._on_settled and _has_succeeded(future):
                self._on_settled(file, future, None)
        self._pending.clear()

    def _client(self) -> "RobotoClient":
        if self._roboto_client is None:
            self._roboto_client = make_client()
        return self._roboto_client

    def _request_credentials(self) -> "list[RobotoCredentials]":
        from roboto.storage.credentials import RobotoCredentials

        association_id = self._association.association_id
        family = "datasets" if self._association.is_dataset else "files/association"
        client = self._client()
        with platform_errors(f"asking for read credentials of {association_id}", client):
            response = client.get(
                f"v1/{family}/id/{association_id}/credentials",
                query={"mode": "ReadOnly"},
                caller_org_id=self._caller_org_id,
            )
            return response.to_record_list(RobotoCredentials)


_ADVICE = "Check ROBOTO_API_KEY, whose owner needs read access, and that the bucket is registered with the platform."


def _cancel(future: FutureLike[None]) -> None:
    with contextlib.suppress(Exception):  # a foreign future's; the others are cancelled too
        getattr(future, "cancel", lambda: None)()


def _is_the_futures(error: BaseException, future: FutureLike[None]) -> bool:
    """Return whether an error is the outcome of a future, and not an interrupt of the wait for it."""
    if isinstance(error, Exception):
        return True
    # asyncio's is no Exception; an interrupt may come while a future that has ended is read, so the
    # name has to fit too.
    return type(error).__name__ == "CancelledError" and future.done()


def _choose(
    offered: "list[RobotoCredentials]", bucket_name: str | None, association_id: str
) -> "RobotoCredentials":
    if not offered:
        msg = (
            f"The platform offers no credentials for {association_id}. Check that it holds a file."
        )
        raise PlatformError(msg)
    if bucket_name is None:
        return offered[0]
    for each in offered:
        if each.bucket == bucket_name:
            return each
    others = ", ".join(sorted(each.bucket for each in offered))
    msg = (
        f"The platform offers no credentials for bucket {bucket_name!r} of {association_id}, only for {others}. "
        "Check that the bucket is registered with the platform."
    )
    raise PlatformError(msg)


def _has_succeeded(future: FutureLike[None]) -> bool:
    """Return whether a future that has ended did so without an error, an interrupt included."""
    try:
        future.result()
    except BaseException:  # noqa: BLE001 -- asked on the way out: the caller's own error wins
        return False
    return True

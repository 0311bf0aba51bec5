"""What both S3 stores have in common: a store is credentials and settings, an engine does the work.

```
                     ┌ tenant in driver 0 ┐
 store.get ─► choose ┤                    ├ of an engine: the store's own, or one that several share
                     └ tenant in driver 1 ┘
```
"""

import dataclasses
import os
import pathlib
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Literal, Protocol

from typing_extensions import Self

from roboto_dagster.errors import ConfigurationError, PlatformError
from roboto_dagster.fs.admission import AdmissionLimit
from roboto_dagster.fs.core.download import Download
from roboto_dagster.fs.core.failure import Failure, credentials_failure
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.core.store_state import StoreState
from roboto_dagster.fs.core.throttle import SharedThrottle
from roboto_dagster.fs.credential_cache import CredentialCache
from roboto_dagster.fs.engine.tenant import Tenant
from roboto_dagster.fs.object_store import BeforePublish, BeforeRenames, OnProgress, Transfer
from roboto_dagster.uri import split_s3_uri

_FILES_PER_CONNECTION = 4
# Files that may wait in a store; in each of those that share an engine, so that their sum is bounded.
_LEAST_ADMITTED, _ADMITTED_OF_SHARED = 64, 256


class Engine(Protocol):
    """What a store needs of its engine."""

    connections: int
    drivers: int
    throttle: SharedThrottle

    def tenants(self, state: StoreState, on_ended: Callable[[int], None]) -> list[Tenant]:
        """Return a store's part of each driver.

        Args:
            state: What is learnt about the store.
            on_ended: Called with how many files ended, after they did.
        """
        ...

    def choose(self, size_bytes: float) -> int:
        """Return the number of the driver for a file."""
        ...

    def start(self) -> None:
        """Start the drivers; nothing if they were started before."""
        ...

    def end(self, *, cancel: bool) -> None:
        """Wait for all files, and end the drivers."""
        ...


class EngineStore:
    """Downloads of an `ObjectStore`; use it in a `with`.

    Args:
        cache: Keeps the credentials fresh.
        settings: See `S3Settings`.
        engine: Fetches the files.
        is_shared: Whether other stores use the engine, which then is not ended by this one.
    """

    def __init__(
        self, cache: CredentialCache, settings: S3Settings, engine: Engine, *, is_shared: bool
    ) -> None:
        self._cache = cache
        self._settings = settings
        self._engine = engine
        self._is_shared = is_shared
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._is_closed = False
        connections = engine.connections
        self._state = StoreState(
            settings,
            cache,
            connections=connections,
            drivers=engine.drivers,
            shared=engine.throttle if is_shared else None,
        )
        admitted = max(connections * _FILES_PER_CONNECTION, _LEAST_ADMITTED)
        self._admission = AdmissionLimit(
            min(admitted, _ADMITTED_OF_SHARED) if is_shared else admitted
        )
        self._tenants: Sequence[Tenant] = engine.tenants(self._state, self._admission.release)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> Literal[False]:
        self.close(cancel=exc_type is not None)
        return False

    def close(self, *, cancel: bool) -> None:
        """Wait for all files of this store, and end it; what the `with` does.

        Args:
            cancel: Whether to end the files too.
        """
        if os.getpid() != self._pid:
            return
        try:
            self._is_closed = True
            self._end(cancel=cancel)
        except BaseException:  # a signal while waiting for the transfers
            self._end(cancel=True)
            raise
        finally:
            self._close(cancel=cancel)
            self._cache.close()

    def _end(self, *, cancel: bool) -> None:
        """Wait for this store's files, and end the engine if it is this store's own."""
        if cancel:
            self.cancel()
        if not self._is_shared:
            self._engine.end(cancel=False)
            return
        for tenant in self._tenants:
            tenant.close()
        for tenant in self._tenants:
            tenant.join()

    def _close(self, *, cancel: bool) -> None:
        """Close what only this kind of store has."""

    @property
    def standstill(self) -> Failure | None:
        """Why every file that is asked for now fails at once: the store is out of order, there are no credentials, or the
        disk is full; None if that is not so.
        """
        state = self._state
        try:
            state.credentials.get_nowait()
        except PlatformError as error:
            return self._without_credentials(error)
        return state.disk_full or state.outage.failure

    def _without_credentials(self, error: PlatformError) -> Failure:
        """Return why there are no credentials, with what to do about it."""
        failure = credentials_failure(error)
        advice = failure.advice or self._cache.advice_for(failure.code)
        return dataclasses.replace(failure, advice=advice)

    def cancel(self) -> None:
        """End every transfer under way with `CANCELLED`; what is published stays."""
        for tenant in self._tenants:
            tenant.cancel_all()

    def get(
        self,
        source_uri: str,
        destination: pathlib.Path,
        on_progress: OnProgress | None = None,
        *,
        size_bytes: int | None = None,
        within: pathlib.Path | None = None,
        before_publish: BeforePublish | None = None,
        before_renames: BeforeRenames | None = None,
    ) -> Transfer:
        """Start the download of one file; blocks while enough is queued.

        Args:
            source_uri: `s3://bucket/key`.
            destination: Where the file is published once it is complete and verified.
            on_progress: Called with numbers of bytes as they arrive, from a thread of the engine;
                negative numbers take back what is fetched again. Default None.
            size_bytes: The size it must have, in bytes. Default None: not known.
            within: A parent of `destination` below which no link is followed. Default None.
            before_publish: Called with the verified file just before it is renamed into place, from
                a thread of the engine. Default None.
            before_renames: Called between that and the rename, by the same thread, once for all files with the same
                function that are renamed then. If it raises, they fail. Default None.

        Returns:
            Its future, whose `receipt` is set when it is done.

        Raises:
            ConfigurationError: The store is closed, belongs to another process, the URI is none of
                S3's, or this machine's AWS configuration cannot be used.
        """
        bucket, key = split_s3_uri(source_uri)
        self._check_usable()
        problem = self._prepare(bucket)
        other = None if problem else self._substitute(bucket, key)
        if other is not None:
            return other.get(
                source_uri,
                destination,
                on_progress,
                size_bytes=size_bytes,
                within=within,
                before_publish=before_publish,
                before_renames=before_renames,
            )
        self._engine.start()
        self._admission.acquire()
        size = self._state.typical_bytes if size_bytes is None else size_bytes
        tenant = self._tenants[self._engine.choose(size)]
        download = Download(
            Transfer(tenant.cancel),
            source_uri,
            bucket,
            key,
            destination,
            within=within,
            before_publish=before_publish,
            before_renames=before_renames,
            expected_size=size_bytes,
            on_progress=on_progress,
            part_size=self._settings.part_size_bytes,
            verify=self._settings.verify,
        )
        if problem is None:
            tenant.submit(download)
        else:
            tenant.refuse(download, problem)
        return download.transfer

    def _prepare(self, bucket: str) -> Failure | None:  # noqa: ARG002 - for those that need it
        """Return why no file of a bucket can be requested; None if one can."""
        return None

    def _substitute(self, bucket: str, key: str) -> "EngineStore | None":  # noqa: ARG002 - for those that need it
        """Return the store that has to fetch an object in place of this one, or None."""
        return None

    def _check_usable(self) -> None:
        if os.getpid() != self._pid:
            raise ConfigurationError(
                "This store was made in another process, whose connections it cannot share: "
                "make the store in the process that uses it."
            )
        if self._is_closed:
            raise ConfigurationError("This store is closed: call get inside its `with`.")

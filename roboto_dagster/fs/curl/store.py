"""S3 over libcurl: the default engine, for many files and big ones.

`get` hands a file to one of a few loops (`loop.py`), each a thread that drives hundreds of
connections. The loops start with the first `get` and end with the `with`.
"""

import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from roboto_dagster.errors import PlatformError
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.credential_cache import CredentialCache
from roboto_dagster.fs.credentials import CredentialProvider
from roboto_dagster.fs.curl.engine import CurlEngine
from roboto_dagster.fs.curl.keys import has_dot_segments
from roboto_dagster.fs.engine.store import EngineStore
from roboto_dagster.fs.object_store import FutureLike, OnProgress
from roboto_dagster.fs.shared_engine import SharedEngine

if TYPE_CHECKING:
    from roboto_dagster.fs.boto.store import BotoStore


class CurlStore(EngineStore):
    """An `ObjectStore` over libcurl; use it in a `with`.

    Args:
        cache: Keeps the credentials fresh.
        settings: See `S3Settings`.
        shared: What it shares with other stores. Default None: it has an engine of its own.
    """

    def __init__(
        self, cache: CredentialCache, settings: S3Settings, shared: SharedEngine | None = None
    ) -> None:
        own = settings.of_engine
        engine = CurlEngine(own) if shared is None else shared.get(CurlEngine, own)
        super().__init__(cache, settings, engine, is_shared=shared is not None)
        self._shared = shared
        self._boto: BotoStore | None = None

    @classmethod
    def create(
        cls,
        credential_provider: CredentialProvider,
        *,
        shared: SharedEngine | None = None,
        **options: Any,
    ) -> "CurlStore":
        """Make a store.

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
        if self._boto is not None:
            self._boto.close(cancel=cancel)

    def cancel(self) -> None:
        """End every transfer under way with `CANCELLED`; what is published stays."""
        super().cancel()
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

    def _prepare(self, bucket: str) -> Failure | None:
        """Find a bucket's endpoint; that takes credentials, which name the region.

        Returns:
            Why there are no credentials; None if the endpoint is known.
        """
        if bucket in self._state.endpoints:
            return None
        try:
            region = self._cache.current().region
        except PlatformError as error:
            return self._without_credentials(error)
        self._state.endpoints.get(bucket, region)
        return None

    def _substitute(self, bucket: str, key: str) -> EngineStore | None:
        """Return the boto3 engine where libcurl would ask for another key, or cannot sign."""
        is_plain = self._state.endpoints.get(bucket, "").is_plain_s3 and not has_dot_segments(key)
        return None if is_plain else self._portable()

    def _portable(self) -> "BotoStore":
        # Deferred: boto3 takes a tenth of a second, and few stores need it.
        from roboto_dagster.fs.boto.store import BotoStore

        with self._lock:
            if self._boto is None:
                self._boto = BotoStore(self._cache, self._settings, self._shared)
            return self._boto

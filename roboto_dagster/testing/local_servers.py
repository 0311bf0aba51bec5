"""The two servers of a `LocalRoboto`: how they start, how they are reached, and how they end."""

import logging
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from types import TracebackType
from typing import TYPE_CHECKING, Any

from typing_extensions import Self

from roboto_dagster.testing.faults import Faults
from roboto_dagster.testing.request_log import RequestLog
from roboto_dagster.testing.server.catalog import Catalog
from roboto_dagster.testing.server.content import as_content
from roboto_dagster.testing.server.http import HttpServer
from roboto_dagster.testing.server.messages import Handler, Request, Response

if TYPE_CHECKING:
    from roboto import RobotoClient

    from roboto_dagster.testing.server.api import Api
    from roboto_dagster.testing.server.backend import Settings
    from roboto_dagster.testing.server.s3 import LocalS3

logger = logging.getLogger(__name__)

DEFAULT_BUCKET = "roboto-managed"


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(timezone.utc)


class LocalServers:
    """The API and the S3 server of one platform; see `LocalRoboto` for its arguments."""

    def __init__(
        self,
        *,
        api_key: str | None,
        page_size: int,
        credentials_ttl_seconds: float,
        bucket: str,
        clock: Callable[[], datetime],
        seed: int | None,
        api_port: int,
        s3_port: int,
    ) -> None:
        self.api_key = api_key or f"local-{secrets.token_hex(16)}"
        self.requests = RequestLog()
        self._parts: _Parts | None = None
        self._catalog = Catalog(clock=clock, seed=seed)
        self.faults = Faults(self._put_object)
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
        """Start both servers, and fill the platform.

        Raises:
            ImportError: What the S3 server is made of is not installed.
            OSError: A port is taken, or the folder cannot be read; nothing is left running.
        """
        self._parts = self._make_parts()
        try:
            self._s3_server.start()
            self._api_server.start()
            self._fill()
        except BaseException:
            self.stop()
            raise
        return self

    def _fill(self) -> None:
        """Add what is served from the start; nothing by default."""

    def stop(self) -> None:
        """Stop both servers, end what they are still sending, and forget everything."""
        self._api_server.stop()
        self._s3_server.stop()
        self._catalog.clear()
        if self._parts is not None:
            self._parts.store.close()

    def clear(self) -> None:
        """Forget all datasets, files and objects, the faults, and the log of requests.

        The servers, the API key and the credentials that were handed out stay, and no id is used
        twice: one platform can serve many tests, each of which begins with an empty one.
        """
        self.faults.clear()
        self._catalog.clear()
        self._running.store.clear()
        self.requests.clear()

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
            from roboto_dagster.testing.server.api import Api
            from roboto_dagster.testing.server.backend import Settings
            from roboto_dagster.testing.server.s3 import LocalS3
        except ModuleNotFoundError as error:
            raise ImportError(
                f"LocalRoboto needs {error.name}, which is not installed: "
                'pip install "roboto-dagster[local]"'
            ) from error
        store = LocalS3(clock=self._clock, other_regions=self.faults.regions)
        settings = Settings(
            api_key=self.api_key,
            page_size=self._page_size,
            credentials_ttl_seconds=self._ttl_seconds,
            bucket=self._bucket,
            s3_url=lambda: self.s3_url,
        )
        return _Parts(store=store, settings=settings, api=Api(self._catalog, store, settings))

    def _put_object(self, bucket: str, key: str, data: bytes) -> None:
        self._running.store.put(bucket, key, as_content(data), checksum_algorithm="CRC64NVME")

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What is made when a platform starts, because its imports take most of a second."""

    store: "LocalS3"
    settings: "Settings"
    api: "Api"

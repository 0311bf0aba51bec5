"""Has botocore make and sign requests that this engine sends itself.

botocore stays the authority on URLs, ARNs, addressing, signature versions and S3 Express sessions.
It is not asked to send: it would read error bodies of any size, follow redirects between regions
in circles, and hand out neither status nor headers of a body that is still to be read.
"""

import datetime as dt
import functools
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions
import botocore.loaders
import botocore.session

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.credential_cache import CredentialCache
from roboto_dagster.fs.credentials import LiveCredentials
from roboto_dagster.redaction import safe_cause

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SIGV4 = "AWS4-HMAC-SHA256"


class _Signed(BaseException):
    """Leaves botocore with the request that it was about to send."""

    def __init__(self, request: botocore.awsrequest.AWSPreparedRequest) -> None:
        super().__init__()
        self.request = request


class RequestSigner:
    """Makes signed requests for objects, for any number of threads.

    Args:
        settings: See `S3Settings`.
    """

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._credentials = _GivenCredentials()
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def sign(
        self,
        operation: str,
        parameters: dict[str, str],
        *,
        credentials: LiveCredentials,
        region: str,
        skew_seconds: float = 0.0,
    ) -> botocore.awsrequest.AWSPreparedRequest:
        """Makes a request of one of S3's operations.

        Args:
            operation: As a method of botocore's client, such as `get_object`.
            parameters: As botocore's client takes them.
            credentials: What to sign with.
            region: The region to sign for; empty for botocore's own.
            skew_seconds: What to add to this machine's clock to have the store's. Default 0.

        Raises:
            BotoCoreError: botocore's, if there can be no such request.
            ConfigurationError: This machine's AWS configuration cannot be used.
        """
        client = self._client(region)
        self._credentials.use(credentials)
        request = _request_of(lambda: getattr(client, operation)(**parameters))
        return _sign_again(request, credentials, skew_seconds) if skew_seconds else request

    def _client(self, region: str) -> Any:
        client = self._clients.get(region)
        if client is None:
            with self._lock:  # making one takes a tenth of a second
                client = self._clients.get(region)
                if client is None:
                    client = self._clients[region] = self._make_s3_client(region)
        return client

    def _make_s3_client(self, region: str) -> Any:
        client = make_s3_client(self._credentials, region, self._settings)
        client.meta.events.register_first("before-send.s3", _leave)
        return client


def _request_of(send: Callable[[], object]) -> botocore.awsrequest.AWSPreparedRequest:
    """Returns the request that botocore was about to send."""
    try:
        send()
    except _Signed as signed:
        return signed.request
    raise RuntimeError("botocore sent a request that it was only to sign")


def _leave(
    request: botocore.awsrequest.AWSPreparedRequest, event_name: str = "", **_: object
) -> None:
    if not event_name.endswith("CreateSession"):  # which botocore needs the answer of
        raise _Signed(request)


class _GivenCredentials(botocore.credentials.Credentials):
    """The credentials that the current thread signs with."""

    def __init__(self) -> None:
        super().__init__("", "", method="roboto")
        self._local = threading.local()

    def use(self, credentials: LiveCredentials) -> None:
        """Takes the credentials for what this thread signs next."""
        self._local.credentials = credentials

    def get_frozen_credentials(self) -> Any:
        """Returns them in botocore's form."""
        return _frozen(self._local.credentials)


class CachedCredentials(botocore.credentials.Credentials):
    """Credentials that are read from a cache at each request.

    Args:
        cache: Keeps them fresh.
    """

    def __init__(self, cache: CredentialCache) -> None:
        super().__init__("", "", method="roboto")
        self._cache = cache

    def get_frozen_credentials(self) -> Any:
        """Returns the current ones in botocore's form."""
        return _frozen(self._cache.current())


def _frozen(credentials: LiveCredentials) -> Any:
    return botocore.credentials.ReadOnlyCredentials(
        credentials.access_key, credentials.secret_key, credentials.token or None, None
    )


def make_s3_client(
    credentials: botocore.credentials.Credentials,
    region: str,
    settings: S3Settings,
    max_connections: int = 10,
) -> "S3Client":
    """Makes a client that does not retry: the engine repeats by its own policy.

    Args:
        credentials: What its requests are signed with.
        region: Its region; empty for botocore's own.
        settings: See `S3Settings`.
        max_connections: How many connections it keeps. Default 10.

    Raises:
        ConfigurationError: botocore's own configuration cannot be used.
    """
    try:
        session = botocore.session.Session()
        session.register_component("credential_provider", _Resolver(credentials))
        session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
        return boto3.Session(botocore_session=session).client(
            "s3",
            region_name=region or None,
            endpoint_url=settings.endpoint_url,
            config=botocore.config.Config(
                tcp_keepalive=True,
                max_pool_connections=max_connections,
                connect_timeout=settings.connect_timeout_seconds,
                read_timeout=settings.stall_timeout_seconds,
                retries={"total_max_attempts": 1, "mode": "standard"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
    except (botocore.exceptions.BotoCoreError, ValueError) as error:
        msg = f"The AWS configuration of this machine cannot be used: {error}. Correct it, or unset the variable."
        raise ConfigurationError(msg) from safe_cause(error)


@functools.lru_cache(maxsize=1)
def _loader(data_path: str | None) -> botocore.loaders.Loader:
    """Keeps what botocore reads of S3's model: parsing it would take a tenth of a second a store."""
    return botocore.loaders.create_loader(data_path)


class _Resolver:
    """Replaces botocore's chain of credential providers."""

    def __init__(self, credentials: botocore.credentials.Credentials) -> None:
        self._credentials = credentials

    def load_credentials(self) -> botocore.credentials.Credentials:
        return self._credentials


class _SkewedAuth(botocore.auth.S3SigV4Auth):
    """Signs with the store's time."""

    def __init__(self, *scope: Any, skew_seconds: float) -> None:
        super().__init__(*scope)
        self._skew = dt.timedelta(seconds=skew_seconds)

    def _modify_request_before_signing(self, request: Any) -> None:
        moment = dt.datetime.fromtimestamp(time.time(), dt.timezone.utc) + self._skew
        request.context["timestamp"] = moment.strftime(botocore.auth.SIGV4_TIMESTAMP)
        super()._modify_request_before_signing(request)  # type: ignore[misc]  # not in the stubs


def _sign_again(
    request: botocore.awsrequest.AWSPreparedRequest, credentials: LiveCredentials, skew: float
) -> botocore.awsrequest.AWSPreparedRequest:
    """Signs a request with another time; as it is, if it is not signed by plain SigV4."""
    signed = {name: _text(value) for name, value in request.headers.items()}
    algorithm, _, scope = signed.get("Authorization", "").partition(" Credential=")
    if algorithm != _SIGV4:
        return request
    _, _, region, service, _ = scope.partition(",")[0].split("/")[-5:]
    headers = {
        name: value
        for name, value in signed.items()
        if name.lower() not in ("authorization", "x-amz-date", "x-amz-security-token")
    }
    again = botocore.awsrequest.AWSRequest(
        method=request.method, url=request.url, headers=headers, stream_output=True
    )
    _SkewedAuth(_frozen(credentials), service, region, skew_seconds=skew).add_auth(again)
    return again.prepare()


def _text(value: "str | bytes") -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value

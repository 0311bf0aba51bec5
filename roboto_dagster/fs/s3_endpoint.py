"""Where a bucket is: its URL, region, authorities and proxy, as botocore resolves them.

botocore stays the authority, so that every AWS setting works (`AWS_ENDPOINT_URL_S3`, profiles,
addressing style, dual stack, `AWS_CA_BUNDLE`, `HTTPS_PROXY`). It is asked for the URL of an object
of the bucket, unsigned, and never sends a request.
"""

import dataclasses
import functools
import io
import os
import threading
from typing import Any

import botocore
import botocore.awsrequest
import botocore.config
import botocore.exceptions
import botocore.httpsession
import botocore.session
import botocore.utils

from roboto_dagster.errors import ConfigurationError

_DEFAULT_REGION = "us-east-1"
_PROBE_KEY = "k"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """How one bucket is reached.

    Attributes:
        base_url: The bucket's URL; an object's is this, `/` and its quoted key.
        region: The region that requests are signed for.
        ca_bundle: Path of the certificates to trust; None for plain http.
        proxy: URL of the proxy, or empty for none. May hold a password.
    """

    base_url: str
    region: str
    ca_bundle: str | None
    proxy: str = dataclasses.field(repr=False)


class Endpoints:
    """The endpoints of a store's buckets; resolved once, corrected when a store tells a region.

    Args:
        endpoint_url: The user's own endpoint, or None for botocore's.
    """

    def __init__(self, endpoint_url: str | None) -> None:
        self._endpoint_url = endpoint_url
        self._by_bucket: dict[str, Endpoint] = {}
        self._lock = threading.Lock()

    def get(self, bucket: str, region: str) -> Endpoint:
        """Returns where the bucket is.

        Args:
            bucket: Its name.
            region: The region that the credentials name, or empty for botocore's.

        Raises:
            ConfigurationError: botocore's configuration cannot be used.
        """
        endpoint = self._by_bucket.get(bucket)
        if endpoint is None:
            endpoint = resolve_endpoint(bucket, region, self._endpoint_url)
            with self._lock:
                endpoint = self._by_bucket.setdefault(bucket, endpoint)
        return endpoint

    def __contains__(self, bucket: str) -> bool:
        return bucket in self._by_bucket

    def learn_region(self, bucket: str, region: str) -> bool:
        """Takes the region that the store told; False if that is the one it was asked in."""
        known = self._by_bucket.get(bucket)
        if known is not None and known.region == region:
            return False
        self._by_bucket[bucket] = resolve_endpoint(bucket, region, self._endpoint_url)
        return True


def resolve_endpoint(bucket: str, region: str, endpoint_url: str | None) -> Endpoint:
    """Asks botocore where a bucket is.

    Raises:
        ConfigurationError: botocore's configuration cannot be used; the message quotes botocore.
    """
    try:
        return _resolve(bucket, region, endpoint_url, _settings_in_environment())
    except (botocore.exceptions.BotoCoreError, ValueError) as error:
        raise ConfigurationError(
            f"The AWS configuration of this machine cannot be used for bucket {bucket!r}: {error}. "
            "Correct it, or unset the variable."
        ) from error


# Making a client takes a tenth of a second (the service's model), and runs with many datasets make
# a store for each. Keyed by what it is made from, so that a changed environment is seen.
@functools.lru_cache(maxsize=64)
def _resolve(bucket: str, region: str, endpoint_url: str | None, environment: int) -> Endpoint:  # noqa: ARG001
    session = botocore.session.Session()
    client = session.create_client(
        "s3",
        region_name=region or session.get_config_variable("region") or _DEFAULT_REGION,
        endpoint_url=endpoint_url,
        config=botocore.config.Config(signature_version=botocore.UNSIGNED),
    )
    base_url = _object_url(client, bucket).removesuffix(f"/{_PROBE_KEY}")
    scheme = base_url.partition(":")[0]
    return Endpoint(
        base_url=base_url,
        region=client.meta.region_name,
        ca_bundle=_ca_bundle(session) if scheme == "https" else None,
        proxy=botocore.utils.get_environ_proxies(base_url).get(scheme, ""),
    )


def _object_url(client: Any, bucket: str) -> str:
    """Has botocore prepare a request, and answers it here instead of sending it."""
    urls: list[str] = []

    def answer(request: Any, **_: Any) -> botocore.awsrequest.AWSResponse:
        urls.append(request.url)
        return botocore.awsrequest.AWSResponse(request.url, 200, {}, io.BytesIO())

    # Not a presigned URL: that goes to the global endpoint, whatever the region.
    client.meta.events.register_first("before-send.s3.GetObject", answer)
    client.get_object(Bucket=bucket, Key=_PROBE_KEY)
    return urls[0]


def _ca_bundle(session: Any) -> str:
    """Finds the certificates in botocore's own order."""
    chosen = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    path: str = botocore.httpsession.get_cert_path(chosen or True)
    return path


def _settings_in_environment() -> int:
    """Returns a number that changes with any variable that botocore may read."""
    names = ("AWS_", "REQUESTS_CA_BUNDLE", "HOME", "USERPROFILE")
    relevant = (
        (name, value)
        for name, value in os.environ.items()
        if name.startswith(names) or name.upper().endswith("_PROXY")
    )
    return hash(tuple(sorted(relevant)))

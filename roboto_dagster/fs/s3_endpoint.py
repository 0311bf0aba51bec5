"""Where a bucket is: its URL, region, authorities and proxy, as botocore resolves them.

botocore stays the authority, so that every AWS setting works (`AWS_ENDPOINT_URL_S3`, profiles,
addressing style, dual stack, `AWS_CA_BUNDLE`, `HTTPS_PROXY`). It is asked for the URL of an object
of the bucket, unsigned, and never sends a request.
"""

import dataclasses
import functools
import io
import os
import re
import threading
from typing import Any

import botocore
import botocore.awsrequest
import botocore.compat
import botocore.config
import botocore.exceptions
import botocore.httpsession
import botocore.session
import botocore.utils

from roboto_dagster.errors import ConfigurationError

_DEFAULT_REGION = "us-east-1"
_PROBE_KEY = "k"
_PLAIN_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]+\Z")
_SPECIAL_VARIABLES = (
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)


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


# Asking takes a tenth of a second, and runs with many datasets make a store for each. Keyed by what
# the answer is made from, so that a changed environment is seen.
@functools.lru_cache(maxsize=64)
def _resolve(bucket: str, region: str, endpoint_url: str | None, environment: int) -> Endpoint:  # noqa: ARG001
    session = botocore.session.Session()
    region = region or session.get_config_variable("region") or _DEFAULT_REGION
    base_url = _plain_url(session, bucket, endpoint_url) or _ask(
        session, bucket, region, endpoint_url
    )
    scheme = base_url.partition(":")[0]
    return Endpoint(
        base_url=base_url,
        region=region,
        ca_bundle=_ca_bundle(session) if scheme == "https" else None,
        proxy=botocore.utils.get_environ_proxies(base_url).get(scheme, ""),
    )


def _plain_url(session: Any, bucket: str, endpoint_url: str | None) -> str | None:
    """Answers for botocore in the one plain case: an endpoint of one's own, and no configuration.

    The bucket then goes into the path. Saves a tenth of a second and 12 MiB in every process.
    """
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    url = endpoint_url or next(filter(None, map(os.environ.get, names)), None)
    is_special = any(os.environ.get(name) for name in _SPECIAL_VARIABLES)
    if url is None or is_special or session.get_scoped_config() or not _PLAIN_BUCKET.match(bucket):
        return None
    return f"{url.rstrip('/')}/{bucket}"


def _ask(session: Any, bucket: str, region: str, endpoint_url: str | None) -> str:
    """Has botocore prepare a request, and answers it here instead of sending it."""
    client = session.create_client(
        "s3",
        region_name=region,
        endpoint_url=endpoint_url,
        config=botocore.config.Config(signature_version=botocore.UNSIGNED),
    )
    urls: list[str] = []

    def answer(request: Any, **_: Any) -> botocore.awsrequest.AWSResponse:
        urls.append(request.url)
        headers = botocore.compat.HTTPHeaders()
        return botocore.awsrequest.AWSResponse(request.url, 200, headers, io.BytesIO())

    # Not a presigned URL: that goes to the global endpoint, whatever the region.
    client.meta.events.register_first("before-send.s3.GetObject", answer)
    client.get_object(Bucket=bucket, Key=_PROBE_KEY)
    return urls[0].removesuffix(f"/{_PROBE_KEY}")


def _ca_bundle(session: Any) -> str:
    """Finds the certificates in botocore's own order."""
    chosen = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    return str(chosen or botocore.httpsession.get_cert_path(True))


def _settings_in_environment() -> int:
    """Returns a number that changes with any variable that botocore may read."""
    names = ("AWS_", "REQUESTS_CA_BUNDLE", "HOME", "USERPROFILE")
    relevant = (
        (name, value)
        for name, value in os.environ.items()
        if name.startswith(names) or name.upper().endswith("_PROXY")
    )
    return hash(tuple(sorted(relevant)))

"""Where a bucket is: its URL, region, authorities and proxy.

botocore is the authority (`botocore_endpoint.py`), so that every AWS setting works. Only the plain
case is answered here: an endpoint of one's own on a machine whose AWS configuration has nothing
about it, where the bucket goes into the path. Importing and asking botocore takes up to half a
second and 40 MiB.
"""

import functools
import os
import pathlib
import re
import sys
import threading

from roboto_dagster.fs.core.endpoint import Endpoint

_DEFAULT_REGION = "us-east-1"
# Names that end so are of directory buckets and of aliases, which are signed otherwise.
_PLAIN_BUCKET = re.compile(r"(?!.*-s3\Z)[a-z0-9][a-z0-9._-]+\Z")
_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9._-]+(:[0-9]+)?(/[A-Za-z0-9._/-]*)?\Z")
# Lines of AWS configuration files that no endpoint hangs on; any other line is botocore's matter.
_HARMLESS_LINE = re.compile(
    r"\s*(?:[#;].*|\[[^\]]*\]|s3\s*=|(?:region|output|cli_\w+|aws_access_key_id|aws_secret_access_key"
    r"|aws_session_token|max_concurrent_requests|max_queue_size|max_bandwidth|multipart_threshold"
    r"|multipart_chunksize)\s*=.*)?\s*"
)
_SPECIAL_VARIABLES = (
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
)


class Endpoints:
    """The endpoints of a store's buckets; resolved once, corrected when a store names a region.

    Args:
        endpoint_url: The user's own endpoint, or None for botocore's.
    """

    def __init__(self, endpoint_url: str | None) -> None:
        self._endpoint_url = endpoint_url
        self._by_bucket: dict[str, Endpoint] = {}
        self._lock = threading.Lock()

    def get(self, bucket: str, region: str) -> Endpoint:
        """Return where the bucket is.

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
        """Take the region that the store named; False if that is the one it was asked in.

        Args:
            bucket: The bucket.
            region: What the store named.
        """
        known = self._by_bucket.get(bucket)
        if known is not None and known.region == region:
            return False
        self._by_bucket[bucket] = resolve_endpoint(bucket, region, self._endpoint_url)
        return True


def resolve_endpoint(bucket: str, region: str, endpoint_url: str | None) -> Endpoint:
    """Find where a bucket is.

    Args:
        bucket: Its name, or the ARN of an access point.
        region: Its region, or empty for the one that botocore is configured with.
        endpoint_url: The user's own endpoint, or None for botocore's.

    Raises:
        ConfigurationError: botocore's configuration cannot be used; the message quotes botocore.
    """
    plain = _plain_endpoint(bucket, region, endpoint_url)
    if plain is not None:
        return plain
    return _ask_botocore(bucket, region, endpoint_url, _settings_in_environment())


# Runs with many datasets make a store for each. Keyed by what the answer is made from, so that a
# changed environment is seen.
@functools.lru_cache(maxsize=64)
def _ask_botocore(
    bucket: str,
    region: str,
    endpoint_url: str | None,
    environment: int,  # noqa: ARG001 - part of the key
) -> Endpoint:
    from roboto_dagster.fs.core.botocore_endpoint import ask_botocore

    return ask_botocore(bucket, region, endpoint_url)


def _plain_endpoint(bucket: str, region: str, endpoint_url: str | None) -> Endpoint | None:
    """Answer for botocore where nothing is configured but the endpoint; else None."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    url = endpoint_url or next(filter(None, map(os.environ.get, names)), "")
    ca_bundle = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE")
    is_https = url.startswith("https:")
    is_plain = _PLAIN_URL.match(url) and _PLAIN_BUCKET.match(bucket) and region
    if not is_plain or (is_https and not ca_bundle) or _has_configuration():
        return None
    return Endpoint(
        base_url=f"{url.rstrip('/')}/{bucket}",
        region=region,
        ca_bundle=ca_bundle if is_https else None,
        proxy="",
    )


def _has_configuration() -> bool:
    if sys.platform != "linux":  # proxies may be set in the system
        return True
    files = (
        os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config",
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials",
    )
    return any(os.environ.get(name) for name in _SPECIAL_VARIABLES) or any(
        _may_matter(pathlib.Path(os.path.expandvars(file)).expanduser()) for file in files
    )


def _may_matter(file: pathlib.Path) -> bool:
    if not file.is_file():
        return False
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):  # botocore reports what is wrong with it
        return True
    return not all(map(_HARMLESS_LINE.fullmatch, lines))


def _settings_in_environment() -> int:
    """Return a number that changes with any variable that botocore may read."""
    names = ("AWS_", "REQUESTS_CA_BUNDLE", "HOME", "USERPROFILE")
    relevant = (
        (name, value)
        for name, value in os.environ.items()
        if name.startswith(names) or name.upper().endswith("_PROXY")
    )
    return hash(tuple(sorted(relevant)))

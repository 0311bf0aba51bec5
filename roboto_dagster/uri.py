"""The one place where URIs of objects are taken apart."""

import re

from roboto_dagster.errors import ConfigurationError

# An ARN in place of a bucket has colons and slashes of its own, as the AWS CLI takes it:
# access points, also of Object Lambda and of several regions, and those of Outposts.
_ARN = re.compile(
    r"(arn:aws[a-z-]*:s3(?:-object-lambda)?:[a-z0-9-]*:\d{12}:accesspoint[:/][^/:]+"
    r"|arn:aws[a-z-]*:s3-outposts:[a-z0-9-]+:\d{12}:outpost[:/][^/:]+[:/]accesspoint[:/][^/:]+)"
    r"/(.*)",
    re.DOTALL,
)


def split_s3_uri(uri: str) -> tuple[str, str]:
    """Split `s3://bucket/key` by hand: a URL parser would cut keys at `?` or `#` and drop tabs.

    Args:
        uri: The URI; in place of the bucket may stand the ARN of an access point.

    Returns:
        Bucket and exact key, which may start with `/`.

    Raises:
        ConfigurationError: It is not an S3 URI with a bucket and a key.
    """
    scheme, _, rest = uri.partition("://")
    bucket, key = _split(rest)
    if scheme != "s3" or not bucket or not key:
        msg = f"Not an S3 URI with a bucket and a key: {uri!r}"
        raise ConfigurationError(msg)
    return bucket, key


def bucket_of(uri: str) -> str:
    """Return the bucket of an object's URI, of whatever scheme; empty where there is none.

    Args:
        uri: The URI; in place of the bucket may stand the ARN of an access point.
    """
    return _split(uri.partition("://")[2])[0]


def _split(rest: str) -> tuple[str, str]:
    arn = _ARN.fullmatch(rest) if rest.startswith("arn:") else None
    if arn is not None:
        return arn[1], arn[2]
    bucket, _, key = rest.partition("/")
    return bucket, key

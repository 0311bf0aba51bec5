"""The one place where URIs of objects are taken apart."""

from roboto_dagster.errors import ConfigurationError


def split_s3_uri(uri: str) -> tuple[str, str]:
    """Splits `s3://bucket/key` by hand: a URL parser would cut keys at `?` or `#` and drop tabs.

    Returns:
        Bucket and exact key, which may begin with `/`.

    Raises:
        ConfigurationError: It is not an S3 URI with a bucket and a key.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket or not key:
        msg = f"Not an S3 URI with a bucket and a key: {uri!r}"
        raise ConfigurationError(msg)
    return bucket, key

"""How URIs of objects are taken apart."""

import pytest

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.uri import bucket_of, split_s3_uri

ACCESS_POINT = "arn:aws:s3:us-west-2:123456789012:accesspoint/logs"
OUTPOST = "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01234567890123456/accesspoint/logs"


@pytest.mark.parametrize(
    ("uri", "bucket", "key"),
    [
        ("s3://bucket/key", "bucket", "key"),
        ("s3://bucket//key?a#b\tc", "bucket", "/key?a#b\tc"),
        (f"s3://{ACCESS_POINT}/a/b.bag", ACCESS_POINT, "a/b.bag"),
        (f"s3://{ACCESS_POINT}//b", ACCESS_POINT, "/b"),
        (f"s3://{OUTPOST}/a/b", OUTPOST, "a/b"),
        (
            "s3://arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap/k",
            "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap",
            "k",
        ),
        (
            "s3://arn:aws:s3-object-lambda:us-west-2:123456789012:accesspoint:olap/k/l",
            "arn:aws:s3-object-lambda:us-west-2:123456789012:accesspoint:olap",
            "k/l",
        ),
    ],
)
def test_bucket_and_key_are_exact(uri: str, bucket: str, key: str) -> None:
    """Neither is decoded; an ARN has slashes of its own."""
    assert split_s3_uri(uri) == (bucket, key)
    assert bucket_of(uri) == bucket


@pytest.mark.parametrize(
    ("uri", "bucket"), [("gs://b/k", "b"), ("s3://b", "b"), ("mem:///k", ""), ("key", ""), ("", "")]
)
def test_any_uri_has_a_bucket_or_none(uri: str, bucket: str) -> None:
    """Also where there is no key, or the scheme is that of a store of the user's."""
    assert bucket_of(uri) == bucket


@pytest.mark.parametrize("uri", ["s3://bucket", "s3://bucket/", "s3:///key", "gs://b/k", "key", ""])
def test_anything_else_is_an_error_that_quotes_it(uri: str) -> None:
    """No URI is guessed at."""
    with pytest.raises(ConfigurationError, match="Not an S3 URI"):
        split_s3_uri(uri)

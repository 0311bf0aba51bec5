"""Signs a request with botocore, where libcurl would sign it wrongly.

libcurl percent-encodes the access key in the credential scope; S3 wants it as it is, and some
stores have keys with such characters (Ceph: `a=b`, Swift: `account:user`).
"""

from roboto_dagster.fs.credentials import LiveCredentials

_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def is_signed_by_libcurl(access_key: str) -> bool:
    """Report whether libcurl signs with this access key as S3 wants it."""
    return _UNRESERVED.issuperset(access_key)


def signed_headers(
    url: str, headers: list[str], credentials: LiveCredentials, region: str
) -> list[str]:
    """Sign a GET.

    Args:
        url: Its URL.
        headers: Its headers, as `name: value`, without a date.
        credentials: What to sign with.
        region: The region to sign for.

    Returns:
        The headers with date and signature.
    """
    # Deferred: few stores need it.
    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials

    fields = dict(header.split(": ", 1) for header in headers)
    request = botocore.awsrequest.AWSRequest("GET", url, headers=fields)
    keys = botocore.credentials.Credentials(
        credentials.access_key, credentials.secret_key, credentials.token or None
    )
    botocore.auth.S3SigV4Auth(keys, "s3", region).add_auth(request)
    return [f"{name}: {value}" for name, value in request.headers.items()]

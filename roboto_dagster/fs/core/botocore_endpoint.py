"""Asks botocore where a bucket is: the authority on endpoint, addressing, CA bundle and proxies.

It is made to prepare a request for an object of the bucket, unsigned, that is never sent; so every
AWS setting works (`AWS_ENDPOINT_URL_S3`, profiles, addressing style, dual stack, `AWS_CA_BUNDLE`,
`HTTPS_PROXY`).
"""

import io
import os
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
from roboto_dagster.fs.core.endpoint import Endpoint
from roboto_dagster.redaction import safe_cause

_DEFAULT_REGION = "us-east-1"
_PROBE_KEY = "k"


def ask_botocore(bucket: str, region: str, endpoint_url: str | None) -> Endpoint:
    """Resolve a bucket's endpoint.

    Args:
        bucket: Its name.
        region: Its region, or empty for the one that botocore is configured with.
        endpoint_url: The user's own endpoint, or None for botocore's.

    Raises:
        ConfigurationError: botocore's configuration cannot be used; the message quotes botocore.
    """
    try:
        return _ask(bucket, region, endpoint_url)
    except (botocore.exceptions.BotoCoreError, ValueError) as error:
        raise ConfigurationError(
            f"The AWS configuration of this machine cannot be used for bucket {bucket!r}: {error}. "
            "Correct it, or unset the variable."
        ) from safe_cause(error)


def _ask(bucket: str, region: str, endpoint_url: str | None) -> Endpoint:
    session = botocore.session.Session()
    region = region or session.get_config_variable("region") or _DEFAULT_REGION
    url, scheme_of_auth = _prepared(session, bucket, region, endpoint_url)
    base_url = url.removesuffix(f"/{_PROBE_KEY}")
    scheme = base_url.partition(":")[0]
    return Endpoint(
        base_url=base_url,
        region=scheme_of_auth.get("signingRegion") or region,
        ca_bundle=_ca_bundle(session) if scheme == "https" else None,
        proxy=botocore.utils.get_environ_proxies(base_url).get(scheme, ""),
        auth=scheme_of_auth.get("name", "sigv4"),
        service=scheme_of_auth.get("signingName", "s3"),
    )


def _prepared(
    session: Any, bucket: str, region: str, endpoint_url: str | None
) -> tuple[str, dict[str, Any]]:
    """Have botocore prepare a request, and answer it here instead of sending it.

    Returns:
        Its URL, and the first of the schemes by which it may be signed.
    """
    client = session.create_client(
        "s3",
        region_name=region,
        endpoint_url=endpoint_url,
        config=botocore.config.Config(signature_version=botocore.UNSIGNED),
    )
    urls: list[str] = []
    schemes: list[dict[str, Any]] = []

    def look(request: Any, **_: Any) -> None:
        schemes.extend(request.context.get("endpoint_properties", {}).get("authSchemes", []))

    def answer(request: Any, **_: Any) -> botocore.awsrequest.AWSResponse:
        urls.append(request.url)
        headers = botocore.compat.HTTPHeaders()
        return botocore.awsrequest.AWSResponse(request.url, 200, headers, io.BytesIO())

    # Not a presigned URL: that goes to the global endpoint, whatever the region.
    client.meta.events.register_first("before-sign.s3.GetObject", look)
    client.meta.events.register_first("before-send.s3.GetObject", answer)
    client.get_object(Bucket=bucket, Key=_PROBE_KEY)
    return urls[0], schemes[0] if schemes else {}


def _ca_bundle(session: Any) -> str:
    """Find the certificates in botocore's own order."""
    chosen = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    return str(chosen or botocore.httpsession.get_cert_path(True))

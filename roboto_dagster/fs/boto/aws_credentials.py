"""The team's own AWS identity as a credential provider, through boto3."""

import datetime as dt
from typing import Any

import boto3
import botocore.exceptions

from roboto_dagster.errors import ConfigurationError, RobotoDagsterError
from roboto_dagster.fs.credentials import (
    CredentialProvider,
    Credentials,
    CredentialsError,
    DescribedProvider,
)
from roboto_dagster.redaction import redact_library_logs

_SESSION_NAME = "roboto-dagster"
# What STS and the services that hand out credentials answer when the same request may succeed later.
_TRANSIENT_CODES = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "InternalFailure",
    }
)


def aws_credential_provider(
    profile: str | None, role_arn: str | None, region: str | None
) -> CredentialProvider:
    """Return a provider of what boto3 finds on this machine, or of a role assumed with it.

    Each call searches again, so that a renewed session or a changed file counts.

    Args:
        profile: AWS profile; None for boto3's usual search.
        role_arn: Role to assume; None to use the identity itself.
        region: Region of the buckets; None for the profile's.

    Returns:
        A provider that raises `ConfigurationError` if there is no identity or the role is denied, and a
        transient `CredentialsError` if whoever hands out credentials cannot be reached.
    """
    name = _describe(profile, role_arn)

    def provide_credentials() -> Credentials:
        redact_library_logs()
        try:
            session = boto3.Session(profile_name=profile, region_name=region)
            return _assume(session, role_arn) if role_arn else _own(session)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise _failure(name, error) from None  # the message quotes botocore

    advice = f"Check the identity of {name}, and that it may read the bucket."
    return DescribedProvider(provide_credentials, advice)


def _describe(profile: str | None, role_arn: str | None) -> str:
    given = [f"profile {profile!r}"] * bool(profile) + [f"role {role_arn!r}"] * bool(role_arn)
    return f"AwsCredentialsResource ({', '.join(given) or 'the usual search of boto3'})"


def _failure(
    name: str, error: botocore.exceptions.BotoCoreError | botocore.exceptions.ClientError
) -> RobotoDagsterError:
    message = f"No AWS credentials from {name}: {str(error).rstrip('.')}."
    if _is_transient(error):
        return CredentialsError(f"{message} Run it again later.", transient=True)
    return ConfigurationError(
        f"{message} Check the profile and the role that AwsCredentialsResource was given."
    )


def _is_transient(error: Exception) -> bool:
    if isinstance(error, botocore.exceptions.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or error.response.get("Error", {}).get("Code") in _TRANSIENT_CODES
    return isinstance(
        error, (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)
    )


def _own(session: boto3.Session) -> Credentials:
    found = session.get_credentials()
    if found is None:
        raise botocore.exceptions.NoCredentialsError
    keys = found.get_frozen_credentials()
    return Credentials(
        access_key=keys.access_key or "",
        secret_key=keys.secret_key or "",
        token=keys.token or "",
        region=session.region_name or "",
        expiry_time=_expiry_time(found),
    )


def _expiry_time(found: Any) -> str | None:
    """Return when refreshable credentials end; botocore keeps it to itself, and other kinds have no end."""
    expiry = getattr(found, "_expiry_time", None)
    return expiry.isoformat() if isinstance(expiry, dt.datetime) and expiry.tzinfo else None


def _assume(session: boto3.Session, role_arn: str) -> Credentials:
    answer = session.client("sts").assume_role(RoleArn=role_arn, RoleSessionName=_SESSION_NAME)
    keys = answer["Credentials"]
    return Credentials(
        access_key=keys["AccessKeyId"],
        secret_key=keys["SecretAccessKey"],
        token=keys["SessionToken"],
        region=session.region_name or "",
        expiry_time=keys["Expiration"].isoformat(),
    )

"""The team's own AWS identity as a credential provider, through boto3."""

import boto3
import botocore.exceptions

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.fs.credentials import CredentialProvider, Credentials

_SESSION_NAME = "roboto-dagster"


def aws_credential_provider(
    profile: str | None, role_arn: str | None, region: str | None
) -> CredentialProvider:
    """Returns a provider of what boto3 finds on this machine, or of a role assumed with it.

    Args:
        profile: AWS profile; None for boto3's usual search.
        role_arn: Role to assume; None to use the identity itself.
        region: Region of the buckets; None for the profile's.

    Returns:
        A provider that raises `ConfigurationError` if there is no identity or the role is refused.
    """

    def provide_credentials() -> Credentials:
        try:
            session = boto3.Session(profile_name=profile, region_name=region)
            return _assume(session, role_arn) if role_arn else _own(session)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            msg = f"No AWS credentials: {error}. Check the profile and the role that AwsCredentialsResource was given."
            raise ConfigurationError(msg) from error

    return provide_credentials


def _own(session: boto3.Session) -> Credentials:
    found = session.get_credentials()
    if found is None:
        raise botocore.exceptions.NoCredentialsError
    keys = found.get_frozen_credentials()
    # boto3 does not tell when these expire; it renews them itself when they are asked for again.
    return Credentials(
        access_key=keys.access_key or "",
        secret_key=keys.secret_key or "",
        token=keys.token or "",
        region=session.region_name or "",
        expiry_time=None,
    )


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

"""The Dagster resources: the platform's client, a credential provider, and the object store.

Nothing is connected, and no SDK imported, before a run uses them. Secrets should come as
`dg.EnvVar`: Dagster stores a plain string in clear text with the code location.
"""

import abc
import dataclasses
import urllib.parse
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
from pydantic import Field

from roboto_dagster.fs.core.settings import OnRetry, S3Settings
from roboto_dagster.fs.credentials import CredentialProvider
from roboto_dagster.fs.download_session import DownloadSession
from roboto_dagster.fs.object_store import ObjectStore
from roboto_dagster.fs.opening import open_store
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.fs.shared_engine import SharedEngine
from roboto_dagster.platform.client import (
    DEFAULT_MAX_ATTEMPTS,
    DEFAULT_TIMEOUT_SECONDS,
    make_client,
)
from roboto_dagster.resource_checks import CheckedResource, is_variable, without_variables
from roboto_dagster.setting_checks import check_count, check_http_url, check_rate, check_seconds

if TYPE_CHECKING:  # the SDK costs about a second at import, and no resource field is of its types
    from roboto import RobotoClient


class RobotoResource(CheckedResource):
    """The client of the Roboto platform.

    Without arguments it reads `ROBOTO_API_KEY` and `ROBOTO_SERVICE_ENDPOINT`, else the SDK's
    configuration file. What is given here wins over the environment.
    """

    api_key: str | None = Field(
        default=None,
        repr=False,
        description='Access token; give it as EnvVar("ROBOTO_API_KEY"). Default: the environment, then the profile.',
    )
    endpoint: str | None = Field(
        default=None,
        description="URL of the API, scheme and host only. Default: ROBOTO_SERVICE_ENDPOINT, the profile's, "
        "https://api.roboto.ai.",
    )
    profile: str | None = Field(
        default=None,
        description="Profile of the SDK's configuration file; if given, it wins over the environment.",
    )
    org_id: str | None = Field(
        default=None,
        description="Organization to act for. Default: the organization that owns the dataset.",
    )
    config_file: str | None = Field(
        default=None,
        description="The SDK's configuration file. Default: ROBOTO_CONFIG_FILE, ~/.roboto/config.json.",
    )
    max_attempts: int = Field(
        default=DEFAULT_MAX_ATTEMPTS,
        description="How often one API request is tried before its error is raised. Default 4.",
    )
    timeout_seconds: float = Field(
        default=DEFAULT_TIMEOUT_SECONDS,
        description="How long an API request may wait for the next bytes; it takes at most twice as long in all. "
        "Default 30.",
    )
    max_requests_per_second: float | None = Field(
        default=None,
        description="How many API requests a run starts in a second, over all its partitions, so that a backfill leaves the "
        "platform to others. Default: any number.",
    )

    def _check(self, known: Mapping[str, Any]) -> None:
        check_count("RobotoResource: max_attempts", known.get("max_attempts", 1))
        check_seconds("RobotoResource: timeout_seconds", known.get("timeout_seconds", 1.0))
        check_rate(
            "RobotoResource: max_requests_per_second",
            known.get("max_requests_per_second"),
            optional=True,
        )
        if known.get("endpoint"):
            check_http_url("RobotoResource: endpoint", known["endpoint"], may_have_path=False)

    def get_resource_definition(self) -> Any:  # Dagster gives its class no public name
        """Return Dagster's definition, which Dagster asks for once, where it takes the resource into a code
        location; in a run, where a variable has become plain text, it does not ask.
        """
        is_plain = self.api_key is not None and not is_variable(self.api_key)
        if is_plain and not _is_on_this_machine(self.endpoint):
            warnings.warn(_PLAIN_KEY, UserWarning, stacklevel=2)
        return super().get_resource_definition()

    def get_client(self) -> "RobotoClient":
        """Make a client with bounded retries, times and answers; outside a run too, where variables are read now.

        Returns:
            A client of the SDK, safe to use from several threads.

        Raises:
            ConfigurationError: There is no API key anywhere, a variable is not set, or the endpoint or the
                configuration file cannot be used.
        """
        plain = without_variables(self)
        return make_client(
            api_key=plain.api_key,
            endpoint=plain.endpoint,
            profile=plain.profile,
            config_file=plain.config_file,
            max_attempts=plain.max_attempts,
            timeout_seconds=plain.timeout_seconds,
            max_requests_per_second=plain.max_requests_per_second,
        )


_PLAIN_KEY = (
    "RobotoResource got its api_key as plain text, which Dagster stores in clear with the code location. "
    'Give it as dagster.EnvVar("ROBOTO_API_KEY"), or leave it out: then ROBOTO_API_KEY is read in the run.'
)


def _is_on_this_machine(endpoint: str | None) -> bool:
    """Return whether a key is for a platform on this machine, such as `LocalRoboto`: worth nothing elsewhere."""
    host = urllib.parse.urlsplit(endpoint or "").hostname
    return host in ("127.0.0.1", "localhost", "::1")


class CredentialProviderResource(dg.ConfigurableResource[Any], abc.ABC):
    """Wraps a credential provider: where the object store's credentials come from."""

    @abc.abstractmethod
    def provider_for(self, session: DownloadSession, bucket_name: str) -> CredentialProvider:
        """Return the provider for one session and bucket.

        Args:
            session: Knows the association and the platform's client.
            bucket_name: The bucket to read.
        """


class RobotoCredentialsResource(CredentialProviderResource, CheckedResource):
    """Short-lived, read-only credentials that the platform hands out for the dataset. The
    default.
    """

    def provider_for(self, session: DownloadSession, bucket_name: str) -> CredentialProvider:
        """Return the session's own provider.

        Args:
            session: Knows the association and the platform's client.
            bucket_name: The bucket to read.
        """
        return session.make_credential_provider(bucket_name)


class AwsCredentialsResource(CredentialProviderResource, CheckedResource):
    """The team's own AWS identity, for buckets of their own: whatever boto3 finds on this
    machine.
    """

    profile: str | None = Field(
        default=None, description="AWS profile. Default: boto3's usual search."
    )
    role_arn: str | None = Field(
        default=None, description="Role to assume with that identity. Default: none."
    )
    region: str | None = Field(
        default=None, description="Region of the bucket. Default: that of the profile."
    )

    def provider_for(
        self,
        session: DownloadSession,  # noqa: ARG002 - the interface
        bucket_name: str,  # noqa: ARG002
    ) -> CredentialProvider:
        """Return a provider that asks boto3, whatever the bucket.

        Args:
            session: Not used.
            bucket_name: Not used.
        """
        from roboto_dagster.fs.boto.aws_credentials import aws_credential_provider

        return aws_credential_provider(self.profile, self.role_arn, self.region)


class ObjectStoreResource(CheckedResource):
    """The object store that holds the files.

    All else that can be set on an AWS client (CA bundle, proxies, addressing style) comes from
    AWS's own environment variables and configuration files.
    """

    engine: Literal["auto", "curl", "boto3"] = Field(
        default="auto",
        description="The transfer engine. Default auto: curl where pycurl is installed, else boto3.",
    )
    credentials: CredentialProviderResource = Field(
        description="Where credentials come from. Default: the platform."
    )
    endpoint_url: str | None = Field(
        default=None,
        description="URL of an S3-compatible store. Default: AWS_ENDPOINT_URL_S3, else AWS itself.",
    )
    max_connections: int | None = Field(
        default=None,
        description="Upper bound of connections in use at once. Default: the engine's choice.",
    )
    max_bandwidth_mib_s: float | None = Field(
        default=None,
        description="Upper bound of what is downloaded a second, in MiB, over all partitions of a run. Default: none.",
    )
    stall_timeout_seconds: float = Field(
        default=15.0,
        description="A connection without bytes for so long is closed and its range requested again. Default 15.",
    )
    durability: Literal["none", "file", "full"] = Field(
        default="none",
        description="What is forced to the disk before a file counts as published: none survives the death of the "
        "process, file and full (its folder too) that of the machine, at the cost of a flush a file. Default none.",
    )
    verify: Literal["auto", "checksum", "size"] = Field(
        default="auto",
        description="auto: the best checksum the store gives, else the size. checksum: a file without one fails. Default auto.",
    )

    def __init__(self, **data: Any) -> None:
        data.setdefault(
            "credentials", RobotoCredentialsResource()
        )  # Dagster drops a nested resource's field default
        super().__init__(**data)

    def _check(self, known: Mapping[str, Any]) -> None:
        names = {field.name for field in dataclasses.fields(S3Settings)}
        S3Settings(**{name: value for name, value in known.items() if name in names})

    def open_store(
        self,
        session: DownloadSession,
        uri: str,
        retry: RetryConfig | None = None,
        on_retry: OnRetry | None = None,
        *,
        shared: SharedEngine | None = None,
    ) -> ObjectStore:
        """Make the store for a session, to be used in a `with`.

        Args:
            session: Whose files are to be fetched.
            uri: The URI of one of them.
            retry: How a request that fails transiently is repeated. Default: `RetryConfig()`.
            on_retry: Called before every repetition. Default None.
            shared: Threads and connections that it shares with other stores. Default None: it has
                its own.

        Returns:
            The store.
        """
        plain = without_variables(self)
        return open_store(
            session,
            uri,
            provider_for=without_variables(plain.credentials).provider_for,
            s3_options={
                **plain._s3_options(retry, on_retry),  # noqa: SLF001 - the same class
                "shared": shared,
            },
        )

    def _s3_options(self, retry: RetryConfig | None, on_retry: OnRetry | None) -> dict[str, Any]:
        return {
            "engine": self.engine,
            "endpoint_url": self.endpoint_url,
            "max_connections": self.max_connections,
            "max_bandwidth_mib_s": self.max_bandwidth_mib_s,
            "stall_timeout_seconds": self.stall_timeout_seconds,
            "verify": self.verify,
            "durability": self.durability,
            "retry": retry or RetryConfig(),
            "on_retry": on_retry,
        }

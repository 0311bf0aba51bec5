"""The Dagster resources: the platform's client, a credential provider, and the object store.

Nothing is connected, and no SDK imported, before a run uses them. Secrets should come as
`dg.EnvVar`: Dagster stores a plain string in clear text with the code location.
"""

import abc
import urllib.parse
import warnings
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
from pydantic import Field

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.fs.core.settings import OnRetry
from roboto_dagster.fs.credentials import CredentialProvider
from roboto_dagster.fs.download_session import DownloadSession
from roboto_dagster.fs.object_store import ObjectStore, StoreRegistry
from roboto_dagster.fs.retry import RetryConfig

if TYPE_CHECKING:  # the SDK costs about a second at import, and no resource field is of its types
    from roboto import RobotoClient
    from roboto.config import RobotoConfig


class RobotoResource(dg.ConfigurableResource[Any]):
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
        description="URL of the API. Default: ROBOTO_SERVICE_ENDPOINT, the profile's, https://api.roboto.ai.",
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
        default=4,
        ge=1,
        description="How often one API request is tried before its error is raised. Default 4.",
    )
    timeout_seconds: float = Field(
        default=30.0, gt=0, description="How long the API may keep a request waiting. Default 30."
    )

    def get_resource_definition(self) -> Any:  # Dagster gives its class no public name
        """Tells Dagster what this is, which it asks once, where it takes the resource into a code
        location; in a run, where a variable has become plain text, it does not ask.
        """
        is_plain = self.api_key is not None and not isinstance(self.api_key, dg.EnvVar)
        if is_plain and not _is_on_this_machine(self.endpoint):
            warnings.warn(_PLAIN_KEY, UserWarning, stacklevel=2)
        return super().get_resource_definition()

    def get_client(self) -> "RobotoClient":
        """Makes a client with bounded retries.

        Returns:
            A client of the SDK, safe to use from several threads.

        Raises:
            ConfigurationError: There is no API key anywhere, or the configuration file cannot be
                used.
        """
        from roboto import RobotoClient
        from roboto.http import BearerTokenDecorator
        from roboto.http.options import HttpClientOptions, HttpRetryOptions

        config = self._config()
        options = HttpClientOptions(retry=HttpRetryOptions(max_attempts=self.max_attempts))
        # A trailing slash would make `//v1/…`, which the platform does not know.
        return RobotoClient(
            config.endpoint.rstrip("/"),
            BearerTokenDecorator(_checked_key(config.api_key)),
            {"default_timeout": self.timeout_seconds, "options": options},
        )

    def _config(self) -> "RobotoConfig":
        from roboto.config import RobotoConfig
        from roboto.env import RobotoEnv

        environment = RobotoEnv()  # not RobotoEnv.default(), which keeps what it saw first
        if (
            self.profile or self.config_file
        ):  # what is given here wins over a token of the environment
            environment.api_key = None
        environment.api_key = self.api_key or environment.api_key
        environment.config_file = self.config_file or environment.config_file
        environment.roboto_service_endpoint = self.endpoint or environment.roboto_service_endpoint
        try:
            config = RobotoConfig.from_env(self.profile, environment)
        except (OSError, ValueError) as error:
            msg = (
                "There is no Roboto API key: set ROBOTO_API_KEY, or give RobotoResource an api_key or a profile. "
                f"({str(error).splitlines()[0]})"
            )
            raise ConfigurationError(msg) from None
        config.endpoint = _checked_endpoint(self.endpoint or config.endpoint)
        return config


def _checked_key(api_key: str) -> str:
    """Refuses what cannot be a key, before an error of HTTP quotes it."""
    if not (api_key.isascii() and api_key.isprintable()) or " " in api_key:
        raise ConfigurationError(
            "The Roboto API key holds a space, a line break or another character that no key has: look at where it is set."
        )
    if api_key.startswith("robo_pat"):
        raise ConfigurationError(
            "The Roboto API key is of a format that is no longer accepted. Make a new one in the settings of app.roboto.ai."
        )
    return api_key


_PLAIN_KEY = (
    "RobotoResource got its api_key as plain text, which Dagster stores in clear with the code location. "
    'Give it as dagster.EnvVar("ROBOTO_API_KEY"), or leave it out: then ROBOTO_API_KEY is read in the run.'
)


def _is_on_this_machine(endpoint: str | None) -> bool:
    """Tells whether a key is for a platform on this machine, such as `LocalRoboto`: worth nothing elsewhere."""
    host = urllib.parse.urlsplit(endpoint or "").hostname
    return host in ("127.0.0.1", "localhost", "::1")


def _checked_endpoint(endpoint: str) -> str:
    if not endpoint.startswith(("http://", "https://")):
        msg = f"The Roboto endpoint must begin with http:// or https://, not {endpoint!r}."
        raise ConfigurationError(msg)
    return endpoint


class CredentialProviderResource(dg.ConfigurableResource[Any], abc.ABC):
    """Wraps a credential provider: where the object store's credentials come from."""

    @abc.abstractmethod
    def provider_for(self, session: DownloadSession, bucket_name: str) -> CredentialProvider:
        """Returns the provider for one session and bucket.

        Args:
            session: Knows the association and the platform's client.
            bucket_name: The bucket to read.
        """


class RobotoCredentialsResource(CredentialProviderResource):
    """Short-lived, read-only credentials that the platform hands out for the dataset. The
    default.
    """

    def provider_for(self, session: DownloadSession, bucket_name: str) -> CredentialProvider:
        """Returns the session's own provider."""
        return session.make_credential_provider(bucket_name)


class AwsCredentialsResource(CredentialProviderResource):
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
        """Returns a provider that asks boto3, whatever the bucket."""
        from roboto_dagster.fs.boto.aws_credentials import aws_credential_provider

        return aws_credential_provider(self.profile, self.role_arn, self.region)


class ObjectStoreResource(dg.ConfigurableResource[Any]):
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
        ge=1,
        description="Upper bound of connections in use at once. Default: the engine's choice.",
    )
    stall_timeout_seconds: float = Field(
        default=15.0,
        gt=0,
        description="A connection without bytes for so long is dropped and asked again. Default 15.",
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

    def open_store(
        self,
        session: DownloadSession,
        uri: str,
        retry: RetryConfig | None = None,
        on_retry: OnRetry | None = None,
    ) -> ObjectStore:
        """Makes the store for a session, to be used in a `with`.

        Args:
            session: Whose files are to be fetched.
            uri: The URI of one of them.
            retry: How a request that fails transiently is repeated. Default: `RetryConfig()`.
            on_retry: Told of every repetition.
        """
        bucket_name = uri.partition("://")[2].partition("/")[0]
        provider = self.credentials.provider_for(session, bucket_name)
        options: dict[str, Any] = (
            self._s3_options(retry, on_retry) if uri.startswith("s3://") else {}
        )
        return StoreRegistry.get_store_for_uri(uri, provider, **options)

    def _s3_options(self, retry: RetryConfig | None, on_retry: OnRetry | None) -> dict[str, Any]:
        return {
            "engine": self.engine,
            "endpoint_url": self.endpoint_url,
            "max_connections": self.max_connections,
            "stall_timeout_seconds": self.stall_timeout_seconds,
            "verify": self.verify,
            "durability": self.durability,
            "retry": retry or RetryConfig(),
            "on_retry": on_retry,
        }

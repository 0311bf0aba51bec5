"""Makes botocore's S3 client for a store: botocore stays the authority on endpoint, addressing, CA
bundle and proxies.
"""

import functools
from typing import TYPE_CHECKING, Any

import boto3
import botocore.config
import botocore.credentials
import botocore.exceptions
import botocore.loaders
import botocore.session

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.credential_cache import CredentialCache
from roboto_dagster.redaction import safe_cause

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def make_client(broker: CredentialCache, settings: S3Settings, max_connections: int) -> "S3Client":
    """Makes a client whose every request is signed with the broker's current keys.

    It does not retry: the engine that uses it repeats by its own policy.

    Raises:
        PlatformError: There are no credentials.
        ConfigurationError: botocore's own configuration cannot be used.
    """
    region = broker.current().region
    try:
        session = botocore.session.Session()
        session.register_component("credential_provider", _Resolver(broker))
        session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
        return boto3.Session(botocore_session=session).client(
            "s3",
            region_name=region or None,
            endpoint_url=settings.endpoint_url,
            config=botocore.config.Config(
                tcp_keepalive=True,
                max_pool_connections=max_connections,
                connect_timeout=settings.connect_timeout_seconds,
                read_timeout=settings.stall_timeout_seconds,
                retries={"total_max_attempts": 1, "mode": "standard"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_supported",
            ),
        )
    except (botocore.exceptions.BotoCoreError, ValueError) as error:
        msg = f"The AWS configuration of this machine cannot be used: {error}. Correct it, or unset the variable."
        raise ConfigurationError(msg) from safe_cause(error)


@functools.lru_cache(maxsize=1)
def _loader(data_path: str | None) -> botocore.loaders.Loader:
    """Keeps what botocore reads of S3's model: parsing it anew would take a tenth of a second a store."""
    return botocore.loaders.create_loader(data_path)


class _BrokerCredentials(botocore.credentials.Credentials):
    """Credentials that are read from the broker at each request."""

    def __init__(self, broker: CredentialCache) -> None:
        super().__init__("", "", method="roboto")
        self._broker = broker

    def get_frozen_credentials(self) -> Any:
        keys = self._broker.current()
        return botocore.credentials.ReadOnlyCredentials(
            keys.access_key, keys.secret_key, keys.token or None, None
        )


class _Resolver:
    """Stands where botocore looks for its chain of credential providers."""

    def __init__(self, broker: CredentialCache) -> None:
        self._broker = broker

    def load_credentials(self) -> _BrokerCredentials:
        return _BrokerCredentials(self._broker)

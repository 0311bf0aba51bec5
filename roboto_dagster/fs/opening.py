"""Opens the store that holds a session's files: what the resource does, and what does it without Dagster."""

from collections.abc import Callable, Mapping
from typing import Any

from roboto_dagster.fs.credentials import CredentialProvider
from roboto_dagster.fs.download_session import DownloadSession
from roboto_dagster.fs.object_store import ObjectStore, StoreRegistry
from roboto_dagster.uri import bucket_of

ProviderFor = Callable[[DownloadSession, str], CredentialProvider]
"""Returns the credential provider for a session and the name of a bucket."""


def open_store(
    session: DownloadSession,
    uri: str,
    *,
    provider_for: ProviderFor = DownloadSession.make_credential_provider,
    s3_options: Mapping[str, Any] | None = None,
) -> ObjectStore:
    """Make the store for a session, to be used in a `with`.

    Args:
        session: Whose files are to be fetched.
        uri: The URI of one of them.
        provider_for: Where credentials come from. Default: the platform.
        s3_options: The fields of `S3Settings`, and `engine`; not given to stores of other schemes. Default: none.

    Returns:
        The store.

    Raises:
        ConfigurationError: No store is registered for the scheme, or an option cannot work.
    """
    provider = provider_for(session, bucket_of(uri))
    options = s3_options or {} if uri.startswith("s3://") else {}
    return StoreRegistry.get_store_for_uri(uri, provider, **options)

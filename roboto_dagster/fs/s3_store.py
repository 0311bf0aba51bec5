"""Chooses the S3 engine: libcurl where pycurl is installed, else boto3."""

import importlib.util
from typing import Any, Literal, get_args

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.fs.credentials import CredentialProvider
from roboto_dagster.fs.object_store import ObjectStore
from roboto_dagster.fs.shared_engine import SharedEngine
from roboto_dagster.setting_checks import check_choice

Engine = Literal["auto", "curl", "boto3"]
"""`curl` is the fast one, `boto3` the portable one; `auto` takes curl where pycurl imports."""


class S3Store:
    """Makes the S3 store of the engine asked for; serves the scheme `s3` in the registry."""

    @classmethod
    def create(
        cls,
        credential_provider: CredentialProvider,
        *,
        engine: Engine = "auto",
        shared: SharedEngine | None = None,
        **options: Any,
    ) -> ObjectStore:
        """Make an S3 store.

        Args:
            credential_provider: Called whenever credentials are needed, from any thread.
            engine: `"auto"`, `"curl"` or `"boto3"`. Default `"auto"`.
            shared: Threads and connections that it shares with other stores. Default None: it has
                its own.
            **options: The fields of `S3Settings`.

        Raises:
            ConfigurationError: An unknown engine or option, or curl without pycurl.
        """
        check_choice("engine", engine, get_args(Engine))
        has_pycurl = importlib.util.find_spec("pycurl") is not None
        if engine == "curl" and not has_pycurl:
            msg = 'engine="curl" needs pycurl, which is not installed: pip install pycurl, or use engine="boto3".'
            raise ConfigurationError(msg)
        if engine == "boto3" or not has_pycurl:
            return _boto_store(credential_provider, shared, options)
        return _curl_store(credential_provider, shared, options)


# Engines are imported when they are made: boto3 and pycurl would otherwise cost every `import
# roboto_dagster`.
def _curl_store(
    credential_provider: CredentialProvider, shared: SharedEngine | None, options: dict[str, Any]
) -> ObjectStore:
    from roboto_dagster.fs.curl.store import CurlStore

    return CurlStore.create(credential_provider, shared=shared, **options)


def _boto_store(
    credential_provider: CredentialProvider, shared: SharedEngine | None, options: dict[str, Any]
) -> ObjectStore:
    from roboto_dagster.fs.boto.store import BotoStore

    return BotoStore.create(credential_provider, shared=shared, **options)

"""The settings of an S3 store, the same for every engine."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

from roboto_dagster.disk.folder import Durability
from roboto_dagster.errors import ConfigurationError, DownloadError
from roboto_dagster.fs.core.bandwidth import Bandwidth
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.setting_checks import (
    check_choice,
    check_count,
    check_http_url,
    check_rate,
    check_seconds,
)

Verify = Literal["auto", "checksum", "size"]
"""How the content is checked: the best the store offers, a checksum or failure, or only the
length.
"""

OnRetry = Callable[[DownloadError, float], None]
"""Called, from any thread, with what failed and the seconds until it is tried again."""

MIB = 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class S3Settings:
    """What can be set on an S3 store. All else (CA bundle, proxies, profiles) is botocore's own
    configuration.

    Attributes:
        endpoint_url: URL of an S3-compatible store; None (default) takes botocore's,
            `AWS_ENDPOINT_URL_S3` included.
        max_connections: Upper bound of connections in use at once; None (default) lets the engine
            choose.
        max_bandwidth_mib_s: Upper bound of what is downloaded a second, in MiB, by all connections
            together. Default None: no bound.
        part_size_bytes: Files up to this size are one request, larger ones are fetched in ranges.
            Default 8 MiB.
        stall_timeout_seconds: A connection that delivers no bytes for so long is dropped and its
            range requested again. Default 15.
        connect_timeout_seconds: Bound on making a connection. Default 10.
        verify: `"auto"` (default) checks the strongest checksum that the store gives, else the
            size; `"checksum"` makes a file without one a failure; `"size"` checks the size alone.
        durability: What is forced to the disk before a file counts as published: `"none"` (default)
            survives the death of the process but not of the machine, `"file"` and `"full"` do.
        retry: How one request is repeated when it fails transiently.
        on_retry: Called with every failure that is retried. Default None.
    """

    endpoint_url: str | None = None
    max_connections: int | None = None
    max_bandwidth_mib_s: float | None = None
    part_size_bytes: int = 8 * MIB
    stall_timeout_seconds: float = 15.0
    connect_timeout_seconds: float = 10.0
    verify: Verify = "auto"
    durability: Durability = "none"
    retry: RetryConfig = dataclasses.field(default_factory=RetryConfig)
    on_retry: OnRetry | None = None

    def __post_init__(self) -> None:
        if self.endpoint_url is not None:
            check_http_url("endpoint_url", self.endpoint_url)
        check_count("max_connections", self.max_connections, optional=True)
        check_rate("max_bandwidth_mib_s", self.max_bandwidth_mib_s, optional=True)
        check_count("part_size_bytes", self.part_size_bytes)
        check_seconds("stall_timeout_seconds", self.stall_timeout_seconds)
        check_seconds("connect_timeout_seconds", self.connect_timeout_seconds)
        check_choice("verify", self.verify, get_args(Verify))
        check_choice("durability", self.durability, get_args(Durability))
        if not isinstance(self.retry, RetryConfig):
            raise ConfigurationError(f"retry must be a RetryConfig, not {self.retry!r}.")
        if self.on_retry is not None and not callable(self.on_retry):
            raise ConfigurationError(f"on_retry must be a function, not {self.on_retry!r}.")

    @property
    def bandwidth(self) -> Bandwidth | None:
        """A fresh bound on bytes per second; None for no bound."""
        rate = self.max_bandwidth_mib_s
        return None if rate is None else Bandwidth(rate * MIB)

    @property
    def of_engine(self) -> "S3Settings":
        """What stores that share an engine have in common: all but the functions that are called."""
        return dataclasses.replace(self, on_retry=None)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "S3Settings":
        """Make settings from keyword options.

        Raises:
            ConfigurationError: An option is unknown; the message lists those there are.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(options.keys() - known)
        if unknown:
            msg = (
                f"Unknown store option {', '.join(unknown)}; there are {', '.join(sorted(known))}."
            )
            raise ConfigurationError(msg)
        return cls(**options)

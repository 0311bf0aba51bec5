"""What a sync needs besides its scope."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, get_args

from roboto_dagster.disk.folder import Durability
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.fs.core.settings import OnRetry
from roboto_dagster.fs.download_session import DownloadSession
from roboto_dagster.fs.object_store import ObjectStore
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.setting_checks import check_choice, check_count
from roboto_dagster.sync.cancellation import Cancellation
from roboto_dagster.sync.progress import Log

if TYPE_CHECKING:
    from roboto import RobotoClient

OpenStore = Callable[[DownloadSession, str, RetryConfig, OnRetry], ObjectStore]
"""Makes the store for a session: given the session, one of its URIs, the retry policy, and what is called per retry."""

OnRefused = Literal["fail", "skip"]
"""Whether a sync fails if its plan refuses files."""

OnMissing = Literal["keep", "remove"]
"""Whether files that an earlier run delivered and the platform no longer has are removed."""

OnEmpty = Literal["fail", "allow"]
"""Whether a sync fails if its datasets hold no file that is wanted."""

DEFAULT_RESERVE_BYTES = 64 * 1024 * 1024

# `pathlib.Path("s3://b")` has turned into `s3:/b`; one letter is a drive of Windows.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def checked_destination(destination: str | os.PathLike[str]) -> pathlib.Path:
    """Return the absolute folder that a user means, or refuse what is no local folder.

    Args:
        destination: A path; `~` stands for the home folder, and a relative path is taken from the
            working directory.

    Raises:
        ConfigurationError: It is empty, a URL, or nothing that can be a path.
    """
    given: Any = destination  # whatever a YAML file or an untyped call holds
    text = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(text, str) or not text.strip() or not text.isprintable():
        raise ConfigurationError(
            f"destination must be the path of a folder, not {text!r}. Give one such as data/roboto."
        )
    if _SCHEME.match(text.strip()):
        raise ConfigurationError(
            f"destination must be a folder on this machine, not a URL such as {text!r}: files are delivered to a local "
            "or mounted folder only. Give its path."
        )
    try:
        return pathlib.Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise ConfigurationError(f"destination {text!r} has no home folder: {error}") from error


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """How a sync treats what is not as it should be.

    Attributes:
        on_refused: `"fail"` (default) or `"skip"` files with unsafe or colliding paths or bad records;
            the others are delivered in any case.
        on_missing: `"keep"` (default) or `"remove"` files that the platform no longer has. Only what
            this asset delivered and nobody changed is removed, only after a complete listing, a lookup of the
            file's record, and a sync without failures; what is in the way of other files is removed before that.
        on_empty: `"fail"` (default) or `"allow"` a dataset without any file that is wanted. Where only files of
            a time window are wanted, there may be none in any case.
        max_removals: If more files than this would be removed, none is, and the sync fails. Default 100.
        free_space_reserve_bytes: Bytes to leave free on the disk, checked before the first byte;
            None checks nothing. Default 64 MiB.
    """

    on_refused: OnRefused = "fail"
    on_missing: OnMissing = "keep"
    on_empty: OnEmpty = "fail"
    max_removals: int = 100
    free_space_reserve_bytes: int | None = DEFAULT_RESERVE_BYTES

    def __post_init__(self) -> None:
        check_choice("on_refused", self.on_refused, get_args(OnRefused))
        check_choice("on_missing", self.on_missing, get_args(OnMissing))
        check_choice("on_empty", self.on_empty, get_args(OnEmpty))
        check_count("max_removals", self.max_removals, least=0)
        check_count(
            "free_space_reserve_bytes", self.free_space_reserve_bytes, least=0, optional=True
        )


def _log_nothing(level: int, line: str) -> None:
    """The default of `SyncSettings.log`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SyncSettings:
    """What a sync needs besides its scope.

    Attributes:
        client: Client of the platform.
        open_store: Opens the object store.
        destination: The folder that the user chose; files go to
            `<destination>/<dataset id>/<relative path>`.
        manifest: Path of the manifest, read as the last run's and written as this one's.
        org_id: Organization to act for; None for the one that owns the dataset.
        durability: What is forced to the disk before the manifest counts as written: `"none"` (default), the `"file"`,
            or its folder too (`"full"`).
        retry: How transient failures are retried.
        options: How refused, missing and removed files are treated.
        log: Where lines about progress and retries go.
        cancellation: Ends the sync from another thread.
    """

    client: "RobotoClient"
    open_store: OpenStore
    destination: pathlib.Path
    manifest: pathlib.Path
    org_id: str | None = None
    durability: Durability = "none"
    retry: RetryConfig = dataclasses.field(default_factory=RetryConfig)
    options: SyncOptions = dataclasses.field(default_factory=SyncOptions)
    log: Log = _log_nothing
    cancellation: Cancellation = dataclasses.field(default_factory=Cancellation)

    def __post_init__(self) -> None:
        object.__setattr__(self, "destination", checked_destination(self.destination))

"""Every error that this package raises, and the codes by which a program distinguishes them.

```
RobotoDagsterError
├── ConfigurationError   a setting cannot work: a key, an endpoint, a destination, an option
├── PlatformError        the Roboto API rejected a call, failed, or gave an unusable answer
│   └── CredentialsError     there are no usable credentials for the object store
├── DiskSpaceError       the plan does not fit on the disk; nothing was fetched
├── RemovalError         more files would be removed than allowed; none was
├── ManifestError        a manifest cannot be read, or its version is unknown
│   └── MissingPartitionError   the partition was not materialized: no manifest, or files that failed
├── DownloadError        one file could not be delivered
└── DecodeError          one log, or one topic of it, could not be decoded
```

A batch fails with one `ExceptionGroup` of `DownloadError`s. A message names what failed, which
file and what to do next, and never holds a credential. All constructors are positional, so that errors survive
pickling between processes.
"""

import errno
import pathlib
from collections.abc import Mapping
from typing import Literal, get_args

from roboto_dagster.redaction import mask_secrets
from roboto_dagster.text import one_line
from roboto_dagster.types import DownloadableFile

ErrorCode = Literal[
    "NOT_FOUND",
    "ACCESS_DENIED",
    "CREDENTIALS_INVALID",
    "CREDENTIALS_EXPIRED",
    "THROTTLED",
    "SERVER_ERROR",
    "CONNECTION",
    "STALLED",
    "TLS",
    "CHECKSUM_MISMATCH",
    "SIZE_MISMATCH",
    "CHANGED",
    "UNSAFE_PATH",
    "COLLISION",
    "BAD_RECORD",
    "NO_SPACE",
    "LOCAL_IO",
    "CANCELLED",
    "UNEXPECTED",
]
"""What went wrong with one file, for programs. Codes are never renamed."""

ERROR_CODES: tuple[str, ...] = get_args(ErrorCode)

TRANSIENT_CODES: frozenset[str] = frozenset(
    {"CREDENTIALS_EXPIRED", "THROTTLED", "SERVER_ERROR", "CONNECTION", "STALLED", "CHANGED"}
)
"""Codes after which the same request may well succeed a little later."""

ADVICE: dict[str, str] = {
    "NOT_FOUND": "The platform lists it but its object is gone: upload the file again, or leave it out with exclude_patterns.",
    "ACCESS_DENIED": "The credentials may not read this object: check the bucket's registration and their permissions.",
    "CREDENTIALS_INVALID": "Check the credentials in use, and that the bucket is registered with the platform.",
    "CREDENTIALS_EXPIRED": "Run it again; if the error persists, check this machine's clock.",
    "THROTTLED": "The store limits the request rate: run it again later, or lower max_connections.",
    "SERVER_ERROR": "The store failed: run it again later.",
    "CONNECTION": "Check the network, the endpoint and the proxy settings, then run it again.",
    "STALLED": "No bytes arrived for too long: run it again, or raise stall_timeout_seconds.",
    "TLS": "The certificate was not accepted: set AWS_CA_BUNDLE to your authority's certificates, or correct the endpoint.",
    "CHECKSUM_MISMATCH": "The bytes do not match the stored checksum, twice: check the object, or upload the file again.",
    "SIZE_MISMATCH": "The object's size differs from the record's: upload the file again.",
    "CHANGED": "The file was replaced while it was read: run it again.",
    "UNSAFE_PATH": "Its path would leave the destination or cannot be a file name here: rename the file on the platform.",
    "COLLISION": "Two files claim one place on this disk: rename one on the platform, or exclude one with exclude_patterns.",
    "BAD_RECORD": "Report the file id to the platform's support, or leave the file out with exclude_patterns.",
    "NO_SPACE": "Free space or inodes on the destination's filesystem, then run it again: completed files are kept.",
    "LOCAL_IO": "Check the destination's permissions and its disk, then run it again.",
    "CANCELLED": "Run it again: completed files are kept.",
    "UNEXPECTED": "Report it as a bug of roboto-dagster unless the message explains it.",
}
"""What to do next, by code; ends every message about a file."""


class RobotoDagsterError(Exception):
    """Root of all errors of this package: catch it to catch every one of them.

    Args:
        *args: What the error is made of; in every text of it secrets are masked, since messages quote
            URLs and answers.
    """

    transient: bool = False
    """Whether the same call may succeed later without any change."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(mask_secrets(arg) if isinstance(arg, str) else arg for arg in args))


class ConfigurationError(RobotoDagsterError, ValueError):
    """A setting cannot work; the message names the setting and the remedy."""


class DiskSpaceError(RobotoDagsterError):
    """The plan does not fit on the destination's filesystem; the message holds both sizes."""


class RemovalError(RobotoDagsterError):
    """More files would be removed than allowed; none was, and all listed files are complete."""


class ManifestError(RobotoDagsterError):
    """A manifest cannot be read; the message names its path."""


class MissingPartitionError(ManifestError):
    """A partition was never materialized, or its last sync could not deliver every file."""


class PlatformError(RobotoDagsterError):
    """The Roboto API rejected a call, could not be reached, or gave an unusable answer.

    Args:
        message: What was requested, what came back, what to do next.
        transient: Whether a retry may help.
        http_status: HTTP status of the answer, or None if there was none.
    """

    def __init__(
        self,
        message: str,
        transient: bool = False,  # noqa: FBT001, FBT002 - positional, to survive pickling
        http_status: int | None = None,
    ) -> None:
        super().__init__(message, transient, http_status)
        self.message: str = self.args[0]
        self.transient = transient
        self.http_status = http_status

    def __str__(self) -> str:
        return one_line(self.message)


class DownloadError(RobotoDagsterError):
    """One file could not be delivered.

    Args:
        file: The file, as it was given to the session or made from the arguments of
            `ObjectStore.get`.
        code: One of `ErrorCode`.
        reason: What happened, in a few words, without any credential.
        transient: Whether a retry may help. Default None: decided by the code.
        attempts: Number of attempts in all. Default 1.
        request_id: The store's id of the last failing request, for its support. Default None.
        advice: What to do next, where that depends on more than the code, such as on the credential
            provider in use. Default None: that of the code.
    """

    def __init__(  # noqa: PLR0917 - positional, to survive pickling
        self,
        file: DownloadableFile,
        code: ErrorCode,
        reason: str,
        transient: bool | None = None,  # noqa: FBT001
        attempts: int = 1,
        request_id: str | None = None,
        advice: str | None = None,
    ) -> None:
        super().__init__(file, code, reason, transient, attempts, request_id, advice)
        self.file = file
        self.code: ErrorCode = code
        self.reason: str = self.args[2]
        self.transient = code in TRANSIENT_CODES if transient is None else transient
        self.attempts = attempts
        self.request_id = request_id
        self.advice = advice or ADVICE[code]
        """What to do next, in one sentence."""

    @property
    def place(self) -> Mapping[str, str]:
        """What it is about, by the name of a column: the file's path in its dataset, or where it should have gone."""
        file: Mapping[str, object] = {**self.file}
        return {"relative_path": str(file.get("relative_path") or file["destination_path"])}

    def __str__(self) -> str:
        attempts = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        request = f", request id {self.request_id}" if self.request_id else ""
        path = f"{self.file['source_uri']} -> {self.file['destination_path']}"
        text = f"{path}: {self.code}: {self.reason} ({attempts}{request}). {self.advice}"
        return one_line(text)  # names are the platform's, and may hold control characters


class UploadError(RobotoDagsterError):
    """One file could not be uploaded.

    Args:
        source: The local file.
        uri: Where it was to go.
        code: One of `ErrorCode`.
        reason: What happened, in a few words, without any credential.
        transient: Whether a retry may help. Default None: decided by the code.
    """

    def __init__(
        self,
        source: pathlib.Path,
        uri: str,
        code: ErrorCode,
        reason: str,
        transient: bool | None = None,  # noqa: FBT001
    ) -> None:
        super().__init__(source, uri, code, reason, transient)
        self.source = source
        self.uri = uri
        self.code: ErrorCode = code
        self.reason: str = self.args[3]
        self.transient = code in TRANSIENT_CODES if transient is None else transient

    def __str__(self) -> str:
        return one_line(f"{self.source} -> {self.uri}: {self.code}: {self.reason}.")


def is_transient(error: BaseException) -> bool:
    """Return whether repeating the failed call may help.

    The predicate by which a group is split (`group.split(is_transient)`) and by which tenacity
    decides.

    Args:
        error: Any exception; a group is transient only if all its members are, so that `split`, which
            asks about the group first, divides a mixed one.
    """
    members = getattr(error, "exceptions", None)
    if members is not None:
        return all(is_transient(member) for member in members)
    return isinstance(error, RobotoDagsterError) and error.transient


_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
# Too many open files, and a temporary file that was taken over or removed: the next attempt makes a new one.
_RETRYABLE = frozenset({errno.EMFILE, errno.ENFILE, errno.ESTALE})

# What the user has put there is neither followed nor removed.
_IN_THE_WAY = {
    errno.ELOOP: "Move the link away, or replace it by what it points to: links below the destination are not followed.",
    errno.ENOTDIR: "Move it away: folders of the dataset belong in its place.",
}


def is_no_space(error: OSError) -> bool:
    """Return whether a disk error means that the disk, or the user's share of it, is full."""
    return error.errno in _NO_SPACE


def from_os_error(file: DownloadableFile, error: OSError, attempts: int = 1) -> DownloadError:
    """Translate a local disk error about one file: the one place where errno becomes a code.

    Args:
        file: The file.
        error: The error of the operating system.
        attempts: Number of attempts so far. Default 1.

    Returns:
        The failure; the caller chains it to `error`.
    """
    reason = f"{error.strerror or error}"
    if is_no_space(error):
        return DownloadError(file, "NO_SPACE", reason, False, attempts)
    if error.errno == errno.ELOOP:
        reason = "a symbolic link is in the way"
        return DownloadError(
            file, "UNSAFE_PATH", reason, False, attempts, advice=_IN_THE_WAY[errno.ELOOP]
        )
    if error.errno == errno.ENOTDIR:
        reason = "something that is no folder is in its path"
        return DownloadError(
            file, "LOCAL_IO", reason, False, attempts, advice=_IN_THE_WAY[errno.ENOTDIR]
        )
    return DownloadError(file, "LOCAL_IO", reason, error.errno in _RETRYABLE, attempts)

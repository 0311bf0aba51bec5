"""Why a request or a file failed, as a value: what a driver reports and `recovery` decides on."""

import dataclasses
import errno
from typing import Literal

from roboto_dagster.errors import DownloadError, ErrorCode, PlatformError, from_os_error
from roboto_dagster.fs.credentials import CredentialsError
from roboto_dagster.types import DownloadableFile

Remedy = Literal[
    "retry",
    "fail",
    "replay",
    "credentials",
    "denied",
    "region",
    "clock",
    "range",
    "restart",
    "one_stream",
]
"""What may help after a failed request:

- `retry`: the same bytes again, by the retry policy
- `fail`: nothing, the file has failed
- `replay`: the same request at once, since it failed for a reason that is not the store's
- `credentials`: fresh credentials, since the store rejected these
- `denied`: fresh credentials, if these may have expired; else nothing
- `region`: the region that the store named
- `clock`: the store's time
- `range`: the same range once more, then as `one_stream`, since the answer was another range
- `restart`: the file from its start, since the object seems to have been replaced
- `one_stream`: the file from its start in one stream, since the store cannot serve ranges
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a request failed.

    Attributes:
        code: The code that the user sees if the file fails for this.
        reason: The text that the user sees, without any credential.
        remedy: What may help.
        transient: Whether a later run may succeed; None decides by the code.
        status: HTTP status of the answer; 0 if there was none, or it is not what failed.
        request_id: The store's id of the request.
        retry_after_seconds: How long the store asks to wait.
        hint: What the remedy needs: the region, or the store's time in seconds since the epoch.
        attempts: How often it was tried outside the file's own requests, such as by asking for credentials.
        advice: What to do next, where that depends on more than the code. Default None: the code's own advice.
        cause: The original error.
    """

    code: ErrorCode
    reason: str
    remedy: Remedy = "retry"
    transient: bool | None = None
    status: int = 0
    request_id: str | None = None
    retry_after_seconds: float = 0.0
    hint: str = ""
    attempts: int = 0
    advice: str | None = None
    cause: BaseException | None = None

    def error(self, file: DownloadableFile, attempts: int) -> DownloadError:
        """Return it as the error of a file, not chained to its cause.

        Args:
            file: The file.
            attempts: How often it was tried.
        """
        return DownloadError(
            file,
            self.code,
            self.reason,
            self.transient,
            attempts,
            self.request_id,
            self.advice,
        )


# An outage is no reason to check who may read what.
_ASK_AGAIN = "Run it again: completed files are kept."

CANCELLED = Failure(code="CANCELLED", reason="the transfer was cancelled", remedy="fail")


def local_failure(file: DownloadableFile, error: BaseException) -> Failure:
    """Translate an error of this machine: its disk, its limits, or a bug.

    Args:
        file: The file that it happened to.
        error: What was raised.
    """
    if isinstance(error, DownloadError):
        return Failure(
            code=error.code,
            reason=error.reason,
            remedy="fail",
            transient=error.transient,
            advice=error.advice,
            cause=error,
        )
    if isinstance(error, OSError):
        translated = from_os_error(file, error)
        return Failure(
            code=translated.code,
            reason=translated.reason,
            # A temporary file that is gone comes back only with the next attempt of the file.
            remedy="retry" if translated.transient and error.errno != errno.ESTALE else "fail",
            transient=translated.transient,
            advice=translated.advice,
            cause=error,
        )
    if isinstance(error, UnicodeError):
        reason = "its name is not valid Unicode"
        return Failure(code="BAD_RECORD", reason=reason, remedy="fail", cause=error)
    if isinstance(error, ValueError) and "null" in str(
        error
    ):  # Python's message about NUL in a path
        reason = "its path holds a NUL character"
        return Failure(code="UNSAFE_PATH", reason=reason, remedy="fail", cause=error)
    reason = f"an unforeseen {type(error).__name__}"
    return Failure(code="UNEXPECTED", reason=reason, remedy="fail", cause=error)


def credentials_failure(error: PlatformError) -> Failure:
    """Translate what the credential provider raised.

    Args:
        error: Why there are no credentials.
    """
    known = error if isinstance(error, CredentialsError) else CredentialsError("")
    return Failure(
        code=known.code,
        reason=error.message.rstrip("."),
        remedy="fail",
        transient=error.transient,
        attempts=known.attempts,
        advice=_ASK_AGAIN if error.transient else None,
        cause=error.__cause__,  # the error itself has nothing that the reason has not
    )

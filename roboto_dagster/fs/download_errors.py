"""Turns the error of any store, also of one that is not ours, into a `DownloadError`."""

import concurrent.futures

from roboto_dagster.errors import DownloadError, RobotoDagsterError
from roboto_dagster.redaction import safe_cause
from roboto_dagster.types import DownloadableFile


def as_download_error(file: DownloadableFile, error: BaseException) -> DownloadError:
    """Make any store's error one of ours that names its file.

    Args:
        file: The file that failed.
        error: What its future raised.

    Returns:
        The error itself if it is a `DownloadError`; else a new one, chained to the original, or to
        the original's cause where the original is ours too and the message quotes it.
    """
    if isinstance(error, DownloadError):
        return error
    # It imports botocore, whose errors are translated too: only failures need it.
    from roboto_dagster.fs.boto.errors import download_error

    known = error if isinstance(error, Exception) else concurrent.futures.CancelledError()
    failure = download_error(file, known)
    cause = error.__cause__ if isinstance(error, RobotoDagsterError) else error
    failure.__cause__ = safe_cause(cause)
    return failure

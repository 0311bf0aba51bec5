"""The errors of any store, as the session and the sync name them."""

import concurrent.futures
import pathlib

import botocore.exceptions
import pytest

from roboto_dagster import DownloadableFile, DownloadError, PlatformError
from roboto_dagster.fs.download_errors import as_download_error


@pytest.fixture
def file(tmp_path: pathlib.Path) -> DownloadableFile:
    """A file."""
    return DownloadableFile(bucket_name="b", source_uri="s3://b/k", destination_path=tmp_path / "k")


def test_our_own_error_stays_as_it_is(file: DownloadableFile) -> None:
    """A store of ours has named the file already."""
    error = DownloadError(file, "NOT_FOUND", "HTTP 404", False)
    assert as_download_error(file, error) is error


def test_a_foreign_error_is_the_cause(file: DownloadableFile) -> None:
    """A store that is not ours raises what its library raises."""
    answer = {"Error": {"Code": "NoSuchKey"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
    error = botocore.exceptions.ClientError(answer, "GetObject")  # type: ignore[arg-type] # only what is read
    failure = as_download_error(file, error)
    assert (failure.code, failure.transient, failure.file) == ("NOT_FOUND", False, file)
    assert failure.__cause__ is error


def test_an_error_of_ours_that_is_quoted_is_no_cause(file: DownloadableFile) -> None:
    """What the message repeats is not printed a second time."""
    failure = as_download_error(file, PlatformError("no credentials for bucket 'b'"))
    assert "no credentials for bucket 'b'" in str(failure)
    assert failure.__cause__ is None


def test_a_cancelled_future_of_any_library_is_cancelled(file: DownloadableFile) -> None:
    """The `CancelledError` of asyncio, which is no `Exception`, is treated as the other one."""

    class CancelledError(BaseException):
        """As asyncio's."""

    codes = {
        as_download_error(file, error).code
        for error in (concurrent.futures.CancelledError(), CancelledError())
    }
    assert codes == {"CANCELLED"}

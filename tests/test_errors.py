"""The tree of errors: their messages, whether they are retryable, and that they pickle."""

import errno
import os
import pathlib
import pickle
import sys
from collections.abc import Callable
from typing import get_args

import pytest

from roboto_dagster import errors
from roboto_dagster.errors import DownloadError, ErrorCode, PlatformError
from roboto_dagster.fs.credentials import CredentialsError
from roboto_dagster.topics.errors import DecodeError
from roboto_dagster.types import DownloadableFile

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

FILE = DownloadableFile(
    bucket_name="bucket",
    source_uri="s3://bucket/key",
    destination_path=pathlib.Path("logs/a.mcap"),
)


def test_message_names_failure_file_and_next_step() -> None:
    """A failure's text holds the file's two ends, code, reason, attempts, request id and advice."""
    failure = DownloadError(FILE, "THROTTLED", "HTTP 503 SlowDown", None, 3, "R1")
    assert str(failure) == (
        "s3://bucket/key -> logs/a.mcap: THROTTLED: HTTP 503 SlowDown (3 attempts, request id R1). "
        "The store limits the request rate: run it again later, or lower max_connections."
    )


def test_one_attempt_is_singular() -> None:
    """A failure at the first try speaks of one attempt, and of no request id that it has not."""
    assert "(1 attempt)." in str(DownloadError(FILE, "NOT_FOUND", "it is gone"))


@pytest.mark.parametrize(
    ("topic", "where"),
    [(None, "ds_1/a.mcap"), ("/im\nu", "ds_1/a.mcap, topic /im\\nu")],
)
def test_a_log_that_cannot_be_decoded_is_named(topic: str | None, where: str) -> None:
    """The text holds log, topic, code, reason and advice in one line, also after pickling."""
    failure = DecodeError(
        "ds_1", "a.mcap", topic, "CORRUPT", "a chunk's CRC is wrong", "Upload it."
    )
    text = f"{where}: CORRUPT: a chunk's CRC is wrong. Upload it."
    assert [str(failure), str(pickle.loads(pickle.dumps(failure)))] == [text, text]  # noqa: S301 - own
    assert not failure.transient


@pytest.mark.parametrize("code", get_args(ErrorCode))
def test_every_code_has_advice(code: ErrorCode) -> None:
    """Whatever the code, a sentence names the next step."""
    assert DownloadError(FILE, code, "reason").advice.endswith(".")


def test_codes_and_advice_match() -> None:
    """There is no advice, and no transient code, that is not a code."""
    assert set(errors.ADVICE) == set(errors.ERROR_CODES)
    assert set(errors.ERROR_CODES) > errors.TRANSIENT_CODES


@pytest.mark.parametrize(
    ("code", "given", "expected"),
    [
        pytest.param("STALLED", None, True, id="by-code-transient"),
        pytest.param("NOT_FOUND", None, False, id="by-code-permanent"),
        pytest.param("STALLED", False, False, id="given-permanent"),
        pytest.param("CHECKSUM_MISMATCH", True, True, id="given-transient"),
    ],
)
def test_transient_is_the_codes_unless_given(
    code: ErrorCode, *, given: bool | None, expected: bool
) -> None:
    """The code decides whether a retry may help, where the engine does not know better."""
    assert DownloadError(FILE, code, "reason", given).transient is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(DownloadError(FILE, "CONNECTION", "r"), True, id="transient"),
        pytest.param(DownloadError(FILE, "NOT_FOUND", "r"), False, id="permanent"),
        pytest.param(PlatformError("m", True), True, id="platform"),
        pytest.param(errors.ConfigurationError("m"), False, id="configuration"),
        pytest.param(ValueError("m"), False, id="foreign"),
        pytest.param(
            ExceptionGroup("g", [PlatformError("m", True), DownloadError(FILE, "STALLED", "r")]),
            True,
            id="group-of-such",
        ),
        pytest.param(
            ExceptionGroup("g", [ValueError("m"), DownloadError(FILE, "CONNECTION", "r")]),
            False,
            id="mixed-group",
        ),
        pytest.param(
            ExceptionGroup("g", [ExceptionGroup("h", [DownloadError(FILE, "NOT_FOUND", "r")])]),
            False,
            id="nested-group-without",
        ),
    ],
)
def test_is_transient(error: Exception, *, expected: bool) -> None:
    """One predicate decides for errors and for groups of them."""
    assert errors.is_transient(error) is expected


def test_a_group_splits_by_is_transient() -> None:
    """`group.split(is_transient)` separates the retryable failures from the final ones."""
    retryable = DownloadError(FILE, "CONNECTION", "r")
    final = DownloadError(FILE, "NOT_FOUND", "r")
    transient, permanent = ExceptionGroup("g", [retryable, final]).split(errors.is_transient)
    assert transient is not None
    assert permanent is not None
    assert (transient.exceptions, permanent.exceptions) == ((retryable,), (final,))


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(DownloadError(FILE, "STALLED", "r", None, 2, "R1"), id="download"),
        pytest.param(PlatformError("m", True, 503), id="platform"),
        pytest.param(CredentialsError("m", True, "CREDENTIALS_EXPIRED"), id="credentials"),
        pytest.param(errors.ConfigurationError("m"), id="configuration"),
        pytest.param(errors.ManifestError("m"), id="manifest"),
    ],
)
def test_errors_pickle(error: Exception) -> None:
    """An error crosses processes with its text and fields."""
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 -- our own bytes
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_pickle_keeps_what_was_learnt_later() -> None:
    """Attempts that were counted after an error was made are still there in another process."""
    failure = DownloadError(FILE, "STALLED", "r")
    failure.attempts = 7
    copy = pickle.loads(pickle.dumps(failure))  # noqa: S301 -- our own bytes
    assert copy.attempts == 7


def test_configuration_error_is_a_value_error() -> None:
    """Who sets something wrong can also catch the builtin."""
    assert issubclass(errors.ConfigurationError, ValueError)


@pytest.mark.parametrize(
    ("number", "code", "transient"),
    [
        pytest.param(errno.ENOSPC, "NO_SPACE", False, id="full"),
        pytest.param(errno.EDQUOT, "NO_SPACE", False, id="quota"),
        pytest.param(errno.ELOOP, "UNSAFE_PATH", False, id="link"),
        pytest.param(errno.ENOTDIR, "LOCAL_IO", False, id="no-folder"),
        pytest.param(errno.EMFILE, "LOCAL_IO", True, id="too-many-open"),
        pytest.param(errno.EACCES, "LOCAL_IO", False, id="permission"),
        pytest.param(errno.EIO, "LOCAL_IO", False, id="broken-disk"),
    ],
)
def test_os_errors_become_codes(number: int, code: str, *, transient: bool) -> None:
    """The number of a local error decides its code, and whether it is retryable."""
    failure = errors.from_os_error(FILE, OSError(number, os.strerror(number)))
    assert (failure.code, failure.transient) == (code, transient)


@pytest.mark.parametrize("number", [errno.ELOOP, errno.ENOTDIR])
def test_what_the_user_put_in_the_way_is_for_the_user_to_move(number: int) -> None:
    """A link on this machine is nothing that can be renamed on the platform."""
    advice = errors.from_os_error(FILE, OSError(number, os.strerror(number))).advice
    assert "Move" in advice
    assert "platform" not in advice


def test_a_name_cannot_forge_a_log_line() -> None:
    """The platform's names are escaped where a failure becomes text, and kept in its fields."""
    name = "s3://bucket/a\nRUN_SUCCESS\x1b[31m"
    failure = DownloadError({**FILE, "source_uri": name}, "NOT_FOUND", "it is\r\ngone")
    assert str(failure).isprintable()
    assert (failure.file["source_uri"], failure.reason) == (name, "it is\r\ngone")
    assert str(PlatformError("a\nb")) == r"a\nb"


def test_advice_of_its_own_wins() -> None:
    """The caller may know more than the code, such as which credentials are in use."""
    failure = DownloadError(
        FILE, "CREDENTIALS_INVALID", "rejected", None, 1, None, "Check profile 'x'."
    )
    assert str(failure).endswith("(1 attempt). Check profile 'x'.")
    assert pickle.loads(pickle.dumps(failure)).advice == "Check profile 'x'."  # noqa: S301 -- our own bytes


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(errors.ConfigurationError, id="configuration"),
        pytest.param(PlatformError, id="platform"),
        pytest.param(CredentialsError, id="credentials"),
        pytest.param(lambda text: DownloadError(FILE, "CONNECTION", text), id="download"),
    ],
)
def test_no_error_holds_a_secret(make: Callable[[str], Exception]) -> None:
    """Whoever makes an error of a foreign text, the secrets in it are masked: in text, fields and pickles."""
    error = make("no answer from http://user:hidden-4711@host/k?X-Amz-Signature=hidden-4711")
    shown = f"{error!s} {error!r} {vars(error)!r} {error.args!r}".encode() + pickle.dumps(error)
    assert b"hidden-4711" not in shown
    assert "http://***@host/k" in str(error)

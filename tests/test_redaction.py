"""Secrets are masked by their shape, and by their value in the libraries' logs."""

import logging
import subprocess
import sys

import pytest

from roboto_dagster.redaction import RedactingFilter, mask_secrets, register_secret, safe_cause
from tests.waiting import GUARD_SECONDS

SECRET = "s3cr3t/Value+4711=="


@pytest.mark.parametrize(
    "text",
    [
        f"http://user:{SECRET.replace('/', '%2F')}@host:9000/path",
        "https://s3cr3t%2FValue+4711==@host",
        "proxy 'http://user:p@s3cr3t%2FValue+4711==@127.0.0.1:9'",
        f"https://h/k?X-Amz-Signature={SECRET}&x=1",
        f"https://h/k?x=1&X-Amz-Security-Token={SECRET}",
        f"/k?AWSAccessKeyId=AKIA&Signature={SECRET}",
        f"x-amz-security-token:{SECRET}\nx-amz-date:20260101T000000Z",
        f"Authorization: Bearer {SECRET}",
        f"got Bearer {SECRET} here",
        f"{{'X-Amz-Security-Token': b'{SECRET}', 'a': 1}}",
        f"{{'Authorization': 'Bearer {SECRET}'}}",
        f'{{"secret_access_key": "{SECRET}", "session_token": "{SECRET}"}}',
        f"{{'access_key': 'AKIA', 'secret_key': '{SECRET}', 'token': '{SECRET}'}}",
        f"Keys(secret_key='{SECRET}', token='{SECRET}')",
        f"<SecretAccessKey>{SECRET}</SecretAccessKey><SessionToken>{SECRET}</SessionToken>",
        f"aws_secret_access_key = {SECRET}",
    ],
)
def test_a_secret_is_masked_by_its_shape(text: str) -> None:
    """Whatever writes it, a password, signature or token does not stay."""
    masked = mask_secrets(text)
    assert "4711" not in masked
    assert "***" in masked


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/logs/a@b.bag: NOT_FOUND: HTTP 404 NoSuchKey",
        "https://api.roboto.ai/v1/datasets/ds_1/files/query?limit=2",
        "the credential provider's answer is unusable: token is missing",
        "Set ROBOTO_API_KEY, or give RobotoResource an api_key or a profile.",
        "max_connections=3, expiry_time='2026-01-01'",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    """A message loses nothing that is no secret."""
    assert mask_secrets(text) == text


def test_an_error_that_quotes_a_secret_is_not_chained() -> None:
    """A traceback prints every error of the chain as it is."""
    harmless, quoting = ValueError("no such key"), ValueError("http://user:hidden-4711@host/")
    outer = RuntimeError("failed")
    outer.__cause__ = quoting
    assert safe_cause(harmless) is harmless
    assert safe_cause(None) is None
    assert safe_cause(quoting) is None
    assert safe_cause(outer) is None


def record(message: str, *args: object) -> logging.LogRecord:
    """Return a record as a logger makes it."""
    return logging.LogRecord("botocore.auth", logging.DEBUG, __file__, 1, message, args, None)


def test_the_filter_masks_registered_values() -> None:
    """A value in use is masked wherever it stands, and the record is kept."""
    register_secret("plain-text-without-shape")
    entry = record("got %s here", "plain-text-without-shape")
    assert RedactingFilter().filter(entry)
    assert entry.getMessage() == "got *** here"


def test_the_filter_masks_tracebacks() -> None:
    """An error that quotes a URL with a password is logged without it."""
    entry = record("failed")
    error = ValueError("http://user:hidden-4711@host/")
    entry.exc_info = (ValueError, error, None)
    RedactingFilter().filter(entry)
    assert "hidden-4711" not in logging.Formatter().format(entry)
    assert "http://***@host/" in logging.Formatter().format(entry)


def test_an_ordinary_record_is_left_alone() -> None:
    """Its arguments stay as they were, for those who read them."""
    entry = record("%s of %d", "file", 3)
    RedactingFilter().filter(entry)
    assert (entry.msg, entry.args) == ("%s of %d", ("file", 3))


def test_a_record_that_cannot_be_formatted_is_let_through() -> None:
    """A mistake in a library's log call stays that library's."""
    assert RedactingFilter().filter(record("%d", "no number"))


def test_every_module_of_the_libraries_is_filtered_before_it_is_imported() -> None:
    """Loggers that are made later have the filter too; nothing is imported for it."""
    code = (
        "import logging, sys\n"
        "from roboto_dagster.redaction import redact_library_logs\n"
        "before = set(sys.modules)\n"
        "redact_library_logs()\n"
        "assert not any('botocore' in name for name in set(sys.modules) - before)\n"
        "import botocore.auth, botocore.endpoint, botocore.parsers, botocore.utils, botocore.tokens\n"
        "import botocore.retries.standard, urllib3.connectionpool, s3transfer.tasks\n"
        "names = [n for n in logging.root.manager.loggerDict if n.startswith(('botocore', 'urllib3', 's3transfer'))]\n"
        "bare = [n for n in names if not logging.getLogger(n).filters]\n"
        "assert len(names) > 50 and not bare, bare\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=GUARD_SECONDS,
    )
    assert done.returncode == 0, done.stderr

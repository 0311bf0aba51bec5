"""The border to the SDK: whatever escapes it becomes one kind of error, and holds no secret."""

import email.message
import http.client
import io
import json
import socket
import ssl
import urllib.error
from collections.abc import Callable
from typing import Any

import pydantic
import pytest
from roboto.exceptions import (
    ClientError,
    RobotoDomainException,
    RobotoInternalException,
    RobotoInvalidRequestException,
    RobotoNotFoundException,
    RobotoServiceException,
    RobotoUnauthorizedException,
    ServerError,
)
from roboto.http import BearerTokenDecorator, HttpClientOptions, HttpRetryOptions, RobotoClient
from roboto.storage.credentials import RobotoCredentials

from roboto_dagster import ConfigurationError, PlatformError
from roboto_dagster.platform.errors import platform_errors
from roboto_dagster.testing import LocalRoboto, faults

SECRET = "a-session-token-that-nobody-may-see"


def http_error(status: int, body: bytes = b'{"message": "no"}') -> urllib.error.HTTPError:
    """Return what urllib raises for an answer."""
    headers = email.message.Message()
    return urllib.error.HTTPError("http://api/v1", status, "no", headers, io.BytesIO(body))


def raised_by(call: Callable[[], Any]) -> Exception:
    """Return what a call raises."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 -- any
        return error
    raise AssertionError


def bad_record() -> Exception:
    """Return what a malformed record raises, whose text quotes every value."""
    return raised_by(lambda: RobotoCredentials.model_validate({"session_token": SECRET}))


def translated(error: Exception) -> PlatformError:
    """Return what `platform_errors` makes of an error."""
    with pytest.raises(PlatformError) as caught, platform_errors("listing the files of ds_1"):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "status", "transient"),
    [
        pytest.param(RobotoNotFoundException("no ds_1"), 404, False, id="not-found"),
        pytest.param(RobotoUnauthorizedException("who?"), 401, False, id="unauthorized"),
        pytest.param(RobotoInvalidRequestException("bad"), 400, False, id="invalid"),
        pytest.param(RobotoInternalException("oops"), 500, True, id="internal"),
        pytest.param(RobotoServiceException("oops"), 500, True, id="service"),
        pytest.param(ClientError(http_error(429)), 429, True, id="raw-429"),
        pytest.param(ClientError(http_error(410)), 410, False, id="raw-410"),
        pytest.param(ServerError(http_error(503)), 503, True, id="raw-503"),
        pytest.param(http_error(502), 502, True, id="urllib"),
    ],
)
def test_answers_keep_their_status(error: Exception, status: int, *, transient: bool) -> None:
    """The status of an answer is known, and decides whether a retry may help."""
    failure = translated(error)
    assert (failure.http_status, failure.transient) == (status, transient)
    assert str(failure).startswith(f"listing the files of ds_1: the Roboto API answered {status}: ")


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ConnectionRefusedError("Couldn't connect to endpoint"), id="refused"),
        pytest.param(urllib.error.URLError(socket.gaierror(-2, "unknown name")), id="dns"),
        pytest.param(TimeoutError("timed out"), id="timeout"),
        pytest.param(http.client.RemoteDisconnected("closed"), id="disconnected"),
        pytest.param(http.client.IncompleteRead(b"x", 5), id="cut"),
        pytest.param(ConnectionResetError(104, "reset"), id="reset"),
    ],
)
def test_no_answer_is_retryable(error: Exception) -> None:
    """Where nothing was answered, a retry may help, and the endpoint is worth a look."""
    failure = translated(error)
    assert (failure.http_status, failure.transient) == (None, True)
    assert str(failure).endswith("Check the endpoint and the network.")


def test_a_rejected_certificate_is_not_retryable() -> None:
    """A certificate that is not accepted now will not be accepted a moment later."""
    reason = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
    assert not translated(urllib.error.URLError(reason)).transient


@pytest.mark.parametrize(
    ("error", "shape", "transient"),
    [
        pytest.param(
            raised_by(lambda: json.loads(f"<html>{SECRET}")), "not JSON", True, id="not-json"
        ),
        pytest.param(KeyError(SECRET), "KeyError", False, id="missing-key"),
        pytest.param(TypeError(f"unexpected {SECRET}"), "TypeError", False, id="unknown-field"),
        pytest.param(ValueError(f"Invalid header {SECRET}"), "ValueError", False, id="bad-header"),
        pytest.param(bad_record(), "access_key_id: missing", False, id="bad-record"),
        pytest.param(RuntimeError(SECRET), "RuntimeError", False, id="any"),
    ],
)
def test_nonsense_is_described_by_its_shape(
    error: Exception, shape: str, *, transient: bool
) -> None:
    """A malformed answer is described by its shape; its values may be credentials."""
    failure = translated(error)
    assert (shape in str(failure), SECRET in repr(failure)) == (True, False)
    assert (failure.transient, failure.__cause__) == (transient, None)


def test_our_own_errors_pass() -> None:
    """An error that is ours already is not wrapped again."""
    error = ConfigurationError("no such file")
    with pytest.raises(ConfigurationError) as caught, platform_errors("doing"):
        raise error
    assert caught.value is error


def test_an_interrupt_passes() -> None:
    """Ctrl-C is nobody's answer."""
    with pytest.raises(KeyboardInterrupt), platform_errors("doing"):
        raise KeyboardInterrupt


def test_long_texts_are_cut() -> None:
    """A page of HTML does not fill the log: its first line will do."""
    failure = translated(RobotoDomainException("x" * 10_000 + "\nmore"))
    assert len(str(failure)) < 500


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(faults.status(500), id="500"),
        pytest.param(faults.status(429), id="429"),
        pytest.param(faults.answer("<html>proxy</html>"), id="html"),
        pytest.param(faults.answer("<html>proxy</html>", status=502), id="html-502"),
        pytest.param(faults.answer(b"\xff\xfe\x00", status=500), id="binary-500"),
        pytest.param(faults.answer_json([]), id="a-list"),
        pytest.param(
            faults.answer(
                '{"error": {"error_code": "RobotoNotFoundException", "message": "m", "x": 1}}',
                status=404,
                content_type="application/json",
            ),
            id="unknown-field-in-error",
        ),
        pytest.param(faults.refuse(), id="reset"),
        pytest.param(faults.truncate(after_bytes=5), id="cut"),
    ],
)
def test_the_real_sdk_lets_nothing_else_through(local: LocalRoboto, fault: faults.Fault) -> None:
    """Faults on the wire, through the unchanged SDK, end as this one error without the key."""
    from roboto import Dataset

    dataset_id = local.add_dataset()
    local.faults.add(fault, service="api")
    with pytest.raises(PlatformError) as caught, platform_errors("asking"):
        Dataset.from_id(dataset_id, local.client(max_attempts=1))
    assert local.api_key not in repr(caught.value)


def test_a_key_with_a_line_break_is_not_quoted(local: LocalRoboto) -> None:
    """http.client quotes a bad header in its error; the API key is in that header."""
    options = HttpClientOptions(retry=HttpRetryOptions(max_attempts=1))
    client = RobotoClient(local.api_url, BearerTokenDecorator(f"{SECRET}\n"), {"options": options})
    with pytest.raises(PlatformError) as caught, platform_errors("asking"):
        client.get("v1/datasets/ds_1")
    assert SECRET not in repr(caught.value)


def test_pydantic_errors_name_the_fields() -> None:
    """Of a bad record the first five fields are named, and their number."""

    class Record(pydantic.BaseModel):
        size: int
        name: str

    failure = translated(raised_by(lambda: Record.model_validate({"size": SECRET})))
    assert "2 bad fields (size: int_parsing, name: missing)" in str(failure)

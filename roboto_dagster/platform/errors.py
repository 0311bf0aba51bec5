"""The one place where errors of the Roboto SDK become ours.

Besides its own exceptions the SDK lets those of urllib, http.client, json and pydantic escape
(`roboto.http.http_client`), so all of them are caught here, at the border.
"""

import contextlib
import http.client
import json
import ssl
import urllib.error
from collections.abc import Iterator

from roboto_dagster.errors import PlatformError, RobotoDagsterError

_TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


@contextlib.contextmanager
def platform_errors(doing: str) -> Iterator[None]:
    """Turns whatever the SDK raises in the body into a `PlatformError`.

    The original is not chained: errors of validation and of parsing quote the answer, which may
    hold credentials.

    Args:
        doing: What the body does, to begin the message with: "listing the files of ds_1".

    Raises:
        PlatformError: The body failed; `transient` tells whether a retry may help.
    """
    try:
        yield
    except RobotoDagsterError:
        raise
    except Exception as error:  # noqa: BLE001 -- the border: the SDK documents no closed set of errors
        raise _platform_error(doing, error) from None


def _platform_error(doing: str, error: Exception) -> PlatformError:
    status = _http_status(error)
    if status is not None:
        message = (
            f"{doing}: the Roboto API answered {status}: {_first_line(error)}. {_advice(status)}"
        )
        return PlatformError(message, status in _TRANSIENT_STATUSES, status)
    if isinstance(error, (urllib.error.URLError, OSError, http.client.HTTPException)):
        reason = getattr(error, "reason", None) or _first_line(error)
        message = f"{doing}: the Roboto API cannot be reached: {reason}. Check the endpoint and the network."
        return PlatformError(message, not isinstance(reason, ssl.SSLCertVerificationError))
    message = f"{doing}: the Roboto API answered something unusable: {_shape_of(error)}. Check the endpoint."
    return PlatformError(message, isinstance(error, json.JSONDecodeError))


def _http_status(error: Exception) -> int | None:
    """Finds the status that an SDK error stands for; its classes carry it in one of two ways."""
    for name in ("http_status_code", "status"):
        value = getattr(error, name, None)
        if isinstance(value, int):
            return value
    return None


def _advice(status: int) -> str:
    if status in (401, 403):
        return "Check ROBOTO_API_KEY and that its owner may see this."
    if status == 404:
        return "Check the id, the endpoint and the organization."
    if status in _TRANSIENT_STATUSES:
        return "Run it again later."
    return "Check the request's settings."


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")[:300]


def _shape_of(error: Exception) -> str:
    """Describes a malformed answer by its shape alone, never by its values."""
    errors = getattr(error, "errors", None)
    if callable(errors):  # pydantic.ValidationError: its text would quote the values
        fields = [
            ".".join(str(part) for part in each["loc"]) + ": " + each["type"] for each in errors()
        ]
        return f"{len(fields)} bad fields ({', '.join(fields[:5])})"
    if isinstance(error, json.JSONDecodeError):
        return "not JSON"
    return type(error).__name__

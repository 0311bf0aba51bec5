"""The one place where errors of the Roboto SDK become ours.

Besides its own exceptions the SDK lets those of urllib, http.client, json and pydantic escape
(`roboto.http.http_client`), so all of them are caught here, at the border.
"""

import contextlib
import http.client
import json
import ssl
import urllib.error
import urllib.parse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from roboto_dagster.errors import PlatformError, RobotoDagsterError

if TYPE_CHECKING:
    from roboto import RobotoClient

STATUS_HEADER = "X-Roboto-Dagster-Status"
"""Added by our transport to the headers of an error: the SDK's classes keep only the kind of a status."""

FOREIGN_HEADER = "X-Roboto-Dagster-Foreign"
"""Added too: `True` if the body is not an error of the Roboto API. Another server's 404 is no
evidence of what exists on the platform, and must not cause any removal.
"""

_NOT_FOUND = 404
_TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_MAX_TEXT = 300


@contextlib.contextmanager
def platform_errors(doing: str, client: "RobotoClient | None" = None) -> Iterator[None]:
    """Turn whatever the SDK raises in the body into a `PlatformError`.

    The original is not chained: errors of validation and of parsing quote the answer, which may
    hold credentials, and the message has everything else that they have.

    Args:
        doing: What the body does, which starts the message: "listing the files of ds_1".
        client: The client in use, whose endpoint the message names. Default None: it is not named.

    Raises:
        PlatformError: The body failed; `transient` is whether a retry may help.
    """
    try:
        yield
    except RobotoDagsterError:
        raise
    except Exception as error:  # noqa: BLE001 -- the border: the SDK documents no closed set of errors
        raise _platform_error(doing, error, _endpoint(client)) from None


def shape_of(error: Exception) -> str:
    """Describe a malformed text by its shape alone, never by its values.

    Args:
        error: What parsing or validating it raised.
    """
    errors = getattr(error, "errors", None)
    if callable(errors):  # pydantic.ValidationError: its text would quote the values
        fields = [
            ".".join(str(part) for part in each["loc"]) + ": " + each["type"] for each in errors()
        ]
        count = "1 bad field" if len(fields) == 1 else f"{len(fields)} bad fields"
        return f"{count} ({', '.join(fields[:5])})"
    if isinstance(error, json.JSONDecodeError):
        return "not JSON"
    return type(error).__name__


def _endpoint(client: "RobotoClient | None") -> str:
    """Name the endpoint and what set it, as far as it is known."""
    url = getattr(client, "endpoint", None)
    if not isinstance(url, str):
        return "the endpoint"
    source = getattr(client, "endpoint_source", None)
    return f"the endpoint {url} (set by {source})" if source else f"the endpoint {url}"


def _platform_error(doing: str, error: Exception, endpoint: str) -> PlatformError:
    status = _http_status(error)
    if status is not None:
        return _from_answer(doing, error, status, endpoint)
    if isinstance(error, (urllib.error.URLError, OSError, http.client.HTTPException)):
        reason = getattr(error, "reason", None) or _first_line(error)
        message = f"{doing}: the Roboto API cannot be reached: {reason}. Check {endpoint} and the network."
        return PlatformError(message, not isinstance(reason, ssl.SSLCertVerificationError))
    if isinstance(error, json.JSONDecodeError):
        message = f"{doing}: what answers is not the Roboto API: the answer is not JSON. Check {endpoint}."
        return PlatformError(message, transient=True)
    message = (
        f"{doing}: the Roboto API gave an unusable answer: {shape_of(error)}. Check {endpoint}."
    )
    return PlatformError(message)


def _from_answer(doing: str, error: Exception, status: int, endpoint: str) -> PlatformError:
    transient = status in _TRANSIENT_STATUSES
    if 300 <= status < 400:
        target = _redirect_target(error)
        message = (
            f"{doing}: the Roboto API answered {status}: it redirects to {target}, where the API key is not sent. "
            f"Correct {endpoint}."
        )
    elif _is_foreign(error, status) and not transient:
        message = (
            f"{doing}: what answers is not the Roboto API: HTTP {status} with {_text_of(error)}. "
            f"Check {endpoint}."
        )
        return PlatformError(message, transient, None if status == _NOT_FOUND else status)
    else:
        message = f"{doing}: the Roboto API answered {status}: {_text_of(error)}. {_advice(status, endpoint)}"
    return PlatformError(message, transient, status)


def _is_foreign(error: Exception, status: int) -> bool:
    """Return whether another server than the API has answered, as far as that can be seen."""
    if _is_page(error):
        return True
    return status == _NOT_FOUND and _header(error, FOREIGN_HEADER) == "True"


def _is_page(error: Exception) -> bool:
    return _first_line(error).startswith("<")


def _text_of(error: Exception) -> str:
    return "a page of HTML or XML" if _is_page(error) else _first_line(error)


def _header(error: Exception, name: str) -> str:
    """Return a header of the answer that an SDK error stands for, or nothing."""
    headers = getattr(error, "headers", None) or {}
    found = [str(value) for key, value in dict(headers).items() if str(key).lower() == name.lower()]
    return found[0] if found else ""


def _redirect_target(error: Exception) -> str:
    """Return the origin of a redirect's target; its path and query may hold anything."""
    try:
        parts = urllib.parse.urlsplit(_header(error, "Location"))
    except ValueError:
        return "another address"
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else "another path"


def _http_status(error: Exception) -> int | None:
    """Find the status that an SDK error stands for; its classes carry it in one of several ways."""
    exact = _header(error, STATUS_HEADER)
    if exact.isdecimal():
        return int(exact)
    for name in ("http_status_code", "status", "code"):
        value = getattr(error, name, None)
        if isinstance(value, int):
            return int(value)
    return None


def _advice(status: int, endpoint: str) -> str:
    if status in (401, 403):
        return f"Check ROBOTO_API_KEY, that its owner may see this, and {endpoint}."
    if status == 404:
        return f"Check the id, the organization and {endpoint}."
    if status in _TRANSIENT_STATUSES:
        return f"Run it again later; this was {endpoint}."
    return f"Check the request's settings and {endpoint}."


def _first_line(error: Exception) -> str:
    first: object = error.args[0] if error.args else None
    message = (
        first.get("message") if isinstance(first, dict) else None
    )  # the body of an error, parsed
    text = str(message or error).strip().strip("'\"") or type(error).__name__
    return text.splitlines()[0].rstrip(".")[:_MAX_TEXT]

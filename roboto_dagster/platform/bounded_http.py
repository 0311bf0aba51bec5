"""Sends requests over connections that are kept alive; follows no redirect, and repeats nothing.

Proxies are those of the environment, as with urllib (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`); certificates are
checked as the SDK does it (the system's, or `SSL_CERT_FILE` and `SSL_CERT_DIR`).
"""

import contextlib
import functools
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import urllib3
from roboto.http.tls import https_ssl_context

from roboto_dagster.platform.connections import HttpPool, HttpsPool
from roboto_dagster.platform.waits import Waits

MAX_CONNECTIONS = 32
"""So many connections at most are open; another thread waits for one."""


class BoundedHttp:
    """Sends requests to one endpoint, for any number of threads; in a forked process over connections of its own.

    Args:
        endpoint: URL of the API.
        waits: Ends the waits for answers.
    """

    def __init__(self, endpoint: str, waits: Waits) -> None:
        self._endpoint = endpoint
        self._waits = waits
        self._process_id = os.getpid()
        self._pools = _make_pools(endpoint, waits)

    @contextlib.contextmanager
    def open(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None,
        headers: Mapping[str, str],
        timeout_seconds: float | None,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """Send a request, and give the body the answer, of whatever status.

        Args:
            method: The HTTP method.
            url: What is asked.
            body: What is sent with it, if anything.
            headers: Headers of the request.
            timeout_seconds: Bound on waiting for a connection or for the next bytes; None for none.

        Raises:
            OSError: There is no answer, or not all of it, or the waits were ended; `urllib.error.URLError` where no
                connection was made.
            http.client.HTTPException: What came is no answer, or not all of it.
        """
        self._waits.check()
        with _translated():
            answer = self._own_pools().urlopen(
                method,
                url,
                body=body,
                headers=dict(headers),
                timeout=urllib3.Timeout(connect=timeout_seconds, read=timeout_seconds),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            try:
                yield answer
            finally:  # one that was read to its end has let go of its connection already
                answer.close()
                answer.release_conn()

    def _own_pools(self) -> urllib3.PoolManager:
        """Return the pools of this process: a forked one must not write to its parent's connections."""
        if self._process_id != os.getpid():
            self._pools = _make_pools(self._endpoint, self._waits)
            self._process_id = os.getpid()
        return self._pools


def _make_pools(endpoint: str, waits: Waits) -> urllib3.PoolManager:
    parts = urllib.parse.urlsplit(endpoint)
    settings: dict[str, Any] = {"num_pools": 4, "maxsize": MAX_CONNECTIONS, "block": True}
    settings["ssl_context"] = https_ssl_context() if parts.scheme == "https" else None
    proxy = urllib.request.getproxies().get(parts.scheme)
    pools = (
        urllib3.PoolManager(**settings)
        if not proxy or urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2])
        else urllib3.ProxyManager(**_proxy_settings(proxy), **settings)
    )
    # What a pool does not know it hands to its connections. Only called, so that these need not be classes.
    makers: Any = {
        "http": functools.partial(HttpPool, waits=waits),
        "https": functools.partial(HttpsPool, waits=waits),
    }
    pools.pool_classes_by_scheme = makers
    return pools


def _proxy_settings(proxy: str) -> dict[str, Any]:
    """Read a proxy as urllib does: the scheme may be missing, and user and password go into a header."""
    url = urllib3.util.parse_url(proxy if "://" in proxy else f"http://{proxy}")
    user = urllib.parse.unquote(url.auth) if url.auth else None
    headers = urllib3.make_headers(proxy_basic_auth=user) if user else None
    return {"proxy_url": url._replace(auth=None).url, "proxy_headers": headers}


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn errors of urllib3 into those of the standard library, which the SDK's policy and our messages know."""
    try:
        yield
    except urllib3.exceptions.HTTPError as error:
        raise _standard_error(error) from None


def _standard_error(error: urllib3.exceptions.HTTPError) -> Exception:
    cause = _root_of(error)
    if isinstance(error, urllib3.exceptions.TimeoutError):
        late = isinstance(cause, TimeoutError) and "in all" in str(cause)
        return TimeoutError(str(cause) if late else "timed out")
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return cause if isinstance(cause, Exception) else ConnectionError(str(error))
    return urllib.error.URLError(cause if isinstance(cause, OSError) else str(error))


def _root_of(error: BaseException) -> BaseException:
    """Return what urllib3 has wrapped, once or several times."""
    wrapped = [each for each in error.args if isinstance(each, BaseException)]
    root = next(iter(wrapped), None) or error.__cause__
    is_ours = not isinstance(error, urllib3.exceptions.HTTPError)
    return error if is_ours or root is None else _root_of(root)

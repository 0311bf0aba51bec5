"""What errors of libcurl mean."""

import pycurl
import pytest

from roboto_dagster.fs.curl.errors import from_curl


@pytest.mark.parametrize(
    ("number", "message", "code", "remedy"),
    [
        (pycurl.E_COULDNT_RESOLVE_HOST, "Could not resolve host: x", "CONNECTION", "retry"),
        (pycurl.E_COULDNT_CONNECT, "refused", "CONNECTION", "retry"),
        (pycurl.E_OPERATION_TIMEDOUT, "Connection timed out", "CONNECTION", "retry"),
        (pycurl.E_PARTIAL_FILE, "end of response with 5 bytes missing", "CONNECTION", "retry"),
        (pycurl.E_RECV_ERROR, "reset by peer", "CONNECTION", "retry"),
        (pycurl.E_GOT_NOTHING, "Empty reply", "CONNECTION", "retry"),
        (pycurl.E_PEER_FAILED_VERIFICATION, "self-signed certificate", "TLS", "fail"),
        (pycurl.E_SSL_CACERT_BADFILE, "no such file", "TLS", "fail"),
        (pycurl.E_SSL_CONNECT_ERROR, "error:0A00010B:wrong version number", "TLS", "fail"),
        (pycurl.E_SSL_CONNECT_ERROR, "unexpected eof while reading", "CONNECTION", "retry"),
        (pycurl.E_OUT_OF_MEMORY, "", "UNEXPECTED", "fail"),
    ],
)
def test_an_error_of_libcurl_has_a_code(number: int, message: str, code: str, remedy: str) -> None:
    """Networks are retried; a certificate or a bug is not."""
    failure = from_curl(number, message)
    assert (failure.code, failure.remedy) == (code, remedy)
    assert f"libcurl {number}" in failure.reason


def test_a_proxys_password_is_not_shown() -> None:
    """The text of libcurl may quote the proxy's URL."""
    proxy = "http://me:hidden@proxy:3128"
    assert "hidden" not in from_curl(5, f"Could not resolve proxy: {proxy}", proxy).reason

"""The one place where libcurl's errors become failures."""

import pycurl

from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.response import plain_text

_TLS = frozenset(
    {
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CACERT_BADFILE,
        pycurl.E_SSL_CERTPROBLEM,
        pycurl.E_SSL_CIPHER,
        pycurl.E_SSL_ISSUER_ERROR,
        pycurl.E_SSL_CRL_BADFILE,
        pycurl.E_SSL_INVALIDCERTSTATUS,
        pycurl.E_SSL_PINNEDPUBKEYNOTMATCH,
    }
)
# OpenSSL's texts when the connection broke in the middle of a handshake: that is retried.
_BROKEN_HANDSHAKE = ("unexpected eof", "SYSCALL", "reset", "Connection was")
_NOT_OF_THE_NETWORK = frozenset(
    {
        pycurl.E_FAILED_INIT,
        pycurl.E_OUT_OF_MEMORY,
        pycurl.E_URL_MALFORMAT,
        pycurl.E_BAD_FUNCTION_ARGUMENT,
        pycurl.E_UNKNOWN_OPTION,
        pycurl.E_NOT_BUILT_IN,
    }
)


def from_curl(number: int, message: str, proxy: str = "") -> Failure:
    """Translate an error of libcurl.

    Args:
        number: libcurl's `CURLcode`.
        message: libcurl's text.
        proxy: The proxy's URL: its password is kept out of the text.
    """
    text = message.replace(proxy, "the proxy") if proxy else message
    reason = f"{plain_text(text, 300) or 'no answer'} (libcurl {number})"
    cause = pycurl.error(number, reason)
    if number in _TLS or (
        number == pycurl.E_SSL_CONNECT_ERROR and not any(part in text for part in _BROKEN_HANDSHAKE)
    ):
        return Failure(code="TLS", reason=reason, remedy="fail", cause=cause)
    if number in _NOT_OF_THE_NETWORK:
        return Failure(code="UNEXPECTED", reason=reason, remedy="fail", cause=cause)
    return Failure(code="CONNECTION", reason=reason, cause=cause)

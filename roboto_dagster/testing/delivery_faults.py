"""Faults in the way a response travels: late, slow, cut, framed wrongly, or with a wrong bit."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from roboto_dagster.testing.request_log import asked_range
from roboto_dagster.testing.rules import Fault
from roboto_dagster.testing.server.content import BitFlipped, Window
from roboto_dagster.testing.server.messages import Delivery, Request, Response


def delivered(
    *, cut_after: int | None = None, cut: Literal["close", "reset"] = "close"
) -> Callable[[Request, Response], Response]:
    """Return what cuts a response.

    Args:
        cut_after: After how many bytes of the body; None for not at all.
        cut: How the connection ends then: closed, or reset (RST).
    """
    return _deliver(lambda delivery: replace(delivery, cut_after=cut_after, cut=cut))


def _deliver(change: Callable[[Delivery], Delivery]) -> Callable[[Request, Response], Response]:
    return lambda _, response: replace(response, delivery=change(response.delivery))


def delay(seconds: float) -> Fault:
    """Wait before the first byte of the answer."""
    return Fault(
        name="delay", after=_deliver(lambda delivery: replace(delivery, delay_seconds=seconds))
    )


def truncate(*, after_bytes: int) -> Fault:
    """Close the connection after so many bytes of a body whose Content-Length promised more."""
    return Fault(name="truncate", after=delivered(cut_after=after_bytes))


def reset(*, after_bytes: int) -> Fault:
    """Reset the connection (RST) after so many bytes of the body."""
    return Fault(name="reset", after=delivered(cut_after=after_bytes, cut="reset"))


def stall(*, after_bytes: int, seconds: float) -> Fault:
    """Send nothing for a while in the middle of the body, then go on.

    Args:
        after_bytes: How many bytes of the body are sent before.
        seconds: For how long nothing is sent.
    """
    return Fault(
        name="stall",
        after=_deliver(
            lambda delivery: replace(delivery, stall_after=after_bytes, stall_seconds=seconds)
        ),
    )


def trickle(*, bytes_per_second: float) -> Fault:
    """Send the body no faster than this."""
    return Fault(
        name="trickle",
        after=_deliver(lambda delivery: replace(delivery, bytes_per_second=bytes_per_second)),
    )


def content_length(length: int) -> Fault:
    """Claim this Content-Length whatever the body is; too few bytes end with the connection."""
    return Fault(
        name="content_length",
        after=_deliver(lambda delivery: replace(delivery, declared_length=length)),
    )


def no_content_length() -> Fault:
    """Send no Content-Length; the body ends where the connection does."""
    return Fault(
        name="no_content_length",
        after=_deliver(lambda delivery: replace(delivery, framing="close")),
    )


def chunked() -> Fault:
    """Send the body in chunks, without a Content-Length."""
    return Fault(
        name="chunked", after=_deliver(lambda delivery: replace(delivery, framing="chunked"))
    )


def close_idle() -> Fault:
    """Close the connection after the answer without having announced it, as idle ones are closed."""
    return Fault(
        name="close_idle", after=_deliver(lambda delivery: replace(delivery, close_after=True))
    )


def short_body(*, size_bytes: int) -> Fault:
    """Send only the first bytes of the body, and a Content-Length that fits them."""

    def shorten(_: Request, response: Response) -> Response:
        return replace(response, body=Window(response.body, 0, min(size_bytes, len(response.body))))

    return Fault(name="short_body", after=shorten)


def flip_bit(*, at: int) -> Fault:
    """Change one bit of the object's byte *at*, in the answers that hold it."""

    def flip(_: Request, response: Response) -> Response:
        started = re.match(r"bytes (\d+)-", _header(response, "content-range") or "")
        offset = at - int(started.group(1)) if started else at
        return replace(response, body=BitFlipped(response.body, offset))

    return Fault(name="flip_bit", after=flip, applies=lambda request: _covers(request, at))


def _covers(request: Request, at: int) -> bool:
    asked = asked_range(request)
    return request.method == "GET" and (asked is None or asked[0] <= at <= asked[1])


def _header(response: Response, name: str) -> str | None:
    return next((value for key, value in response.headers.items() if key.lower() == name), None)

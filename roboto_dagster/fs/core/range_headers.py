"""How a range of one version of an object is asked for. Pure."""

from typing import NamedTuple

from roboto_dagster.fs.core.download import RangeRequest


class RangeHeaders(NamedTuple):
    """The values of the headers of a request for a range.

    Attributes:
        range: Of `Range`: which bytes.
        if_match: Of `If-Match`: the version that the other ranges are of.
    """

    range: str
    if_match: str


def range_headers(request: RangeRequest) -> RangeHeaders | None:
    """Return how to ask for a range; None for the initial stream, which is a plain GET.

    Args:
        request: What is to be sent.
    """
    if request.is_initial:
        return None
    byte_range = f"bytes={request.position}-{request.stop - 1}"
    return RangeHeaders(byte_range, f'"{request.download.facts.etag}"')

"""Draws the throughput of a run as a small SVG that Dagster's UI shows as it is.

The UI renders Markdown in place only below 1,000 characters, and of images only those of a `data:`
address or of a server; else it hides them behind a link. So the drawing is written as tersely as SVG
allows, and its colours suit the light and the dark theme.
"""

import base64
from collections.abc import Sequence

from roboto_dagster.sync.report import Timeline, duration_text

MAX_CHARACTERS = 999
"""Longer Markdown is not shown in place."""

_WIDTH, _HEIGHT, _TOP = 320, 80, 16


def throughput_markdown(timeline: Timeline, mean_mib_s: float) -> str:
    """Return a chart of MiB/s over time, and a line with the same in words.

    Args:
        timeline: The bytes that arrived, by time.
        mean_mib_s: The throughput of all attempts together.

    Returns:
        Markdown, short enough to be shown in place.
    """
    words = f"mean {mean_mib_s:.1f} MiB/s, peak {timeline.peak_mib_s:.1f} MiB/s"
    heights = _heights(timeline.bytes_by_step)
    while len(markdown := _markdown(heights, timeline, words)) > MAX_CHARACTERS:
        heights = [max(pair) for pair in zip(heights[::2], [*heights[1::2], 0], strict=False)]
    return markdown


def _heights(values: Sequence[int]) -> list[int]:
    """Scale to the height of the chart; a step in which more was thrown away than arrived counts as 0."""
    peak = max(*values, 1, 1)
    return [round(max(value, 0) * _HEIGHT / peak) for value in values] or [0]


def _markdown(heights: Sequence[int], timeline: Timeline, words: str) -> str:
    image = base64.b64encode(_svg(heights, timeline).encode()).decode()
    return f"![Throughput](data:image/svg+xml;base64,{image})\n\n{words}"


def _svg(heights: Sequence[int], timeline: Timeline) -> str:
    bottom = _TOP + _HEIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{bottom + 18}">'
        f'<path fill="#7c7cf0" transform="scale({_WIDTH / len(heights):.3g} 1)" d="{_outline(heights, bottom)}"/>'
        f'<path stroke="#889" d="M0 {bottom}h{_WIDTH}"/>'
        '<g fill="#889" font-family="sans-serif" font-size="11">'
        f'<text y="11">{timeline.peak_mib_s:.0f} MiB/s</text><text y="{bottom + 14}">0 s</text>'
        f'<text x="{_WIDTH}" y="{bottom + 14}" text-anchor="end">{duration_text(timeline.duration_seconds)}</text>'
        "</g></svg>"
    )


def _outline(heights: Sequence[int], bottom: int) -> str:
    """Return the path of an area in steps, each of them one unit wide."""
    path, last = [f"M0 {bottom}"], 0
    for height in heights:
        path.append(f"v{last - height}h1" if height != last else "h1")
        last = height
    return "".join([*path, f"V{bottom}z"])

"""The chart of a run: an image that Dagster's UI shows in place."""

import base64
import random
import re
from xml.etree import ElementTree as ET

from roboto_dagster.chart import MAX_CHARACTERS, throughput_markdown
from roboto_dagster.fs.core.settings import MIB
from roboto_dagster.sync.report import Timeline


def drawing(markdown: str) -> ET.Element:
    """Return the SVG inside an image of Markdown."""
    found = re.match(r"!\[Throughput\]\(data:image/svg\+xml;base64,([^)]+)\)", markdown)
    assert found is not None
    return ET.fromstring(base64.b64decode(found[1]))  # noqa: S314 -- our own


def test_the_chart_has_its_numbers_in_words() -> None:
    """Who cannot see the picture reads the same."""
    timeline = Timeline(step_seconds=0.5, bytes_by_step=(MIB, 3 * MIB))
    assert throughput_markdown(timeline, 4.0).endswith("mean 4.0 MiB/s, peak 6.0 MiB/s")


def test_the_chart_is_drawn_to_its_peak() -> None:
    """The fullest step is as high as the chart, half as much is half as high."""
    timeline = Timeline(step_seconds=1.0, bytes_by_step=(50, 100, 0))
    area = drawing(throughput_markdown(timeline, 1.0))[0]
    assert area.attrib["d"] == "M0 96v-40h1v-40h1v80h1V96z"


def test_what_was_taken_back_is_not_drawn_below_the_ground() -> None:
    """A step with less than nothing is one with nothing."""
    timeline = Timeline(step_seconds=1.0, bytes_by_step=(-50, 100))
    area = drawing(throughput_markdown(timeline, 1.0))[0]
    assert area.attrib["d"] == "M0 96h1v-80h1V96z"


def test_any_chart_is_short_enough_to_be_shown_in_place() -> None:
    """Dagster hides longer Markdown behind a link; the wildest run has to stay below."""
    dice = random.Random(7)  # noqa: S311 -- no secret
    for _ in range(50):
        wild = tuple(dice.randrange(10**14) for _ in range(64))
        markdown = throughput_markdown(Timeline(step_seconds=12345.6, bytes_by_step=wild), 98765.4)
        assert len(markdown) <= MAX_CHARACTERS
        drawing(markdown)


def test_a_run_without_steps_can_be_drawn() -> None:
    """A foreign store may never report what arrived."""
    assert drawing(throughput_markdown(Timeline(), 1.0)) is not None

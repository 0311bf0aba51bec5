"""How much memory decoding takes where messages are large, or many topics have large ones."""

import json
import pathlib
import subprocess
import sys

import pytest

from benchmarks.topics.cases import OURS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="Linux has it"),
]


def run(module: str, *arguments: object) -> str:
    """Run a module as a process of its own, whose memory is not the tests'; return its output."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("cameras", "frames", "size_bytes"),
    [(1, 2, 60_000_000), (6, 2, 20_000_000)],
    ids=["one-of-60-MB", "six-of-20-MB"],
)
def test_large_messages_fit(
    tmp_path: pathlib.Path, cameras: int, frames: int, size_bytes: int
) -> None:
    """Neither their copies nor the pages of their tables are kept beside each other."""
    log = tmp_path / "a.mcap"
    run("tests.topics.image_log", log, cameras, frames, size_bytes)
    found = json.loads(run("benchmarks.topics.contender", "images", OURS, log, tmp_path / "topics"))
    assert found["rows"] == (cameras + 1) * frames
    assert found["rss_bytes"] // 1024**2 <= 400

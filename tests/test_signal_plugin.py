"""The tests can be interrupted where they run in the background."""

import pathlib
import signal
from collections.abc import Iterator

import pytest

from tests.pytest_runs import run_pytest


@pytest.fixture
def _background() -> Iterator[None]:
    """What a shell does to a job of the background; processes that are started inherit it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_background")
def test_sigint_is_not_ignored_in_the_background(tmp_path: pathlib.Path) -> None:
    """What a test starts and interrupts ends."""
    (tmp_path / "test_it.py").write_text(
        "import signal\n"
        "def test(): assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
    )
    passed, output = run_pytest(tmp_path, "tests.signal_plugin", ci=False)
    assert passed, output

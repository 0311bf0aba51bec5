"""Seeded histories of the core against a store that answers by random rules.

After each: the published bytes are one version, every file has one outcome, the verdict is honest, requests are
bounded, nothing verified is asked for again, and where too little went wrong by chance every file arrived.
`ROBOTO_HISTORIES` sets how many; `.ci/run` plays more than `make test`.
"""

import os
import pathlib
import random
import shutil
import tempfile

import hypothesis
import hypothesis.strategies
import pytest

from tests.simulation.history import CoreHistory

HISTORIES = int(os.environ.get("ROBOTO_HISTORIES", "4000"))
FIRST = int(os.environ.get("ROBOTO_FIRST_HISTORY", "0"))
LATE = (4389, 4390, 5996, 5997)
"""Histories that alone, of ten thousand, found a fault that was put into the code."""
SEEDS = sorted({*range(FIRST, FIRST + HISTORIES), *LATE})
BLOCKS = 10


def play(dice: random.Random, name: str, folder: pathlib.Path) -> None:
    """Plays one history, and prints what happened in it if it breaks a promise.

    Args:
        dice: Draws everything.
        name: What repeats it.
        folder: An empty folder.
    """
    history = CoreHistory(dice, folder)
    try:
        history.play()
    except BaseException:
        print(f"{name}\n{history}")  # noqa: T201 - to repeat it
        raise


@pytest.mark.parametrize(
    "block", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, BLOCKS))]
)
def test_histories_keep_the_promises(block: int, tmp_path: pathlib.Path) -> None:
    """Whatever a store does, a file is one version, or a failure with a name."""
    for seed in SEEDS[block::BLOCKS]:
        folder = tmp_path / str(seed)
        folder.mkdir()
        play(random.Random(seed), f"ROBOTO_FIRST_HISTORY={seed}", folder)  # noqa: S311 - dice
        shutil.rmtree(folder)


@hypothesis.given(dice=hypothesis.strategies.randoms(use_true_random=False))
@hypothesis.settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_a_broken_promise_shrinks(dice: random.Random) -> None:
    """The same histories, drawn by hypothesis: one that fails is shrunk to the shortest that does."""
    with tempfile.TemporaryDirectory() as folder:
        play(dice, "drawn by hypothesis", pathlib.Path(folder))

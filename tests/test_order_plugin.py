"""The order in which the tests run."""

import dataclasses
import itertools
import pathlib

import pytest

from tests.order_plugin import shuffled
from tests.pytest_runs import run_pytest


@dataclasses.dataclass(frozen=True)
class Item:
    """What the order depends on."""

    path: pathlib.PurePosixPath
    nodeid: str


ITEMS = [
    Item(pathlib.PurePosixPath(f"test_{file}.py"), f"test_{file}.py::test_{number}")
    for file in "abcdefgh"
    for number in range(8)
]


@pytest.mark.parametrize("seed", ["1", "2"])
def test_a_seed_repeats_its_order(seed: str) -> None:
    """Each seed has an order of its own, whatever the order before."""
    order = sorted(ITEMS, key=shuffled(seed))
    backwards = ITEMS[::-1]
    backwards.sort(key=shuffled(seed))
    other = sorted(ITEMS, key=shuffled("3"))
    assert order == backwards
    assert order not in (other, ITEMS)


def test_a_file_stays_together() -> None:
    """The tests of a file follow each other, since they share fixtures."""
    files = [item.path for item in sorted(ITEMS, key=shuffled("1"))]
    changes = sum(one != other for one, other in itertools.pairwise(files))
    assert changes == len(set(files)) - 1


def test_the_tests_of_a_group_run_on_one_worker(tmp_path: pathlib.Path) -> None:
    """What a group shares, such as a server, is started once, whatever versions pytest and pytest-xdist have."""
    (tmp_path / "test_grouped.py").write_text(
        "import pytest\n"
        "@pytest.mark.xdist_group('server')\n"
        "@pytest.mark.parametrize('number', range(6))\n"
        "def test(number, worker_id):\n"
        "    print('worker', worker_id)\n"
    )
    options = ("-n", "2", "--dist", "loadgroup", "-rP")
    has_passed, output = run_pytest(tmp_path, "xdist.plugin", ci=False, options=options)
    assert has_passed, output
    assert len({line for line in output.splitlines() if line.startswith("worker gw")}) == 1

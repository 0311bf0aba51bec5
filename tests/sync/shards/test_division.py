"""How work is divided into shards."""

import pytest

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.sync.shards.division import ShardOptions, divide

MIB = 1024**2


def test_shards_have_about_the_same_work() -> None:
    """One big file weighs as much as many small ones."""
    sizes = [(0, 100 * MIB), *((number, MIB) for number in range(1, 81))]
    work = dict.fromkeys((1, 2), 0)
    for number, shard in divide(sizes, 2):
        work[shard] += sizes[number][1] + MIB // 4
    assert abs(work[1] - work[2]) < 2 * MIB


def test_the_same_files_are_divided_alike() -> None:
    """Workers that divide again come to the same shards."""
    sizes = [(number, 1000 - number) for number in range(1000)]
    assert list(divide(sizes, 7)) == list(divide(sizes, 7))


@pytest.mark.parametrize(
    ("files", "size_bytes", "shards"),
    [(0, 0, 1), (10, 10 * MIB, 1), (1, 39 * MIB, 1), (1, 41 * MIB, 2), (160, 0, 2), (10_000, 0, 5)],
)
def test_what_fits_one_shard_is_not_divided(files: int, size_bytes: int, shards: int) -> None:
    """A shard costs its worker seconds to start, so there are as many as are worth it, and at most `max_shards`."""
    options = ShardOptions(max_shards=5, min_shard_mib=20)
    assert options.number_of(files, size_bytes) == shards


@pytest.mark.parametrize("setting", ["max_shards", "min_shard_mib"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True])
def test_a_number_of_none_is_refused(setting: str, value: object) -> None:
    """The message names the setting."""
    with pytest.raises(ConfigurationError, match=setting):
        ShardOptions(**{setting: value})  # type: ignore[arg-type]  # what is under test

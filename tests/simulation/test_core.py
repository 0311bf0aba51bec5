"""Seeded histories of the core against a store that answers by random rules.

After each: the published bytes are one version, every file has one outcome, the verdict is honest, requests are
bounded, and where nothing went wrong by chance every file arrived. `ROBOTO_HISTORIES` sets how many.
"""

import os
import pathlib
import random
import shutil
from collections.abc import Mapping

import pytest

from roboto_dagster.fs.object_store import Transfer
from tests.simulation.driver import ATTEMPTS, PART_BYTES, ModelDriver, error_of
from tests.simulation.store import ModelStore, Rules, checksum_of

HISTORIES = int(os.environ.get("ROBOTO_HISTORIES", "10000"))
BLOCKS = 10
KILLED = 0.3
"""How many of the histories are killed at a random step, and go on in another process."""

SIZES = (0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES, 5 * PART_BYTES + 7)


def bound_of(size_bytes: int) -> int:
    """Returns how many requests a file of this size may cost at most."""
    ranges = size_bytes // PART_BYTES + 2
    attempts, replays, starts = ATTEMPTS, 3, 4
    lives = 2
    return ranges * (attempts + replays) * starts * lives


def check_history(seed: int, folder: pathlib.Path) -> None:
    """Plays one history and checks it."""
    dice = random.Random(seed)  # noqa: S311 - dice, not a secret
    store = ModelStore(Rules.draw(dice), dice)
    driver = ModelDriver(store, dice, folder)
    sizes: dict[str, int | None] = {}
    for number in range(dice.randrange(1, 5)):
        key, size = f"{number}.bin", dice.choice(SIZES)
        store.put(key, size)
        sizes[key] = dice.choice([size, size, None])
    transfers = {key: driver.get(key, size) for key, size in sizes.items()}
    if dice.random() < KILLED and not driver.run(steps=dice.randrange(1, 200)):
        folder /= "after the kill"
        driver.kill(folder)
        driver = ModelDriver(store, dice, folder)
        transfers = {
            key: driver.get(key, size) for key, size in sizes.items() if not (folder / key).exists()
        }
    assert driver.run(), "it does not end"
    check_outcomes(store, folder, transfers)


def check_outcomes(
    store: ModelStore, folder: pathlib.Path, transfers: Mapping[str, Transfer]
) -> None:
    """Checks every file that was asked for in the last life of a history."""
    for key, transfer in transfers.items():
        versions, place = store.versions[key], folder / key
        error = error_of(transfer)
        assert (error is None) == place.exists(), "one outcome a file"
        if error is None and transfer.receipt is not None:
            data = place.read_bytes()
            assert data in versions, "the published bytes are no version"
            verified = transfer.receipt.verified
            assert verified in ("crc64nvme", "size")
            if verified == "crc64nvme":
                assert transfer.receipt.checksum == f"crc64nvme:{checksum_of(data)}"
        elif store.rules.is_calm and (any(versions) or store.rules.identifies):
            pytest.fail(f"nothing went wrong, and yet: {error}")
        largest = max(map(len, versions))
        assert store.requests.get(key, 0) <= bound_of(largest), "requests are bounded"


@pytest.mark.parametrize("block", range(BLOCKS))
def test_histories_keep_the_promises(block: int, tmp_path: pathlib.Path) -> None:
    """Whatever a store does, a file is one version, or a failure with a name."""
    for seed in range(block, HISTORIES, BLOCKS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        try:
            check_history(seed, folder)
        except BaseException:
            print(f"seed {seed}: {Rules.draw(random.Random(seed))}")  # noqa: T201, S311 - to repeat it
            raise
        shutil.rmtree(folder)

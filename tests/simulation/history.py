"""Plays one history of the core: up to three lives that share a disk and a store.

```
 life: every file that is missing is asked for ──┬► all have an outcome ──► the failed ones again, or the end
                ▲                                └► killed at a random step, perhaps damaged
                └───────────────────────────────────────┘
```
"""

import pathlib
import random

from tests.simulation.driver import ATTEMPTS, PART_BYTES, ModelDriver
from tests.simulation.kills import OWNERS, Writers, damage, foreign_files, kill, logged, take_left
from tests.simulation.ledger import Ledger
from tests.simulation.rules import Rules
from tests.simulation.store import ModelStore
from tests.simulation.verdicts import check_file

_P = PART_BYTES
SIZES = (0, 1, _P - 1, _P, _P + 1, 2 * _P, 3 * _P, 5 * _P + 7, 5 * _P + 7)
LIVES = 3
RESUMED = {"CANCELLED", "CONNECTION", "STALLED", "THROTTLED", "SERVER_ERROR"}
"""Failures after which the next life goes on with what has come."""

KILLED = 0.4
"""How many lives end by a kill."""


def open_descriptors() -> int:
    """Returns how many files this process has open, where the system can be asked."""
    descriptors = pathlib.Path("/proc/self/fd")
    return len(list(descriptors.iterdir())) if descriptors.exists() else 0


class CoreHistory:
    """One history, and what is known of it.

    Args:
        dice: Draws everything.
        folder: An empty folder.

    Attributes:
        store: The store.
        lives: The drivers, the current one last.
    """

    def __init__(self, dice: random.Random, folder: pathlib.Path) -> None:
        self._dice = dice
        self._folder = folder
        self.store = ModelStore(Rules.draw(dice), dice)
        self.lives: list[ModelDriver] = []
        self._sizes: dict[str, int | None] = {}
        self._old: dict[str, bytes | None] = {}
        self._published: set[str] = set()
        self._left: dict[str, int] = {}
        self._foreign: dict[str, bytes] = {}
        self._leftovers: set[str] = set()
        self._was_killed = False
        self._is_damaged = False
        self._writers = Writers()
        for number in range(dice.randrange(1, 5)):
            key, size = f"{number}.bin", dice.choice(SIZES)
            self.store.put(key, size)
            self._sizes[key] = dice.choice([size, size, None])
            self.store.objects[key].expected_size = self._sizes[key]
            self._old[key] = b"an older version" if dice.random() < 0.2 else None

    def play(self) -> None:
        """Plays it, and checks it."""
        state = random.getstate()
        random.seed(self._dice.random())  # tenacity's jitter, so that a history can be repeated
        opened = open_descriptors()
        try:
            self._play()
        finally:
            random.setstate(state)
        # Not equal: what tests before have left to the garbage collector may be closed meanwhile.
        assert open_descriptors() <= opened, "a descriptor is left open"

    def _play(self) -> None:
        for key, data in self._old.items():
            if data is not None:
                (self._folder / key).write_bytes(data)
        try:
            for number in range(LIVES):
                self._live(may_be_killed=number < LIVES - 1)
                if not self._goes_on():
                    break
                self._replace()
        finally:
            self._writers.close()

    def __str__(self) -> str:
        """Returns the rules, the files and the last steps of each life, for a message."""
        files = ", ".join(f"{key} {size} B" for key, size in self._sizes.items())
        lines = [f"rules: {self.store.rules}", f"records: {files}"]
        for number, life in enumerate(self.lives, start=1):
            lines.append(f"life {number}, verify={life.verify}:")
            lines += [f"  {' '.join(map(str, step))}" for step in life.trace]
        return "\n".join(lines)

    def _goes_on(self) -> bool:
        return len(self._published) < len(self._sizes) and self._dice.random() < 0.7

    def _replace(self) -> None:
        """Replaces an object between two lives, by one of the same size."""
        if self._dice.random() < 0.2:
            key = self._dice.choice(list(self._sizes))
            self.store.put(key, len(self.store.objects[key].versions[-1]))
            self._left.pop(key, None)

    def _live(self, *, may_be_killed: bool) -> None:
        ledger = Ledger(self.store, self._left, ATTEMPTS)
        driver = ModelDriver(self.store, self._dice, self._folder, ledger)
        self.lives.append(driver)
        rejections = self.store.rejections + self.store.count("403")
        for key, size in self._sizes.items():
            if key not in self._published:
                driver.get(key, size)
                driver.transfers[key].is_refused = self._dice.random() < 0.05
        if self._was_killed and self._dice.random() < 0.3:
            driver.run(steps=self._dice.randrange(1, 30))
            self._disturb(driver, ledger)
        if may_be_killed and self._dice.random() < KILLED:
            if not driver.run(steps=self._dice.randrange(1, 200)):
                self._kill(driver, ledger)
                return
        elif self._dice.random() < 0.1:
            driver.run(steps=self._dice.randrange(1, 50))
            driver.cancel(self._dice.choice(list(driver.transfers)))
        assert driver.run(), "it does not end"
        self._check(driver, ledger)
        rejections = self.store.rejections + self.store.count("403") - rejections
        most = (1 + rejections + len(driver.transfers)) * (
            ATTEMPTS if self.store.rules.provider else 1
        )
        assert driver.provider_calls <= most, "credentials are asked for without end"

    def _disturb(self, driver: ModelDriver, ledger: Ledger) -> None:
        """Has the run that was taken for dead write on, or another one take what it left."""
        ledger.forget_left()
        if self._dice.random() < 0.5:
            driver.trace.append(("the writer writes on",))
            self._writers.write(b"garbage" * 100)
        else:
            driver.trace.append(("another run takes what is left",))
            take_left(self._folder, self._leftovers)

    def _check(self, driver: ModelDriver, ledger: Ledger) -> None:
        for key, transfer in driver.transfers.items():
            check_file(self.store, transfer, self._old[key], self._sizes[key], driver.verify)
            if transfer.error is None:
                self._published.add(key)
        assert not self._writers.inodes & {
            transfer.place.stat().st_ino
            for transfer in driver.transfers.values()
            if transfer.error is None
        }, "published what another run may write to"
        self._find_left(ledger, is_killed=False)
        left = foreign_files(self._folder)
        assert self._was_killed or not left, "a temporary file is left behind"
        for name, data in self._foreign.items():
            assert left.get(name) == data, "a living run's temporary file was touched"

    def _kill(self, driver: ModelDriver, ledger: Ledger) -> None:
        self._was_killed = True
        copy = self._folder / "after the kill"
        owner = self._dice.choice(OWNERS)
        driver.trace.append(("kill", owner))
        kill(self._folder, copy, owner)
        for key, transfer in driver.transfers.items():
            if transfer.done() and transfer.error is None:
                self._published.add(key)
            elif transfer.before is not None and transfer.place.exists():
                self._old[key] = transfer.place.read_bytes()  # it may have been renamed already
        if owner == "silent":
            of_earlier_lives = self._foreign.keys() | self._leftovers
            self._writers.open(copy, foreign_files(copy).keys() - of_earlier_lives)
        if self._dice.random() < 0.5 and damage(copy, self._dice, self._foreign):
            self._is_damaged = True
            driver.trace.append(("damage",))
        self._folder = copy
        self._find_left(ledger, is_killed=True)
        files = foreign_files(copy)
        if owner == "alive":
            self._left = {}
            self._foreign |= {
                name: data for name, data in files.items() if name not in self._leftovers
            }
        self._leftovers = set(files) - set(self._foreign)
        driver.let_go()

    def _find_left(self, ledger: Ledger, *, is_killed: bool) -> None:
        """Finds what the next life must not ask for."""
        self._left = {}
        for key, sets in logged(self._folder, self.store, self._foreign).items():
            if key in self._published or self.store.objects[key].events["flipped"]:
                continue
            if self._is_damaged:  # a log that is damaged may name anything
                continue
            if len(sets) == 1:
                self._left[key] = sets[0]
            verified = ledger.verified(key)
            is_big = len(self.store.objects[key].versions[-1]) > PART_BYTES
            if verified and is_big and self._is_kept(key, is_killed=is_killed):
                assert any(not verified & ~each for each in sets), "what has come is not logged"

    def _is_kept(self, key: str, *, is_killed: bool) -> bool:
        """Returns whether the parts of a file have to be there for the next life."""
        transfer = self.lives[-1].transfers.get(key)
        if transfer is None:
            return False
        if not transfer.done():
            return is_killed and transfer.before is None  # else it may be in its place already
        return transfer.error is not None and transfer.error.code in RESUMED

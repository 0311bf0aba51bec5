"""Seeded histories of a platform and of a sensor's walks: every change is taken, and taken once."""

import dataclasses
import datetime as dt
import random

import pytest

from roboto_dagster.platform.changes import ChangePage
from roboto_dagster.sensor.feed import ChangeFeed, Revision
from roboto_dagster.sensor.walk import ChangeWalker, Deadline

pytestmark = pytest.mark.slow

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.timezone.utc)
SECOND = dt.timedelta(seconds=1)
OVERLAP = 300 * SECOND


@dataclasses.dataclass(frozen=True)
class Thing:
    """A revision of something, and when the platform first shows it."""

    name: str
    modified: dt.datetime
    shown: dt.datetime


class History:
    """A random platform, sensor and clock; every choice is the seed's."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 -- no secret
        self._now = NOON
        self._things: list[Thing] = []
        self._feed = ChangeFeed()
        self._page_size = self._random.choice([1, 2, 3, 10, 100])
        self._skew = self._random.choice([0, 0, -3600, 3600]) * SECOND
        # A machine that is ahead needs the time of the answers.
        self._has_dates = self._skew > 0 * SECOND or self._random.random() < 0.5
        self._room = self._pages = 0
        self.taken: list[str] = []

    # --- the platform ---

    def _change(self) -> None:
        """Change some things, in bulk at one moment or one by one; some are shown late, some lie ahead."""
        is_bulk = self._random.random() < 0.2
        for _ in range(self._random.randrange(20 if is_bulk else 4)):
            ahead = self._random.choice([0] * 9 + [5000]) * SECOND
            late = self._random.choice([0, 0, 0, 60, 299]) * SECOND
            name = f"t{len(self._things)}"
            self._things.append(Thing(name, self._now + ahead, self._now + late))
            if not is_bulk:
                self._now += self._random.random() * 30 * SECOND

    def page(self, since: dt.datetime | None, token: str | None) -> ChangePage[Thing]:
        """Answer a page."""
        self._pages -= 1
        found = sorted(
            (
                each
                for each in self._things
                if each.shown <= self._now and (since is None or each.modified >= since)
            ),
            key=lambda each: (each.modified, each.name),
        )
        first = int(token or 0)
        last = first + self._page_size
        return ChangePage(
            changes=tuple(found[first:last]),
            unreadable=(),
            next_token=str(last) if last < len(found) else None,
            answered_at=self._now if self._has_dates else None,
        )

    # --- the sensor ---

    def revision_of(self, change: Thing) -> Revision:
        """Return what identifies a thing."""
        return Revision(record_id=change.name, version="1", modified=change.modified)

    def take(self, change: Thing, revision: Revision) -> bool:  # noqa: ARG002 -- the protocol's
        """Take a thing, if there is room."""
        if self._room <= 0:
            return False
        self._room -= 1
        self.taken.append(change.name)
        return True

    @property
    def has_passed(self) -> bool:
        """Whether the tick has read all pages that it has time for."""
        return self._pages <= 0

    def _tick(self, *, is_long: bool = False) -> None:
        self._pages = 10_000 if is_long else self._random.choice([1, 2, 5, 1000])
        self._room = 10_000 if is_long else self._random.choice([1, 3, 1000])
        walker: ChangeWalker[Thing] = ChangeWalker(
            read_page=self.page,
            sink=self,
            now=self._now + self._skew,
            overlap=OVERLAP,
            since=None,
            warn=lambda _: None,
        )
        deadline: Deadline = self  # type: ignore[assignment] # has what a walk needs of one
        feed = walker.follow(self._feed, deadline)
        if self._random.random() < 0.9:  # else Dagster died before it kept the cursor
            self._feed = ChangeFeed.model_validate_json(feed.model_dump_json())
        else:
            self.taken = self.taken[: self._kept]
        self._kept = len(self.taken)

    _kept = 0

    def run(self) -> None:
        """Change and tick at random; at the end let everything be shown, and tick to the end."""
        for _ in range(self._random.randrange(1, 40)):
            self._change()
            self._now += self._random.choice([1, 30, 60, 600, 7200]) * SECOND
            self._tick()
        for _ in range(20):
            self._now += 600 * SECOND
            self._tick(is_long=True)

    @property
    def names(self) -> list[str]:
        """Names of everything that ever changed."""
        return [each.name for each in self._things]


@pytest.mark.parametrize("first_seed", range(0, 400, 100))
def test_every_change_is_taken_once(first_seed: int) -> None:
    """Whatever the pages, the time, the room, the clocks and the losses of cursors."""
    for seed in range(first_seed, first_seed + 100):
        history = History(seed)
        history.run()
        assert sorted(history.taken) == sorted(history.names), f"seed {seed}"

"""Walks through changes, page by page, against pages that a test writes."""

import dataclasses
import datetime as dt
from typing import Any

import pytest

from roboto_dagster import PlatformError
from roboto_dagster.platform.changes import ChangePage
from roboto_dagster.sensor.feed import ChangeFeed, Revision
from roboto_dagster.sensor.walk import ChangeWalker, Deadline

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.timezone.utc)
MINUTE = dt.timedelta(minutes=1)
OVERLAP = 5 * MINUTE
LATER = Deadline(float("inf"))
AT_ONCE = Deadline(float("-inf"))


@dataclasses.dataclass(frozen=True)
class Thing:
    """Something that changes."""

    name: str
    modified: dt.datetime


def thing(name: str, minutes: float = 0) -> Thing:
    """Return something that changed some minutes after noon."""
    return Thing(name, NOON + dt.timedelta(minutes=minutes))


class Platform:
    """Answers pages, and takes what walks hand on.

    Attributes:
        things: What there is.
        requests: Times and tokens of the pages that were asked for.
        taken: What was handed on, in order.
        room: How many more may be taken.
    """

    def __init__(self, *things: Thing, page_size: int = 3) -> None:
        self.things = list(things)
        self.page_size = page_size
        self.answered_at: dt.datetime | None = None
        self.valid_tokens = True
        self.requests: list[tuple[dt.datetime | None, str | None]] = []
        self.taken: list[str] = []
        self.room = 1000

    def page(self, since: dt.datetime | None, token: str | None) -> ChangePage[Thing]:
        """Answer a page."""
        self.requests.append((since, token))
        if token is not None and not self.valid_tokens:
            raise PlatformError("unknown page token", False, 400)
        found = sorted(
            (each for each in self.things if since is None or each.modified >= since),
            key=lambda each: each.modified,
        )
        first = int(token or 0)
        last = first + self.page_size
        return ChangePage(
            changes=tuple(found[first:last]),
            unreadable=(),
            next_token=str(last) if last < len(found) else None,
            answered_at=self.answered_at,
        )

    def revision_of(self, change: Thing) -> Revision:
        """Return what identifies a thing."""
        return Revision(record_id=change.name, version="1", modified=change.modified)

    def take(self, change: Thing, revision: Revision) -> bool:  # noqa: ARG002 -- the protocol's
        """Take a thing, if there is room."""
        if self.room <= 0:
            return False
        self.room -= 1
        self.taken.append(change.name)
        return True

    def follow(
        self, feed: ChangeFeed, minutes: float = 0, deadline: Deadline = LATER, **options: Any
    ) -> ChangeFeed:
        """Walk at some minutes after noon."""
        settings: dict[str, Any] = {
            "read_page": self.page,
            "sink": self,
            "now": NOON + dt.timedelta(minutes=minutes),
            "overlap": OVERLAP,
            "since": None,
            "warn": lambda _: None,
        }
        walker: ChangeWalker[Thing] = ChangeWalker(**{**settings, **options})
        return walker.follow(feed, deadline)


def test_everything_is_taken_once() -> None:
    """Pages are read to the end; the next walk finds nothing new in one page."""
    platform = Platform(*(thing(f"t{i}", i / 10 - 2) for i in range(10)))
    feed = platform.follow(ChangeFeed())
    assert platform.taken == [f"t{i}" for i in range(10)]
    platform.page_size = 100
    platform.requests.clear()
    feed = platform.follow(feed, minutes=1)
    assert len(platform.taken) == 10
    assert platform.requests == [(NOON - OVERLAP, None)]
    assert feed.watermark == NOON + MINUTE - OVERLAP


def test_pages_follow_each_other_by_time() -> None:
    """A page starts at the time of the last record: tokens shift when a record changes meanwhile."""
    platform = Platform(*(thing(f"t{i}", i - 60) for i in range(8)))
    platform.follow(ChangeFeed())
    assert all(token is None for _, token in platform.requests)
    assert len(platform.taken) == 8


@pytest.mark.parametrize("count", [4, 7, 50])
def test_more_than_a_page_at_one_time(count: int) -> None:
    """Records that share one time are read by tokens, each once."""
    platform = Platform(*(thing(f"t{i:02}", -60) for i in range(count)), thing("last", -30))
    feed = platform.follow(ChangeFeed())
    assert sorted(platform.taken) == ["last", *(f"t{i:02}" for i in range(count))]
    assert feed.walk is None


def test_record_that_changes_during_the_walk_hides_no_other() -> None:
    """It moves to the end; the others do not slip past the walk."""
    platform = Platform(*(thing(f"t{i}", i - 60) for i in range(9)))
    original = platform.page

    def page(since: dt.datetime | None, token: str | None) -> ChangePage[Thing]:
        answer = original(since, token)
        platform.things = [each for each in platform.things if each.name != "t0"]
        platform.things.append(thing("t0", -1))
        return answer

    platform.follow(ChangeFeed(), read_page=page)
    assert set(platform.taken) == {f"t{i}" for i in range(9)}


@pytest.mark.parametrize("same_time", [False, True], ids=["times differ", "one time"])
@pytest.mark.parametrize("tokens_live", [True, False], ids=["tokens live", "tokens die"])
def test_walk_goes_on_in_the_next_tick(*, same_time: bool, tokens_live: bool) -> None:
    """A walk that runs out of time comes to its end, page by page, and takes each record once."""
    platform = Platform(*(thing(f"t{i}", -60 + (0 if same_time else i)) for i in range(9)))
    feed = ChangeFeed()
    ticks = 0
    while feed.watermark is None and ticks < 20:
        one_page = _Pages(platform, 1)
        feed = platform.follow(feed, minutes=ticks, deadline=one_page, read_page=one_page.read)  # type: ignore[arg-type] # has what it needs of a deadline
        ticks += 1
        platform.valid_tokens = tokens_live
        if not tokens_live and same_time:
            platform.page_size = 100  # a platform without lasting tokens has to fit them on a page
    assert sorted(platform.taken) == [f"t{i}" for i in range(9)]
    assert ticks > 1
    assert feed.watermark == NOON - OVERLAP


class _Pages:
    """A deadline after so many pages."""

    def __init__(self, platform: Platform, count: int) -> None:
        self._platform = platform
        self._left = count

    @property
    def has_passed(self) -> bool:
        return self._left <= 0

    def read(self, since: dt.datetime | None, token: str | None) -> ChangePage[Thing]:
        self._left -= 1
        return self._platform.page(since, token)


def test_late_change_is_found_though_the_walk_took_several_ticks() -> None:
    """What is shown while a walk is under way, but behind it, is found by the next one."""
    platform = Platform(*(thing(f"t{i}", i / 10 - 3) for i in range(6)))
    pages = _Pages(platform, 1)
    feed = platform.follow(ChangeFeed(), deadline=pages, read_page=pages.read)  # type: ignore[arg-type] # has what it needs of a deadline
    platform.things.append(thing("late", -4))
    feed = platform.follow(feed, minutes=1)
    feed = platform.follow(feed, minutes=2)
    assert platform.taken.count("late") == 1


def test_full_tick_pauses_before_the_change_it_has_no_room_for() -> None:
    """The next tick takes that one first."""
    platform = Platform(*(thing(f"t{i}", i / 10 - 3) for i in range(5)))
    feed = ChangeFeed()
    for minute in range(3):
        platform.room = 2
        feed = platform.follow(feed, minutes=minute)
    assert platform.taken == [f"t{i}" for i in range(5)]
    assert feed.walk is None


def test_tick_without_time_changes_nothing() -> None:
    """No page is asked for, and the feed stays as it was."""
    platform = Platform(thing("t0"))
    assert platform.follow(ChangeFeed(), deadline=AT_ONCE) == ChangeFeed()
    assert platform.requests == []


def test_change_shown_late_is_taken() -> None:
    """Within the overlap an older change than the newest is new as long as nobody has seen it."""
    platform = Platform(thing("new", -1))
    feed = platform.follow(ChangeFeed())
    platform.things.append(thing("late", -3))
    platform.follow(feed, minutes=1)
    assert platform.taken == ["new", "late"]


def test_record_dated_ahead_hides_nothing() -> None:
    """It is taken at once; what changes until its time comes is taken too, and itself not again."""
    platform = Platform(thing("ahead", 600))
    feed = platform.follow(ChangeFeed())
    for minute in range(1, 900, 7):
        platform.things.append(thing(f"t{minute}", minute))
        feed = platform.follow(feed, minutes=minute)
    assert platform.taken == ["ahead", *(f"t{minute}" for minute in range(1, 900, 7))]


def test_watermark_never_passes_the_platforms_clock() -> None:
    """If this machine's clock is an hour ahead, changes of that hour are still found."""
    platform = Platform()
    platform.answered_at = NOON - 60 * MINUTE
    feed = platform.follow(ChangeFeed())
    assert feed.watermark == NOON - 60 * MINUTE - OVERLAP
    platform.things.append(thing("change", -50))
    platform.answered_at = NOON - 45 * MINUTE
    platform.follow(feed, minutes=15)
    assert platform.taken == ["change"]


def test_watermark_never_passes_this_machines_clock() -> None:
    """A platform whose clock is ahead is asked again for what this machine has not reached yet."""
    platform = Platform()
    platform.answered_at = NOON + 60 * MINUTE
    assert platform.follow(ChangeFeed()).watermark == NOON - OVERLAP


def test_after_an_overlap_nothing_is_listed_again() -> None:
    """A bulk upload costs idle ticks nothing once the platform can show no more of it late."""
    platform = Platform(*(thing(f"t{i:03}", -1) for i in range(300)), page_size=100)
    feed = platform.follow(ChangeFeed())
    platform.requests.clear()
    feed = platform.follow(feed, minutes=6)
    platform.requests.clear()
    feed = platform.follow(feed, minutes=7)
    assert len(platform.requests) == 1
    assert feed.marks == {}


def test_repeated_page_is_an_error() -> None:
    """A platform that answers one token for ever does not hold the tick."""

    def page(since: dt.datetime | None, token: str | None) -> ChangePage[Thing]:  # noqa: ARG001 -- the protocol's
        return ChangePage(changes=(), unreadable=(), next_token="again", answered_at=None)

    with pytest.raises(PlatformError, match="repeats page 'again'"):
        Platform().follow(ChangeFeed(), read_page=page)


def test_unreadable_records_are_reported() -> None:
    """They are left out, in one line with their ids; the others are taken."""
    lines: list[str] = []
    platform = Platform(thing("t0"))
    good = platform.page(None, None)

    def page(since: dt.datetime | None, token: str | None) -> ChangePage[Thing]:  # noqa: ARG001 -- the protocol's
        return dataclasses.replace(good, unreadable=("ds_bad\n",))

    platform.follow(ChangeFeed(), read_page=page, warn=lines.append)
    assert platform.taken == ["t0"]
    assert lines == [
        "1 record of the platform cannot be read and is left out: ds_bad\\n. Report the ids to the platform's support."
    ]

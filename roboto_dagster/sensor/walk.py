"""Walks through the changes of one kind, oldest first, in as many ticks as it takes.

```
        start of a walk: the watermark
              │
   ┌──────────▼─────────┐  full page   ┌──────────────────┐
   │ page from position ├─────────────►│ position = time  ├──► next page, or pause: out of time,
   └──────────┬─────────┘              │ of its last item │    or the tick has taken enough
              │ last page              └──────────────────┘
   watermark = start of the walk - overlap
```

Pages follow each other by time, not by the platform's page tokens: those shift when a record changes
while they are read, and may not live until the next tick. Only where more records than a page holds
share one time, tokens lead through them.
"""

import dataclasses
import datetime as dt
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from roboto_dagster.errors import PlatformError
from roboto_dagster.platform.changes import Changed, ChangePage
from roboto_dagster.sensor.feed import ChangeFeed, Revision, Walk
from roboto_dagster.text import one_line

_MAX_NAMED = 5

ChangedT = TypeVar("ChangedT", bound=Changed)
ChangedT_contra = TypeVar("ChangedT_contra", bound=Changed, contravariant=True)
ReadPage = Callable[[dt.datetime | None, str | None], ChangePage[ChangedT]]
"""Given a time and a page token, returns a page of what was modified then or later."""


class ChangeSink(Protocol[ChangedT_contra]):
    """Takes the changes that a walk meets for the first time."""

    def revision_of(self, change: ChangedT_contra) -> Revision:
        """Return what identifies the change."""

    def take(self, change: ChangedT_contra, revision: Revision) -> bool:
        """Take a change, or return False if the tick has enough: the walk then pauses before it.

        Args:
            change: The change.
            revision: What it is a change to.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class Deadline:
    """The end of a part of a tick.

    Attributes:
        at: Its time by `time.monotonic`.
    """

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """Return a deadline some seconds from now."""
        return cls(time.monotonic() + seconds)

    @property
    def has_passed(self) -> bool:
        """Whether it is over."""
        return time.monotonic() >= self.at


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWalker(Generic[ChangedT]):
    """Follows one kind of change.

    Attributes:
        read_page: Requests a page.
        sink: Takes what is new.
        now: This machine's clock.
        overlap: How long after it happened the platform may first show a change.
        since: Where the first walk starts; None for the beginning of time.
        warn: Called with a line about records that cannot be read.
    """

    read_page: ReadPage[ChangedT]
    sink: ChangeSink[ChangedT]
    now: dt.datetime
    overlap: dt.timedelta
    since: dt.datetime | None
    warn: Callable[[str], None]

    def follow(self, feed: ChangeFeed, deadline: Deadline) -> ChangeFeed:
        """Walk on, and return how far it came.

        Args:
            feed: How far earlier ticks came.
            deadline: When to pause; checked before each request.

        Raises:
            PlatformError: A page could not be had; the feed then stays as it was.
        """
        walk = feed.next_walk(self.now, self.overlap, self.since)
        seen: dict[Revision, None] = {}
        is_new_walk = feed.walk is None
        while not deadline.has_passed:
            page = self._page(walk)
            if is_new_walk:
                walk, is_new_walk = _dated(walk, page.answered_at), False
            refused = self._take(page, feed, seen)
            if refused is not None:
                return feed.paused_at(_at(walk, refused.modified), seen, self.overlap)
            if page.next_token is None:
                return feed.advanced_to(walk.started, seen, self.overlap)
            walk = _after(walk, page)
        return feed if is_new_walk else feed.paused_at(walk, seen, self.overlap)

    def _page(self, walk: Walk) -> ChangePage[ChangedT]:
        try:
            return self.read_page(walk.position, walk.page_token)
        except PlatformError as error:
            if walk.page_token is None or error.transient:
                raise
        return self.read_page(walk.position, None)  # tokens need not live from tick to tick

    def _take(
        self, page: ChangePage[ChangedT], feed: ChangeFeed, seen: dict[Revision, None]
    ) -> ChangedT | None:
        """Hand on what is new; return the first change that the tick has no room for."""
        if page.unreadable:
            self.warn(_unreadable(page.unreadable))
        for change in page.changes:
            revision = self.sink.revision_of(change)
            if revision in seen or feed.has_seen(revision):
                continue
            if not self.sink.take(change, revision):
                return change
            seen[revision] = None
        return None


def _dated(walk: Walk, platform_time: dt.datetime | None) -> Walk:
    """Return a walk that started at the earlier of both clocks: the watermark must not pass either."""
    if platform_time is None:
        return walk
    return walk.model_copy(update={"started": min(walk.started, platform_time)})


def _at(walk: Walk, time: dt.datetime) -> Walk:
    """Return a walk that continues at a time; within its time it needs the same page again."""
    if walk.position is not None and time <= walk.position:
        return walk
    return walk.model_copy(update={"position": time, "page_token": None})


def _after(walk: Walk, page: ChangePage[ChangedT]) -> Walk:
    last = page.changes[-1].modified if page.changes else None
    if last is not None and (walk.position is None or last > walk.position):
        return walk.model_copy(update={"position": last, "page_token": None})
    if page.next_token == walk.page_token:
        msg = f"The Roboto API repeats page {page.next_token!r} of a query. Try again later."
        raise PlatformError(msg, transient=True)
    return walk.model_copy(update={"page_token": page.next_token})


def _unreadable(ids: tuple[str, ...]) -> str:
    what = "1 record of the platform" if len(ids) == 1 else f"{len(ids)} records of the platform"
    verb = "is" if len(ids) == 1 else "are"
    named = ", ".join(one_line(each) for each in ids[:_MAX_NAMED])
    return (
        f"{what} cannot be read and {verb} left out: {named}. Report the ids to the platform's "
        "support."
    )

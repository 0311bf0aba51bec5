"""How far one kind of change has been followed, and which changes have been seen. Pure."""

import base64
import dataclasses
import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints
from typing_extensions import Self

MAX_MARKS = 100_000
"""Most changes that a feed remembers: beyond it the oldest are seen, and requested, once more."""

_MARK_LETTERS = 8
_MINUTE_SECONDS = 60

Marks = Annotated[str, StringConstraints(pattern=rf"^(?:[A-Za-z0-9_-]{{{_MARK_LETTERS}}})*$")]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One state of a dataset's record or of a file.

    Attributes:
        record_id: Id of the dataset or file.
        version: Revision of its record.
        modified: When it was reached.
    """

    record_id: str
    version: str
    modified: dt.datetime

    @property
    def text(self) -> str:
        """All of it, for digests."""
        return f"{self.record_id}@{self.version}@{self.modified.isoformat()}"

    @property
    def mark(self) -> str:
        """A short name for it: 48 bits of a hash."""
        hashed = hashlib.blake2b(encoded(self.text), digest_size=_MARK_LETTERS * 6 // 8)
        return base64.urlsafe_b64encode(hashed.digest()).decode()

    @property
    def minute(self) -> int:
        """The minute since 1970 in which it was reached."""
        return _minute(self.modified)


class Remembered(BaseModel):
    """Base of what stands in a cursor: anything else in its place is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Walk(Remembered):
    """A walk through the changes since the watermark that has not come to its end yet.

    Attributes:
        started: The platform's clock when it started.
        position: Changes before this time have been seen; None at the beginning of time.
        page_token: Token of the page to continue with, where more changes than a page holds share the
            time of the position.
    """

    started: AwareDatetime
    position: AwareDatetime | None = None
    page_token: str | None = None


class ChangeFeed(Remembered):
    """How far one kind of change has been followed.

    ```
    ── seen for good ──┬── may still show changes late ──┬──► time
                   watermark                   start of the last walk
                       └──────── overlap ────────────────┘
    ```

    Attributes:
        watermark: Every change before this time has been seen; None before the first walk's end.
        walk: The walk under way, if it takes more than one tick.
        marks: Marks of the changes seen since the watermark, by the minute in which they happened.
    """

    watermark: AwareDatetime | None = None
    walk: Walk | None = None
    marks: Mapping[int, Marks] = Field(default_factory=dict)

    _sets: dict[int, frozenset[str]] = PrivateAttr(default_factory=dict)

    def next_walk(
        self, now: dt.datetime, overlap: dt.timedelta, since: dt.datetime | None = None
    ) -> Walk:
        """Return the walk to continue, or a new one from the watermark.

        Args:
            now: The time. A watermark that lies ahead of it is not trusted.
            overlap: How long after it happened a change may first be shown.
            since: Where the first walk starts. Default: the beginning of time.
        """
        if self.walk is not None:
            return self.walk
        start = since if self.watermark is None else min(self.watermark, now - overlap)
        return Walk(started=now, position=start)

    def has_seen(self, revision: Revision) -> bool:
        """Return whether this revision was seen; another one of the same record does not count."""
        minute = revision.minute
        if minute not in self._sets:
            self._sets[minute] = frozenset(_split(self.marks.get(minute, "")))
        return revision.mark in self._sets[minute]

    def paused_at(self, walk: Walk, seen: Iterable[Revision], overlap: dt.timedelta) -> Self:
        """Return it in the middle of a walk.

        Args:
            walk: Where the walk is.
            seen: What this tick has seen for the first time.
            overlap: How long after it happened a change may first be shown.
        """
        floor = walk.started - overlap
        floor = floor if walk.position is None else min(floor, walk.position)
        return type(self)(watermark=self.watermark, walk=walk, marks=self._with(seen, floor))

    def advanced_to(
        self, started: dt.datetime, seen: Iterable[Revision], overlap: dt.timedelta
    ) -> Self:
        """Return it after a walk has come to its end.

        Args:
            started: The platform's clock when the walk started: later changes are for the next one.
            seen: What this tick has seen for the first time.
            overlap: How long after it happened a change may first be shown.
        """
        watermark = started - overlap
        return type(self)(watermark=watermark, marks=self._with(seen, watermark))

    def _with(self, seen: Iterable[Revision], floor: dt.datetime) -> dict[int, str]:
        marks = {minute: [known] for minute, known in self.marks.items()}
        for revision in seen:
            marks.setdefault(revision.minute, []).append(revision.mark)
        kept: dict[int, str] = {}
        room = MAX_MARKS * _MARK_LETTERS
        for minute in sorted(marks, reverse=True):
            if minute < _minute(floor) or room <= 0:
                break
            kept[minute] = "".join(marks[minute])[-room:]
            room -= len(kept[minute])
        return kept


def digest_of(earlier: str, text: str) -> str:
    """Return the digest of a change in addition to earlier ones.

    Args:
        earlier: Digest of what was before; empty for nothing.
        text: What has changed.
    """
    return hashlib.blake2b(encoded(f"{earlier}\n{text}"), digest_size=12).hexdigest()


def encoded(text: str) -> bytes:
    """Return a text as bytes, whatever it holds."""
    return text.encode("utf-8", "backslashreplace")


def _minute(time: dt.datetime) -> int:
    return int(time.timestamp() // _MINUTE_SECONDS)


def _split(marks: str) -> Iterable[str]:
    return (marks[at : at + _MARK_LETTERS] for at in range(0, len(marks), _MARK_LETTERS))

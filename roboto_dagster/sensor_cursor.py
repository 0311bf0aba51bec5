"""What the dataset sensor remembers from one tick to the next, and what its run keys stand for. Pure.

A change goes through these states; each is one part of the cursor:

```
 the platform             datasets, files              waiting                 pending
 modifies a record ─► seen by a walk (ChangeFeed) ─► not settled (Change) ─► its partition does not ─► run requested,
                                                     still changing, or      exist yet, or it is not   forgotten
                                                     not ingested yet        its turn
```

Dagster drops a run request whose key it has seen before. So a run key contains all that it stands
for: the partition, every change since the partition was last requested (as one digest), and an id
that every new cursor draws for itself. After a lost or reset cursor everything is requested once
more, and no change is lost.
"""

import base64
import dataclasses
import datetime as dt
import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationError,
)
from typing_extensions import Self

from roboto_dagster.platform.datasets import RemoteDataset
from roboto_dagster.text import one_line

VERSION = 2

MAX_MARKS = 100_000
"""Most changes that a feed remembers: beyond it the oldest are seen, and requested, once more."""

MAX_SEARCHED = 500
"""Most searched datasets that are remembered; those whose runs have ended need not be."""

_MARK_LETTERS = 8
_MINUTE_SECONDS = 60
_MAX_NAME = 200

Marks = Annotated[str, StringConstraints(pattern=rf"^(?:[A-Za-z0-9_-]{{{_MARK_LETTERS}}})*$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{0,32}$")]
DatasetId = Annotated[str, StringConstraints(pattern=r"^ds_[A-Za-z0-9_-]+$")]


class CursorError(ValueError):
    """A cursor is not one of this package, or of a version that it cannot read."""


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
        hashed = hashlib.blake2b(_encoded(self.text), digest_size=_MARK_LETTERS * 6 // 8)
        return base64.urlsafe_b64encode(hashed.digest()).decode()

    @property
    def minute(self) -> int:
        """The minute since 1970 in which it was reached."""
        return _minute(self.modified)


class _Remembered(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Walk(_Remembered):
    """A walk through the changes since the watermark that has not come to its end yet.

    Attributes:
        started: The platform's clock when it began.
        position: Changes before this time have been seen; None at the beginning of time.
        page_token: Token of the page to go on with, where more changes than a page holds share the
            time of the position.
    """

    started: AwareDatetime
    position: AwareDatetime | None = None
    page_token: str | None = None


class ChangeFeed(_Remembered):
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
        """Return the walk to go on with, or a new one from the watermark.

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
            started: The platform's clock when the walk began: later changes are for the next one.
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


class Change(_Remembered):
    """A dataset that is new or has changed, and is not settled yet.

    Attributes:
        dataset_id: The dataset.
        name: Its name, if it has one.
        created: When it was made.
        modified: When its record or a file of it was last changed.
        digest: Digest of every change that this stands for.
        windows: Windows of time into which its changed files fall, where they decide on the
            partition.
        find_windows_from: Files created then or later are still to be looked at for their windows;
            None if all were.
        files_modified_from: Only files modified then or later count for that; None for all.
    """

    dataset_id: DatasetId
    name: str | None = None
    created: AwareDatetime
    modified: AwareDatetime
    digest: Digest = ""
    windows: tuple[str, ...] = ()
    find_windows_from: AwareDatetime | None = None
    files_modified_from: AwareDatetime | None = None

    @classmethod
    def of(cls, dataset: RemoteDataset) -> Self:
        """Return the change of a dataset of which nothing has been seen yet."""
        return cls(
            dataset_id=dataset.dataset_id,
            name=one_line(dataset.name)[:_MAX_NAME] if dataset.name else None,
            created=dataset.created,
            modified=dataset.modified,
        )

    def with_revision(self, revision: Revision, *windows: str) -> Self:
        """Return it with a change in addition.

        Args:
            revision: Of the dataset's record or of a file of it.
            *windows: Windows of time into which the file falls, where that matters.
        """
        update = {
            "modified": max(self.modified, revision.modified),
            "digest": digest_of(self.digest, revision.text),
            "windows": tuple(dict.fromkeys((*self.windows, *windows))),
        }
        return self.model_copy(update=update)

    def with_event(self, text: str) -> Self:
        """Return it with something in addition that is no revision, but calls for a run too.

        Args:
            text: What it was, and when.
        """
        return self.model_copy(update={"digest": digest_of(self.digest, text)})


class PendingPartition(_Remembered):
    """A partition of which a run is requested as soon as it exists.

    Attributes:
        digest: Digest of every change since it was last requested.
        dataset_id: The dataset that has changed; None if several have.
        dataset_name: Its name, if it has one.
    """

    digest: Digest
    dataset_id: DatasetId | None = None
    dataset_name: str | None = None

    @classmethod
    def of(cls, change: Change) -> Self:
        """Return what a change asks of a partition."""
        return cls(
            digest=digest_of("", f"{change.dataset_id}@{change.digest}"),
            dataset_id=change.dataset_id,
            dataset_name=change.name,
        )

    def merged_with(self, later: Self | None) -> Self:
        """Return it with a later change in addition; None adds nothing."""
        if later is None:
            return self
        is_same = self.dataset_id == later.dataset_id
        return type(self)(
            digest=digest_of(self.digest, later.digest),
            dataset_id=later.dataset_id if is_same else None,
            dataset_name=later.dataset_name if is_same else None,
        )


def _new_cursor_id() -> str:
    return secrets.token_hex(4)


class SensorCursor(_Remembered):
    """What the dataset sensor remembers.

    Attributes:
        version: Version of this format.
        cursor_id: Drawn for each new cursor; a part of every run key.
        datasets: How far changes of datasets' records have been followed.
        files: How far changes of files have been followed.
        waiting: Changes that are not settled, by dataset.
        pending: Settled changes, by the key of the partition that is to be run; `""` for an asset
            without partitions.
        searched: Datasets whose files were last searched for their windows, the latest first.
        last_deletion_scan: When deleted datasets were last looked for, to the end.
        deletion_scan_after: Key up to which a scan that is not complete has come; empty if none is.
        requested_in_walk: When runs of datasets were requested, while a walk through files takes
            several ticks: what changed well before needs no further run.
    """

    version: int = VERSION
    cursor_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")] = Field(
        default_factory=_new_cursor_id
    )
    datasets: ChangeFeed = ChangeFeed()
    files: ChangeFeed = ChangeFeed()
    waiting: Mapping[DatasetId, Change] = Field(default_factory=dict)
    pending: Mapping[str, PendingPartition] = Field(default_factory=dict)
    searched: tuple[DatasetId, ...] = ()
    last_deletion_scan: AwareDatetime | None = None
    deletion_scan_after: str = ""
    requested_in_walk: Mapping[DatasetId, AwareDatetime] = Field(default_factory=dict)

    def run_key(self, partition_key: str, pending: PendingPartition) -> str:
        """Return the key of a run, by which Dagster recognizes a request that it has had before.

        Args:
            partition_key: Key of the partition; empty for an asset without partitions.
            pending: What has changed.
        """
        return f"{partition_key or pending.dataset_id}@{self.cursor_id}.{pending.digest}"

    def to_json(self) -> str:
        """Return it as the text that Dagster keeps."""
        always = {"version": self.version, "cursor_id": self.cursor_id}
        fields = {**self.model_dump(mode="json", exclude_defaults=True), **always}
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | None) -> Self:
        """Read it; no text is the cursor of a sensor that never ran.

        Args:
            text: What Dagster has kept. It may have been edited, or written by another release.

        Raises:
            CursorError: The text is something else.
        """
        if not text:
            return cls()
        version = _version_of(text)
        if version != VERSION:
            msg = f"it is of version {version}, and this release reads version {VERSION}"
            raise CursorError(msg)
        try:
            return cls.model_validate_json(text, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, first["loc"]))
            msg = f"its field {one_line(field)[:80]} cannot be read: {first['msg']}"
            raise CursorError(msg) from None


class _Versioned(BaseModel):
    version: Annotated[int, Field(strict=True)]


def digest_of(earlier: str, text: str) -> str:
    """Return the digest of a change in addition to earlier ones.

    Args:
        earlier: Digest of what was before; empty for nothing.
        text: What has changed.
    """
    return hashlib.blake2b(_encoded(f"{earlier}\n{text}"), digest_size=12).hexdigest()


def _version_of(text: str) -> int:
    try:
        return _Versioned.model_validate_json(text).version
    except ValidationError:
        raise CursorError(f"{one_line(text[:80])!r} is not one") from None


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _minute(time: dt.datetime) -> int:
    return int(time.timestamp() // _MINUTE_SECONDS)


def _split(marks: str) -> Iterable[str]:
    return (marks[at : at + _MARK_LETTERS] for at in range(0, len(marks), _MARK_LETTERS))

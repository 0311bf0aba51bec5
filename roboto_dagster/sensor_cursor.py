"""What the dataset sensor remembers from one tick to the next, as JSON. Pure.

```
{"version": 1, "datasets": {"upto": …, "recent": {id: mark}}, "files": {…}, "waiting": {id: …}, "swept": …}
```

`upto` is the latest change that was seen. Since the platform's queries may show a change late, the
next tick asks again from a little before it, and `recent` tells what of that is known already.
"""

import dataclasses
import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from typing_extensions import Self

from roboto_dagster.platform.datasets import RemoteDataset, parse_time

VERSION = 1


class CursorError(ValueError):
    """A cursor is not one of ours, or of a version that we cannot read."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One state of a dataset that was seen.

    Attributes:
        version: Revision of the dataset's record, or of its files the time of the newest.
        modified: When it was reached.
    """

    version: str
    modified: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFeed:
    """How far one kind of change has been followed.

    Attributes:
        upto: Time of the latest change seen; None before the first tick.
        recent: By dataset, the latest state seen, as far as it may be seen again.
    """

    upto: dt.datetime | None = None
    recent: Mapping[str, Revision] = dataclasses.field(default_factory=dict)

    def knows(self, dataset_id: str, mark: Revision) -> bool:
        """Tells whether this state, or a later one, has been seen."""
        seen = self.recent.get(dataset_id)
        return seen is not None and (seen == mark or seen.modified > mark.modified)

    def start(self, overlap: dt.timedelta) -> dt.datetime | None:
        """Returns the time from which to ask again; None for everything."""
        return None if self.upto is None else self.upto - overlap

    def noting(self, seen: Mapping[str, Revision], overlap: dt.timedelta) -> Self:
        """Returns it with what was seen in addition, without what cannot be seen again."""
        recent = {**self.recent, **seen}
        times = [mark.modified for mark in recent.values()]
        upto = max([*times, self.upto] if self.upto else times, default=None)
        if upto is None:
            return self
        kept = {key: mark for key, mark in recent.items() if mark.modified >= upto - overlap}
        return dataclasses.replace(self, upto=upto, recent=kept)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A dataset that is new or has changed, and for which nothing was requested yet.

    Attributes:
        dataset: The dataset, as it was seen.
        files_modified: Time of its newest file, if that is what has changed.
    """

    dataset: RemoteDataset
    files_modified: dt.datetime | None = None

    @property
    def revision(self) -> str:
        """Identifies the state of the dataset: its id and its record's version, and its newest file if that tells."""
        version = self.dataset.version or self.dataset.modified.isoformat()
        files = f"+{self.files_modified.isoformat()}" if self.files_modified else ""
        return f"{self.dataset.dataset_id}@{version}{files}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SensorCursor:
    """What the dataset sensor remembers.

    Attributes:
        datasets: How far changes of datasets' records have been followed.
        files: How far changes of files have been followed.
        waiting: Changes that are not ready, by dataset.
        swept: When vanished datasets were last looked for.
    """

    datasets: ChangeFeed = dataclasses.field(default_factory=ChangeFeed)
    files: ChangeFeed = dataclasses.field(default_factory=ChangeFeed)
    waiting: Mapping[str, Change] = dataclasses.field(default_factory=dict)
    swept: dt.datetime | None = None

    def to_json(self) -> str:
        """Returns it as the text that Dagster keeps."""
        plain = {"version": VERSION, **dataclasses.asdict(self)}
        return json.dumps(plain, default=lambda time: time.isoformat(), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | None) -> Self:
        """Reads it; no text is the cursor of a sensor that never ran.

        Raises:
            CursorError: The text is something else.
        """
        if not text:
            return cls()
        try:
            plain = json.loads(text)
            version = plain["version"]
        except (ValueError, TypeError, KeyError):
            raise CursorError(_complaint(text)) from None
        if version != VERSION:
            msg = f"it is of version {version!r}, and this release reads version {VERSION}"
            raise CursorError(msg)
        try:
            return cls(
                datasets=_feed(plain["datasets"]),
                files=_feed(plain["files"]),
                waiting={key: _change(each) for key, each in plain["waiting"].items()},
                swept=_time(plain["swept"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            raise CursorError(_complaint(text)) from None


def _complaint(text: str) -> str:
    return f"{text[:80]!r} is none"


def _feed(plain: Mapping[str, Any]) -> ChangeFeed:
    recent = {
        key: Revision(version=each["version"], modified=parse_time(each["modified"]))
        for key, each in plain["recent"].items()
    }
    return ChangeFeed(upto=_time(plain["upto"]), recent=recent)


def _change(plain: Mapping[str, Any]) -> Change:
    dataset = plain["dataset"]
    return Change(
        dataset=RemoteDataset(
            dataset_id=str(dataset["dataset_id"]),
            version=int(dataset["version"]),
            created=parse_time(dataset["created"]),
            modified=parse_time(dataset["modified"]),
        ),
        files_modified=_time(plain["files_modified"]),
    )


def _time(text: object) -> dt.datetime | None:
    return None if text is None else parse_time(text)

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

import json
import secrets
from collections.abc import Mapping
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints, ValidationError
from typing_extensions import Self

from roboto_dagster.platform.datasets import RemoteDataset
from roboto_dagster.sensor.feed import ChangeFeed, Remembered, Revision, digest_of
from roboto_dagster.text import one_line

VERSION = 2

MAX_SEARCHED = 500
"""Most searched datasets that are remembered; those whose runs have ended need not be."""

_MAX_NAME = 200

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{0,32}$")]
DatasetId = Annotated[str, StringConstraints(pattern=r"^ds_[A-Za-z0-9_-]+$")]


class CursorError(ValueError):
    """A cursor is not one of this package, or of a version that it cannot read."""


class Change(Remembered):
    """A dataset that is new or has changed, and is not settled yet.

    Attributes:
        dataset_id: The dataset.
        name: Its name, if it has one.
        created: When it was made.
        modified: When its record or a file of it was last changed.
        digest: Digest of every change that this stands for.
        windows: Windows of time into which its changed files fall, where they decide on the
            partition.
        find_windows_from: Files created then or later are still to be checked for their windows;
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


class PendingPartition(Remembered):
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


class SensorCursor(Remembered):
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


def _version_of(text: str) -> int:
    try:
        return _Versioned.model_validate_json(text).version
    except ValidationError:
        raise CursorError(f"{one_line(text[:80])!r} is not one") from None

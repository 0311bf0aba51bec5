"""What the report about a partition has to answer, whatever was done for it: a sync, or the decoding of its logs.

```
SyncReport ─┐
            ├─► Report ─► one line of the log, sentences of a failure, metadata, an event
TopicsReport ┘
```
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Protocol

from typing_extensions import Self


class ReportedFailure(Protocol):
    """Something in a partition that is not complete, such as a file."""

    @property
    def code(self) -> str:
        """Why, as a code."""

    @property
    def reason(self) -> str:
        """Why, in a few words."""

    @property
    def transient(self) -> bool:
        """Whether a re-run may help."""

    @property
    def attempts(self) -> int:
        """How often it was tried."""

    @property
    def advice(self) -> str:
        """What to do next, in one sentence."""

    @property
    def place(self) -> Mapping[str, str]:
        """What it is about, by the name of its column in tables; such as the path of a file."""


class Report(Protocol):
    """What was done for one partition."""

    @property
    def noun(self) -> str:
        """What its failures are about, in the singular, such as `file`."""

    @property
    def dataset_ids(self) -> Sequence[str]:
        """The datasets in its scope."""

    @property
    def dataset_names(self) -> Mapping[str, str]:
        """Their names, by id, where they are known."""

    @property
    def manifest(self) -> pathlib.Path:
        """Path of the manifest, which lists everything."""

    @property
    def data_version(self) -> str | None:
        """A hash over what is on disk; None if something is not complete."""

    @property
    def failures(self) -> Sequence[ReportedFailure]:
        """Some of what is not complete."""

    @property
    def error_codes(self) -> Mapping[str, int]:
        """How many of all failures have each code, most frequent first."""

    @property
    def is_complete(self) -> bool:
        """Whether there is no failure."""

    @property
    def is_retryable(self) -> bool:
        """Whether a re-run may help."""

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing on disk was changed."""

    def summary(self) -> str:
        """Return one line about it."""

    def verdict(self, subject: str) -> str:
        """Return the sentence with which a failure starts.

        Args:
            subject: The partition and its datasets, by name.
        """

    def kept(self) -> str:
        """Return a sentence about what is complete, ending in a space; empty if nothing is."""

    def error(self) -> Exception | None:
        """Return one group of the failures; None if there is none, or if they are no errors."""

    def without_details(self) -> Self:
        """Return a copy that takes little memory: counts, and no lists."""

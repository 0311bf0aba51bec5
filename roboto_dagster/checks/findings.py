"""What an inspection gets, and what it returns; `roboto_dagster.checks.inspections` has them."""

import dataclasses
import datetime as dt
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg

from roboto_dagster.disk.tree import LocalTree
from roboto_dagster.partitions import Partitioning
from roboto_dagster.resources import RobotoResource

if TYPE_CHECKING:  # the SDK costs about a second at import
    from roboto import RobotoClient

RUN_AGAIN = "Materialize the partitions again."


class Violation(NamedTuple):
    """Something that is not as the manifest records it.

    Attributes:
        problem: What is wrong.
        partition_key: In which partition; empty if in none of them.
        relative_path: Of which file; empty if of none.
    """

    problem: str
    partition_key: str = ""
    relative_path: str = ""


class Findings(NamedTuple):
    """The result of one inspection.

    Attributes:
        checked: How much it has checked.
        violations: All that it has found.
        verified: What is true if there is no violation, such as `3 files`.
        advice: What to do about violations.
        unit: What `checked` counts. Default: files.
    """

    checked: int
    violations: Sequence[Violation]
    verified: str
    advice: str = RUN_AGAIN
    unit: str = "files"


class Platform:
    """The platform as the inspections of one run ask it, from any thread.

    Args:
        roboto: The resource.
    """

    def __init__(self, roboto: RobotoResource) -> None:
        self._roboto = roboto
        self._lock = threading.Lock()
        self._client: RobotoClient | None = None

    @property
    def org_id(self) -> str | None:
        """Organization to act for; None for the one that owns a dataset."""
        return self._roboto.org_id

    @property
    def client(self) -> "RobotoClient":
        """Its client, made once: to read the SDK's configuration takes longer than a small partition."""
        with self._lock:
            if self._client is None:
                self._client = self._roboto.get_client()
            return self._client


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is inspected, and with what.

    Attributes:
        partitioning: Of the asset.
        asset_key: The asset.
        keys: The partitions; the dataset's id where there are none.
        sample_files: How many files' bytes to read; None for all.
        max_age: How old a sync may be; None for any age.
        seed: Chooses the sample: the same one for the same seed.
        platform: The platform; None where no inspection asks it.
        is_wanted: Whether the result is still wanted; asked while files are read. Default: it is.
    """

    partitioning: Partitioning
    asset_key: dg.AssetKey
    keys: Sequence[str]
    sample_files: int | None
    max_age: dt.timedelta | None
    seed: str
    platform: "Platform | None"
    is_wanted: Callable[[], bool] = lambda: True

    def tree(self) -> LocalTree:
        """Return the files below the destination, opened without following links."""
        return LocalTree(self.partitioning.config.destination)

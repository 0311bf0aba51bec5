"""The transfer phase: what it asks a store for, and what it leaves for later."""

import concurrent.futures
import pathlib
from types import TracebackType
from typing import Any

import pytest
from typing_extensions import Self

from roboto_dagster.errors import DownloadError
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.object_store import Receipt
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.testing import LocalRoboto
from tests.conftest import Syncer

FILES = 2500
RECEIPT = Receipt(
    size_bytes=0,
    etag=None,
    checksum=None,
    verified="size",
    attempts=1,
    duration_seconds=0.1,
    request_id=None,
)
DOWN = Failure(code="CONNECTION", reason="nobody answers", transient=True)


class DownStore:
    """A store that is down when it is opened for the first time, and in order later.

    Attributes:
        asked: How many files it was asked for, each time it was opened.
    """

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __enter__(self) -> Self:
        self.asked.append(0)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
        /,
    ) -> None: ...

    @property
    def standstill(self) -> Failure | None:
        """Why every file fails."""
        return DOWN if len(self.asked) == 1 else None

    def get(self, source_uri: str, destination: pathlib.Path, on_progress: Any = None) -> Any:
        """Fail, or write a file at once."""
        del on_progress  # at once
        self.asked[-1] += 1
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        if self.standstill is None:
            destination.parent.mkdir(parents=True, exist_ok=True)
            destination.write_bytes(b"")
            future.set_result(None)
        else:
            file: Any = {"source_uri": source_uri, "destination_path": destination}
            future.set_exception(DownloadError(file, DOWN.code, DOWN.reason))
        return future


class InterruptedStore:
    """A store that is interrupted by the request for a second file, when the first is about to be renamed into place.

    Args:
        renames: Whether that is still done.
    """

    def __init__(self, *, renames: bool) -> None:
        self._renames = renames
        self._first: tuple[pathlib.Path, pathlib.Path] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
        /,
    ) -> None:
        if self._first is not None and self._renames:
            self._first[0].replace(self._first[1])

    def get(
        self,
        source_uri: str,
        destination: pathlib.Path,
        on_progress: Any = None,
        *,
        before_publish: Any = None,
        **others: Any,
    ) -> Any:
        """Leave a file that is verified beside its place, or raise."""
        del source_uri, on_progress, others
        if self._first is not None:
            raise KeyboardInterrupt
        destination.parent.mkdir(parents=True, exist_ok=True)
        temporary = destination.with_name("temporary")
        temporary.write_bytes(b"")
        before_publish(RECEIPT, temporary.stat(), None)
        self._first = temporary, destination
        return concurrent.futures.Future()


def dataset(local: LocalRoboto) -> str:
    """Return a dataset of many empty files."""
    dataset_id = local.add_dataset("many")
    for number in range(FILES):
        local.add_record(
            dataset_id, relative_path=f"{number:04d}.mcap", uri=f"s3://b/{number}", size=0
        )
    return dataset_id


def settings(store: DownStore | InterruptedStore, attempts: int) -> dict[str, Any]:
    """Return the settings of a sync that uses a store, and does not wait between attempts."""
    at_once = RetryConfig(max_attempts=attempts, wait_initial_seconds=0.0, wait_max_seconds=0.0)
    return {"open_store": lambda *_: store, "retry": at_once}


def test_a_store_that_is_down_is_not_asked_for_every_file(
    local: LocalRoboto, syncer: "Syncer"
) -> None:
    """Once every file would fail, what is left fails together, with one line and no attempt."""
    store = DownStore()
    report = syncer(dataset(local), **settings(store, 1))
    (asked,) = store.asked
    assert 0 < asked < FILES
    assert (report.error_codes, report.is_retryable) == ({"CONNECTION": FILES}, True)
    tried = [row["attempts"] for row in syncer.rows().values()]
    assert (tried.count(1), tried.count(0)) == (asked, FILES - asked)
    assert [text for _, text in syncer.lines if "not tried for now" in text] == [
        f"{FILES - asked} files not tried for now, since each would fail: CONNECTION (nobody answers)"
    ]


def test_what_was_not_tried_is_fetched_by_the_next_attempt(
    local: LocalRoboto, syncer: "Syncer"
) -> None:
    """The retry policy goes on with all files once the store is back."""
    store = DownStore()
    report = syncer(dataset(local), **settings(store, 2))
    assert (report.files_fetched, report.files_failed) == (FILES, 0)
    assert store.asked[1] == FILES
    assert [(each.files, each.failed) for each in report.attempts] == [(FILES, FILES), (FILES, 0)]


@pytest.mark.parametrize("renames", [True, False])
def test_what_is_renamed_while_an_interrupt_comes_is_noted(
    local: LocalRoboto, syncer: "Syncer", *, renames: bool
) -> None:
    """A file that is in its place is complete, although nobody has waited for it; one that is not is not."""
    with pytest.raises(KeyboardInterrupt):
        syncer(dataset(local), **settings(InterruptedStore(renames=renames), 1))
    statuses = [row["status"] for row in syncer.rows().values()]
    assert statuses.count("fetched") == renames

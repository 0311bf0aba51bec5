"""Files end, well or badly, driven by hand: no socket, no thread."""

import gc
import pathlib
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from roboto_dagster.fs.core.connections import BytesInFlight
from roboto_dagster.fs.core.coordinator import Coordinator
from roboto_dagster.fs.core.download import Download
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.response import Head
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.core.store_state import StoreState
from roboto_dagster.fs.credential_cache import CredentialCache
from roboto_dagster.fs.object_store import Transfer

DATA = b"12345678"
HEAD = Head(200, {"content-length": str(len(DATA)), "etag": '"e1"'})


class NoDriver:
    """A driver that has nothing under way."""

    def abort(self, download: Download) -> None:
        """End nothing."""

    def run_in_worker(self, work: Callable[[], Any], then: Callable[[Any], None], /) -> None:
        """Run nothing: no file here needs it."""
        raise NotImplementedError


def credentials() -> dict[str, Any]:
    """Return credentials that do not expire."""
    return {"access_key": "a", "secret_key": "s", "token": "", "region": "r", "expiry_time": None}


@pytest.fixture
def core() -> Iterator[Coordinator]:
    """A coordinator of one file at a time."""
    cache = CredentialCache(credentials, in_background=lambda work: work())  # type: ignore[arg-type] # a plain dictionary
    cache.current()
    coordinator = Coordinator(
        StoreState(S3Settings(), cache, connections=1),
        NoDriver(),
        bytes_in_flight=BytesInFlight(1 << 20),
    )
    yield coordinator
    coordinator.close()


def add(core: Coordinator, folder: pathlib.Path) -> "weakref.ref[Any]":
    """Have a file taken in; return a reference to something that lives as long as it."""

    def on_cancel(_: Transfer) -> None: ...

    download = Download(
        Transfer(on_cancel),
        "s3://bucket/key",
        "bucket",
        "key",
        folder / "file",
        within=None,
        before_publish=None,
        expected_size=None,
        on_progress=None,
        part_size=100,
        verify="auto",
    )
    core.files.add(download)
    return weakref.ref(on_cancel)


def fetch(core: Coordinator, *, failure: Failure | None = None) -> None:
    """Have the next request answered, and end."""
    request = core.next(1.0)
    assert request is not None
    assert core.validate_response(request, HEAD) is None
    request.write(DATA)
    core.released(request)
    if failure is None:
        core.completed(request, 2.0)
        core.publish_waiting()
    else:
        core.failed(request, failure, 2.0)


@pytest.mark.parametrize(
    "failure",
    [None, Failure(code="NOT_FOUND", reason="gone", remedy="fail")],
    ids=["published", "failed"],
)
def test_a_file_that_has_ended_is_no_garbage_of_a_cycle(
    core: Coordinator, tmp_path: pathlib.Path, failure: Failure | None
) -> None:
    """It goes when nobody holds it: thousands of cycles make the collector walk all that the process holds."""
    file = add(core, tmp_path)
    gc.disable()
    try:
        fetch(core, failure=failure)
        assert file() is None
    finally:
        gc.enable()

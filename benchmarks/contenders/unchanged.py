"""Syncs a dataset whose files are all there: `python -m benchmarks.contenders.unchanged JOB [prepare]`.

To prepare, a store of our own links every file to one that exists, so that a million files need no
hour and no space; the rest of that first sync is the real one. The measured sync must open no store.
"""

import os
import pathlib
import sys
from concurrent.futures import Future
from types import TracebackType

import pyarrow.parquet  # noqa: F401 - imports do not count
import roboto  # noqa: F401 - likewise
from typing_extensions import Self

from benchmarks.contenders.job import Job, run
from roboto_dagster import DownloadSession, ObjectStore, RobotoResource
from roboto_dagster.platform.scope import Scope
from roboto_dagster.sync.options import SyncSettings
from roboto_dagster.sync.run import sync


class LinkStore:
    """Gets every object by linking one and the same file."""

    def __init__(self, original: pathlib.Path) -> None:
        self._original = original

    @classmethod
    def create(cls, credential_provider: object, **_: object) -> "LinkStore":
        """Part of the protocol."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
        /,
    ) -> None: ...

    def put(
        self, source: pathlib.Path, destination_uri: str, on_progress: object = None
    ) -> "Future[None]":
        """Part of the protocol."""
        raise NotImplementedError

    def get(
        self,
        source_uri: str,  # noqa: ARG002 - part of the protocol
        destination: pathlib.Path,
        on_progress: object = None,  # noqa: ARG002 - likewise
    ) -> "Future[None]":
        """Links a file."""
        if not destination.parent.exists():
            destination.parent.mkdir(parents=True)
        os.link(self._original, destination)
        done: Future[None] = Future()
        done.set_result(None)
        return done


def prepare(job: Job) -> dict[str, int]:
    """Makes what a first run leaves behind."""
    original = pathlib.Path(job.destination, "original")
    original.write_bytes(bytes(job.shape.size_bytes))
    return _sync(job, LinkStore(original))


def sync_unchanged(job: Job) -> dict[str, int]:
    """Syncs again; fails if a store is opened or a file is not unchanged."""
    counted = _sync(job, None)
    if counted["unchanged"] != job.shape.files:
        raise ValueError(f"{counted['unchanged']} of {job.shape.files} files unchanged")
    return counted


def _sync(job: Job, store: LinkStore | None) -> dict[str, int]:
    def open_store(_session: DownloadSession, uri: str, *_: object) -> ObjectStore:
        if store is None:
            raise ValueError(f"the store is asked for {uri}")
        return store

    client = RobotoResource(api_key="benchmark", endpoint=job.api_url).get_client()
    destination = pathlib.Path(job.destination, "files")
    report = sync(
        [Scope(dataset_id=job.shape.dataset_id)],
        SyncSettings(
            client=client,
            open_store=open_store,
            destination=destination,
            manifest=destination / ".roboto" / "manifest.parquet",
        ),
    )
    if report.failures:
        raise report.failures[0]
    return {"unchanged": report.files_unchanged, "fetched": report.files_fetched}


if __name__ == "__main__":
    run(prepare if "prepare" in sys.argv else sync_unchanged)

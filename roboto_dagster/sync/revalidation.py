"""Asks the store about files on disk before they are downloaded again: one HEAD instead of all their bytes.

```
another version of the record, same URI and size (a tag was edited) ─► HEAD ─► the known ETag? ──────────────► kept
the manifest was damaged, a file of the recorded size is on disk ────► HEAD ─► its checksum is the file's? ──► kept
                                                                                  otherwise ─────────────────► fetched
```

Whatever goes wrong here only means that the file is fetched, which will name what is wrong.
"""

import concurrent.futures
import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from roboto_dagster.disk.tree import LocalTree
from roboto_dagster.fs.core.response import pinning_etag
from roboto_dagster.fs.object_store import ObjectStore
from roboto_dagster.sync import inventory_sql as sql
from roboto_dagster.sync.inventory import Inventory, PlannedFile, batched, planned_file
from roboto_dagster.sync.known import KnownRow
from roboto_dagster.sync.known_files import KnownFiles
from roboto_dagster.sync.progress import Log
from roboto_dagster.text import count

OpenFirst = Callable[[PlannedFile], contextlib.AbstractContextManager[ObjectStore]]
"""Opens the store for the source of a file."""

Headers = Mapping[str, str]

_THREADS = 16
_BATCH = 1000


class _Candidate(NamedTuple):
    planned: PlannedFile
    etag: str | None
    on_disk: tuple[int, int]


class Revalidator:
    """Finds out which files on disk are what the platform lists. For one thread.

    Args:
        inventory: The files.
        tree: The destination.
        open_store: Opens the store for the source of a file.
        log: Where lines go.
    """

    def __init__(
        self, inventory: Inventory, tree: LocalTree, open_store: OpenFirst, log: Log
    ) -> None:
        self._inventory = inventory
        self._known = KnownFiles(inventory)
        self._tree = tree
        self._open_store = open_store
        self._log = log

    def keep_unchanged_objects(self) -> None:
        """Keep files whose record has another version, and whose object is the one that was fetched."""
        self._keep(sql.OTHER_VERSIONS, self._has_known_etag)

    def keep_right_contents(self) -> None:
        """Keep files that nothing is known about, and whose bytes are those of the object."""
        self._keep(sql.UNKNOWN_ON_DISK, self._has_checksum)

    def _keep(self, query: str, is_right: "_IsRight") -> None:
        kept = 0
        for source in self._inventory.sources():
            rows = self._inventory.pages(query, *source)
            for batch in batched(map(_candidate, rows), _BATCH):
                right = self._right_ones(batch, is_right)
                self._inventory.plan_keeps(right)
                kept += len(right)
        if kept:
            self._log(
                logging.INFO,
                f"{count(kept, 'file')} on disk kept: the store holds the same content",
            )

    def _right_ones(self, candidates: list[_Candidate], is_right: "_IsRight") -> list[int]:
        right: list[int] = []
        try:
            with self._open_store(candidates[0].planned) as store:
                right.extend(
                    candidate.planned.seq
                    for candidate, headers in _heads(store, candidates)
                    if is_right(candidate, headers)
                )
        except Exception as error:  # noqa: BLE001 -- any store may fail in any way; the transfer will name it
            self._log(logging.DEBUG, f"the store could not be asked: {type(error).__name__}")
        return right

    def _has_known_etag(self, candidate: _Candidate, headers: Headers) -> bool:
        return (
            candidate.etag is not None
            and pinning_etag(headers) == candidate.etag
            and headers.get("content-length") == str(candidate.planned.remote.size_bytes)
        )

    def _has_checksum(self, candidate: _Candidate, headers: Headers) -> bool:
        """Read a local file and compare it with the store's checksum; the facts are noted if it is right."""
        # Here, since it imports awscrt: whoever only defines an asset does not pay for that.
        from roboto_dagster.fs.core.checksums import stored_checksum, verify_file

        stored, planned = stored_checksum(headers), candidate.planned
        if stored is None:
            return False
        try:
            with self._tree.open(planned.path) as file:
                status = os.fstat(file.fileno())
                verified = verify_file(file.fileno(), stored)
        except (OSError, ValueError):  # unreadable, or other bytes
            return False
        if (status.st_size, status.st_mtime_ns) != candidate.on_disk:
            return False
        remote, (size_bytes, mtime_ns) = planned.remote, candidate.on_disk
        self._known.add(
            [
                KnownRow(
                    dataset_id=planned.dataset_id,
                    relative_path=remote.relative_path,
                    file_id=remote.file_id,
                    version=remote.version,
                    size_bytes=size_bytes,
                    mtime_ns=mtime_ns,
                    uri=remote.uri,
                    etag=pinning_etag(headers),
                    checksum=stored.text,
                    verified=verified,
                    fetched_at=time.time_ns() // 1000,
                )
            ]
        )
        return True


_IsRight = Callable[[_Candidate, Headers], bool]


def _candidate(row: Sequence[Any]) -> _Candidate:
    return _Candidate(planned_file(row), row[-3], (row[-2], row[-1]))


def _heads(
    store: ObjectStore, candidates: list[_Candidate]
) -> Iterator[tuple[_Candidate, Headers]]:
    """Yield the headers of objects, asked for side by side; those that cannot be had are left out."""
    head: Callable[[str], Headers] | None = getattr(store, "head", None)
    if head is None:
        return

    def ask(candidate: _Candidate) -> Headers | None:
        try:
            return head(candidate.planned.remote.uri)
        except Exception:  # noqa: BLE001 -- as any failure of a store: the transfer will name it
            return None

    with concurrent.futures.ThreadPoolExecutor(_THREADS, "roboto-head") as pool:
        for candidate, headers in zip(candidates, pool.map(ask, candidates), strict=True):
            if headers is not None:
                yield candidate, headers

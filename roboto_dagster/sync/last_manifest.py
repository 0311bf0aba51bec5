"""What the last manifest records of listed files, found while the files are listed.

```
             ┌─ the next rows are of the very files that are listed next ─┐
manifest ─► batch                                                         ├─┬─ the same record ─► the file's own row
             └─ otherwise ─► window of some thousand rows, by path ───────┘ └─ another one, or no listed file ─► `known`
```

Most syncs list files in the order of the one before, which is the order of its manifest. So nearly all rows are found in
the window, and need neither a row in `known` nor a search for it: measured, a quarter of the time of a sync that finds
nothing changed. Where the order is another, what is recorded of files goes through `known`, with the same result.
"""

import collections
import operator
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

from roboto_dagster.errors import ManifestError
from roboto_dagster.platform.records import RemoteFile
from roboto_dagster.sync.known import KnownRow

# So many are in memory only where rows are missing or the order is another: some 30 MiB.
_MAX_BATCHES = 4

_Key = tuple[str, str]
"""Dataset and relative path."""

_key_of = operator.itemgetter(0, 1)  # of a `KnownRow`


class LastManifest:
    """Finds rows of the last manifest. For one thread.

    Args:
        batches: Its rows, many at a time; may raise a `ManifestError` anywhere.
        add_known: Takes the rows that are not found.

    Attributes:
        error: Why the rest of it could not be read; None if it could.
        has_found: Whether `find` has returned a row.
    """

    def __init__(
        self,
        batches: Generator[Iterable[KnownRow], None, None],
        add_known: Callable[[Iterable[KnownRow]], None],
    ) -> None:
        self._batches = batches
        self._add_known = add_known
        self._next: list[KnownRow] = []
        self._window: collections.deque[dict[_Key, KnownRow]] = collections.deque()
        self._newest_size = 0
        self.error: ManifestError | None = None
        self.has_found = False

    def find(self, dataset_id: str, files: Sequence[RemoteFile]) -> Sequence[KnownRow | None]:
        """Return what is recorded of files whose record and URI are those that were fetched.

        Args:
            dataset_id: Their dataset.
            files: Some hundreds, in the order of the listing.

        Returns:
            A row, or None, for each of them. A row is given away once.
        """
        rows = self._take_next(dataset_id, files)
        if rows is None:
            rows = self._take([(dataset_id, file[2]) for file in files])
        others = [
            number
            for number, (row, file) in enumerate(zip(rows, files, strict=True))
            if row is not None
            and not (row[2] == file[0] and row[3] == file[1] and row[6] == file[4])
        ]
        self._add_known(filter(None, map(rows.__getitem__, others)))
        for number in others:
            rows[number] = None
        self.has_found = self.has_found or any(rows)
        return rows

    def add_rest(self) -> None:
        """Add what was not found to what is known."""
        self._spread()
        while self._window or self._read_batch():
            self._add_known(self._window.popleft().values())

    def close(self) -> None:
        """Close the manifest, and forget what was not found."""
        self._next = []
        self._window.clear()
        self._batches.close()

    def _take_next(
        self, dataset_id: str, files: Sequence[RemoteFile]
    ) -> list[KnownRow | None] | None:
        """Take the next rows if they are of these files, in this order; None if not."""
        if self._window:
            return None
        if len(self._next) < len(files):
            self._next += self._read()
        rows = self._next[: len(files)]
        if [row[1] for row in rows] == [file[2] for file in files] and all(
            row[0] == dataset_id for row in rows
        ):
            del self._next[: len(files)]
            return [*rows]
        self._spread()
        return None

    def _spread(self) -> None:
        """Move the next rows into the window."""
        if self._next:
            self._window.append(dict(zip(map(_key_of, self._next), self._next, strict=True)))
            self._newest_size = len(self._window[-1])
            self._next = []

    def _take(self, keys: Sequence[_Key]) -> list[KnownRow | None]:
        rows: list[KnownRow | None] = [None] * len(keys)
        missing: Sequence[int] = range(len(keys))
        for batch in self._ahead():
            for number in missing:
                rows[number] = batch.pop(keys[number], None)
            missing = [number for number in missing if rows[number] is None]
            if not missing:
                break
        while self._window and not self._window[0]:
            self._window.popleft()
        return rows

    def _ahead(self) -> Iterator[dict[_Key, KnownRow]]:
        """Yield the batches of the window, and further ones. A full window moves on if its last batch was of use."""
        number = 0
        while number < len(self._window) or self._read_batch():
            yield self._window[number]
            number += 1
            if number == _MAX_BATCHES:
                if len(self._window[-1]) == self._newest_size:
                    return
                self._add_known(self._window.popleft().values())
                number -= 1

    def _read_batch(self) -> bool:
        """Read one more batch into the window; False at the end."""
        self._next = self._read()
        has_rows = bool(self._next)
        self._spread()
        return has_rows

    def _read(self) -> list[KnownRow]:
        """Return one more batch, which has rows; none at the end."""
        try:
            return next((rows for rows in map(list, self._batches) if rows), [])
        except ManifestError as error:
            self.error = error
            return []

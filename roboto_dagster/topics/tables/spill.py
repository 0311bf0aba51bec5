"""Rows of one table that wait on the disk until a row group is full, or there is room for its writer."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from roboto_dagster.disk.temp_folder import PartialFolder

if TYPE_CHECKING:
    import pyarrow as pa

_LARGE_ROW_BYTES = 1024 * 1024


class Spill:
    """A temporary file of record batches, in the order in which they came. For one thread.

    Each call appends a stream of Arrow's IPC format to the file, which is open only meanwhile.

    Args:
        folder: Where it is.
        name: Its name there.

    Attributes:
        rows: How many rows wait.
        size_bytes: Their size in memory.
    """

    def __init__(self, folder: PartialFolder, name: str) -> None:
        self.rows = 0
        self.size_bytes = 0
        self._folder = folder
        self._name = name
        self._streams = 0

    def append(self, batches: Sequence["pa.RecordBatch"]) -> None:
        """Write batches to the end of the file.

        Args:
            batches: At least one.

        Raises:
            OSError: They cannot be written.
        """
        import pyarrow as pa

        fd = self._folder.append(self._name) if self.rows else self._folder.create(self._name)
        size_bytes = sum(batch.nbytes for batch in batches)
        # Sensors repeat themselves: compressed, it takes a fraction of the disk, and hardly longer. Large rows are images,
        # which do not, and would be in memory twice.
        are_large = size_bytes > _LARGE_ROW_BYTES * sum(batch.num_rows for batch in batches)
        options = pa.ipc.IpcWriteOptions(compression=None if are_large else "lz4")
        with (
            os.fdopen(fd, "wb") as file,
            pa.ipc.new_stream(file, batches[0].schema, options=options) as stream,
        ):
            for batch in batches:
                stream.write_batch(batch)
        self._streams += 1
        self.rows += sum(batch.num_rows for batch in batches)
        self.size_bytes += size_bytes
        pa.default_memory_pool().release_unused()

    def take(self) -> "Iterator[pa.RecordBatch]":
        """Yield what is in the file, and remove it at the end.

        Raises:
            OSError: It cannot be read.
        """
        import pyarrow as pa

        if not self.rows:
            return
        with os.fdopen(self._folder.append(self._name), "rb") as file:
            file.seek(0)
            for _ in range(self._streams):
                with pa.ipc.open_stream(file) as stream:
                    yield from stream
        self.discard()

    def discard(self) -> None:
        """Remove the file.

        Raises:
            OSError: It cannot be removed.
        """
        if self.rows:
            self.rows = self.size_bytes = self._streams = 0
            self._folder.remove(self._name)

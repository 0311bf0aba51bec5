"""Where the benchmarks keep what they serve and what is fetched."""

import contextlib
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

_ROOM_BYTES = 6 * 1024**3


@contextlib.contextmanager
def workspace() -> Iterator[pathlib.Path]:
    """Make a folder on memory where there is room for it, else where temporary files go."""
    memory = pathlib.Path("/dev/shm")  # noqa: S108 - a private folder is made in it
    has_room = memory.is_dir() and shutil.disk_usage(memory).free > _ROOM_BYTES
    with tempfile.TemporaryDirectory(
        prefix="roboto-bench-", dir=memory if has_room else None
    ) as folder:
        yield pathlib.Path(folder)

"""Where Arrow writes a file that Python has opened."""

import os
import pathlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_BUFFER_BYTES = 64 * 1024


def arrow_sink(fd: int) -> "pa.NativeFile":
    """Return a stream to the end of an open file.

    Arrow copies all that it writes to a file of Python; a file of its own it writes as it is.

    Args:
        fd: Descriptor of a file that is empty. The caller closes it, after the stream.

    Raises:
        OSError: It cannot be opened.
    """
    import pyarrow as pa

    path = pathlib.Path(f"/dev/fd/{fd}")
    if not _is_same(path, fd):  # not every system has it
        return pa.PythonFile(os.fdopen(os.dup(fd), "wb"), "w")
    return pa.BufferedOutputStream(pa.OSFile(str(path), "wb"), _BUFFER_BYTES)


def _is_same(path: pathlib.Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except OSError:
        return False

"""Puts the tests' temporary files into memory, where the system has a folder for that: /dev/shm.

pytest loads this as a plugin (`-p tests.temp_plugin`, in pyproject.toml). Tests make tens of thousands of small
files, and databases that are flushed at every commit; a disk takes twenty times as long as memory does. Whoever sets
TMPDIR chooses another folder.
"""

import os
import pathlib
import shutil
import tempfile

import pytest

_SHARED_MEMORY = pathlib.Path("/dev/shm")  # noqa: S108 - pytest makes a folder of its own in there
_NEEDED_BYTES = 2 * 2**30


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Choose the folder before anybody asks for one; workers and the processes of tests inherit it."""
    if "TMPDIR" not in os.environ and is_fit(_SHARED_MEMORY):
        os.environ["TMPDIR"] = str(_SHARED_MEMORY)
        tempfile.tempdir = None  # decided before, perhaps


def is_fit(folder: pathlib.Path) -> bool:
    """Report whether a folder has room for the tests, and may hold programs.

    Args:
        folder: A folder, which need not exist.
    """
    if not os.access(folder, os.W_OK | os.X_OK):
        return False
    is_noexec = os.statvfs(folder).f_flag & os.ST_NOEXEC
    return not is_noexec and shutil.disk_usage(folder).free >= _NEEDED_BYTES

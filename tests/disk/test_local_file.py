"""Files that others may have put there: opened only if they are regular, without waiting, up to a size."""

import errno
import os
import pathlib
import socket
from collections.abc import Callable

import pytest

from roboto_dagster.disk.local_file import open_regular


def test_a_regular_file_is_read(tmp_path: pathlib.Path) -> None:
    """Its bytes come back."""
    (tmp_path / "a").write_bytes(b"bytes")
    with open_regular(tmp_path / "a", tmp_path, max_bytes=5) as file:
        assert file.read() == b"bytes"


def make_socket(path: pathlib.Path) -> None:
    """Leave a Unix socket at a path."""
    here = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{here}/{path.name}")
    finally:
        os.close(here)


@pytest.mark.parametrize(
    ("make", "number", "words"),
    [
        pytest.param(os.mkfifo, errno.EINVAL, "a FIFO", id="fifo"),
        pytest.param(os.mkdir, errno.EINVAL, "a folder", id="folder"),
        pytest.param(make_socket, errno.EINVAL, "a socket", id="socket"),
        pytest.param(
            lambda path: path.symlink_to("/dev/zero"), errno.ELOOP, "a symbolic link", id="link"
        ),
    ],
)
def test_anything_else_is_refused_at_once(
    tmp_path: pathlib.Path, make: Callable[[pathlib.Path], None], number: int, words: str
) -> None:
    """What is not a regular file is named as what it is, and nobody waits for it."""
    make(tmp_path / "a")
    with pytest.raises(OSError, match=words) as caught:
        open_regular(tmp_path / "a", tmp_path)
    assert (caught.value.errno, caught.value.filename) == (number, str(tmp_path / "a"))


def test_a_device_is_refused() -> None:
    """A device is not opened, even where the path is trusted."""
    with pytest.raises(OSError, match="a character device"):
        open_regular(pathlib.Path("/dev/null"))


def test_a_large_file_is_refused(tmp_path: pathlib.Path) -> None:
    """What is larger than expected is not read."""
    (tmp_path / "a").write_bytes(b"bytes")
    with pytest.raises(OSError, match="larger than") as caught:
        open_regular(tmp_path / "a", max_bytes=4)
    assert caught.value.errno == errno.EFBIG


def test_a_link_on_the_way_is_refused(tmp_path: pathlib.Path) -> None:
    """Below the boundary no link is followed."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_bytes(b"bytes")
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(OSError, match="symbolic link"):
        open_regular(tmp_path / "link" / "a", tmp_path)


def test_a_refusal_leaves_no_descriptor_open(tmp_path: pathlib.Path) -> None:
    """The folder is closed whatever comes of it."""
    os.mkfifo(tmp_path / "a")
    before = sum(1 for _ in pathlib.Path("/dev/fd").iterdir())
    with pytest.raises(OSError, match="a FIFO") as caught:
        open_regular(tmp_path / "a", tmp_path)
    assert caught.value.errno == errno.EINVAL
    assert sum(1 for _ in pathlib.Path("/dev/fd").iterdir()) == before

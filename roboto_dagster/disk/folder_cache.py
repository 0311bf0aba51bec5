"""Folders that are kept open while files are fetched into them."""

import pathlib
from collections import OrderedDict

from roboto_dagster.disk.folder import Folder


class FolderCache:
    """The folders last used, kept open: most files are beside the one before. For one thread.

    Args:
        size: How many folders are kept open.
    """

    def __init__(self, size: int = 64) -> None:
        self._size = size
        # By text: comparing paths takes longer than opening a file.
        self._folders: OrderedDict[tuple[str, pathlib.Path | None], Folder] = OrderedDict()

    def get(self, path: str, within: pathlib.Path | None = None, *, create: bool = True) -> Folder:
        """Return the open folder, opening it if need be, or again if it was removed meanwhile.

        The cache closes it; who keeps it calls `share`.

        Args:
            path: The folder.
            within: A parent of it below which no link is followed; None trusts all of the path.
            create: Whether to make folders that are missing.

        Raises:
            OSError: It cannot be made or opened; `errno.ELOOP` if a link is in the way.
        """
        key = (path, within)
        folder = self._folders.pop(key, None)
        if folder is not None and folder.is_removed:
            folder.close()
            folder = None
        if folder is None:
            folder = Folder.open(pathlib.Path(path), within, create=create)
        self._folders[key] = folder
        if len(self._folders) > self._size:
            self._folders.popitem(last=False)[1].close()
        return folder

    def close(self) -> None:
        """Close all folders that nobody else uses; the cache may be used again."""
        while self._folders:
            self._folders.popitem()[1].close()

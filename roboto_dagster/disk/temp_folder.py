"""A folder that is being filled: hidden under a temporary name beside its target, then published by one rename.

```
              ┌──► discard ──► removed
 PartialFolder┤                 nothing in its place                 one rename
              └──► publish ──┤  what earlier runs published      ──► old one set aside, one rename, old one removed
                                and files of the user's, too         old files removed, new ones moved in
```

A reader finds the old files, for an instant none, or the new ones; never some of each. What a killed run left is removed
by `cleanup`: the record of the run proves whose the temporary folder is.
"""

import contextlib
import errno
import os
import pathlib
import stat
from collections.abc import Collection

from typing_extensions import Self

from roboto_dagster.disk import owner
from roboto_dagster.disk.folder import Durability, Folder
from roboto_dagster.disk.local_file import create_in, open_in
from roboto_dagster.disk.run_record import RunRecord

UNFINISHED_SUFFIX = ".part"
PUBLISHED_SUFFIX = ".parquet"
"""The only files that a temporary folder holds; whatever else is in it is not ours."""

_ATTEMPTS = 5  # of publishing, where other runs publish the same folder meanwhile


class PartialFolder:
    """One folder being filled under a temporary name; use it in a `with`, which discards what was not published.

    Args:
        target: Where it will be published.
        within: A parent of it below which no link is followed.
        record: Proves that it is this run's.
        durability: What is forced to the disk when it is published.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(
        self,
        target: pathlib.Path,
        within: pathlib.Path,
        record: RunRecord,
        durability: Durability = "none",
    ) -> None:
        self._name = target.name
        self._record = record
        self._durability = durability
        self._parent = Folder.open(target.parent, within)
        self._temporary = ""
        try:
            record.add_folder(self._parent.where)
            self._temporary = self._new_name()
            os.mkdir(self._parent.name_of(self._temporary), dir_fd=self._parent.fd)
            self._folder = self._parent.child(self._temporary)
        except BaseException:
            self._parent.close()
            raise

    @property
    def path(self) -> pathlib.Path:
        """Where it is until it is published."""
        return self._folder.path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def create(self, name: str) -> int:
        """Make a file in it.

        Args:
            name: Ends with `UNFINISHED_SUFFIX`.

        Returns:
            A descriptor for reading and writing, to be closed by the caller.

        Raises:
            OSError: It cannot be made.
        """
        return create_in(self._folder, name)

    def append(self, name: str) -> int:
        """Open a file that was made here, to read it or to write to its end.

        Args:
            name: As it was created.

        Returns:
            A descriptor, to be closed by the caller.

        Raises:
            OSError: It cannot be opened.
        """
        return open_in(self._folder, name, os.O_RDWR | os.O_APPEND)

    def finish(self, name: str, final_name: str) -> None:
        """Give a file that is complete its final name; its modification time is that of the end of writing.

        Args:
            name: As it was created.
            final_name: Ends with `PUBLISHED_SUFFIX`.

        Raises:
            OSError: It cannot be renamed.
        """
        self._folder.rename(name, final_name)

    def remove(self, name: str) -> None:
        """Remove a file from it.

        Raises:
            OSError: It cannot be removed.
        """
        self._folder.remove(name)

    def lstat(self, name: str) -> os.stat_result:
        """Return the status of a file in it.

        Raises:
            OSError: There is none.
        """
        return self._folder.lstat(name)

    def publish(self, earlier: Collection[str]) -> None:
        """Rename it to its final name, in place of what earlier runs published.

        Args:
            earlier: Names of the files that earlier runs published there, and nobody else.

        Raises:
            OSError: It cannot be published; `FileExistsError` if something of somebody else's is in its place.
        """
        if self._durability != "none":
            self._folder.flush()
        for is_last in (*(_ATTEMPTS - 1) * [False], True):
            try:
                self._replace(frozenset(earlier))
                break
            except OSError as error:  # another run publishes it, too
                if is_last or error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                    raise
        self._temporary = ""
        if self._durability == "full":
            self._parent.flush()

    def _replace(self, earlier: frozenset[str]) -> None:
        present = _names_in(self._parent, self._name)
        if present is None:
            self._rename(self._temporary, self._name)
        elif earlier.issuperset(present):
            self._swap(earlier)
        else:
            self._merge(earlier, present)

    def _swap(self, earlier: frozenset[str]) -> None:
        """Put the old folder aside, rename, and remove the old one."""
        aside = self._new_name()
        self._rename(self._name, aside)
        try:
            self._rename(self._temporary, self._name)
        except BaseException:
            with contextlib.suppress(OSError):
                self._rename(aside, self._name)
            raise
        self._remove_aside(aside, earlier)

    def _remove_aside(self, aside: str, earlier: frozenset[str]) -> None:
        """Remove the old folder; what came into it meanwhile goes to the new one."""
        try:
            with self._parent.child(aside) as old, self._parent.child(self._name) as new:
                for name in old.names():
                    if name in earlier:
                        old.remove(name)
                    elif not _is_there(new, name):
                        _move(old, new, name)
            self._parent.remove_folder(aside)
        except OSError:
            self._leave(aside)

    def _leave(self, name: str) -> None:
        """Leave a temporary folder to the `cleanup` of a later run."""
        self._record.add_left(f"{self._parent.where}/{name}".lstrip("/"))

    def _merge(self, earlier: frozenset[str], present: Collection[str]) -> None:
        """Put the files beside those of the user's, in their folder."""
        names = self._folder.names()
        foreign = set(present) - earlier
        for name in names:
            if name in foreign:
                reason = "a file that this asset did not write is in its place: move it away"
                raise FileExistsError(errno.EPERM, reason, f"{self._name}/{name}")
        with self._parent.child(self._name) as target:
            for name in earlier & set(present):
                target.remove(name)
            for name in names:
                _move(self._folder, target, name)
        self._parent.remove_folder(self._temporary)

    def discard(self) -> None:
        """Close it, and remove it unless it was published."""
        self._folder.close()
        temporary, self._temporary = self._temporary, ""
        try:
            if temporary:
                remove_temporary(self._parent, temporary)
        except OSError:
            self._leave(temporary)
        finally:
            self._parent.close()

    def _new_name(self) -> str:
        return owner.new_name(self._name, self._record.token)

    def _rename(self, old: str, new: str) -> None:
        # Not `os.replace`, which other systems refuse for folders; where there is a file, this fails everywhere.
        parent = self._parent
        os.rename(
            parent.name_of(old), parent.name_of(new), src_dir_fd=parent.fd, dst_dir_fd=parent.fd
        )


def remove_temporary(parent: Folder, name: str) -> None:
    """Remove a temporary folder with the files that it may hold; what else is in it stays, and the folder with it.

    Args:
        parent: The open folder that it is in.
        name: Its name.

    Raises:
        OSError: It could not be removed.
    """
    with parent.child(name) as folder:
        for each in folder.names():
            if each.endswith((UNFINISHED_SUFFIX, PUBLISHED_SUFFIX)):
                folder.remove(each)
    parent.remove_folder(name)


def _names_in(parent: Folder, name: str) -> list[str] | None:
    """Return the names of everything in a folder of an open one; None if there is nothing of that name."""
    try:
        mode = parent.lstat(name).st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISDIR(mode):
        reason = "something that is no folder is in its place: move it away"
        raise FileExistsError(errno.EPERM, reason, name)
    with parent.child(name) as folder:
        return folder.names()


def _is_there(folder: Folder, name: str) -> bool:
    try:
        folder.lstat(name)
    except FileNotFoundError:
        return False
    return True


def _move(source: Folder, target: Folder, name: str) -> None:
    os.rename(
        source.name_of(name), target.name_of(name), src_dir_fd=source.fd, dst_dir_fd=target.fd
    )

"""Removes files that the platform no longer has, if that is asked for, and only what is certain.

```
not_listed ─► in this sync's scope? ─► gone, by a lookup of its record? ─► as published on disk? ─► removed
                 no │                      no │                              no │
                    └──────── stays ──────────┴──────────── stays ─────────────┴─ forgotten: the user's now
```
"""

import concurrent.futures
import logging
from collections.abc import Mapping, Sequence

from roboto_dagster.disk.tree import LocalTree
from roboto_dagster.errors import RemovalError
from roboto_dagster.platform.files import is_gone
from roboto_dagster.platform.scope import Matcher, Scope
from roboto_dagster.sync.inventory import batched
from roboto_dagster.sync.options import SyncSettings
from roboto_dagster.sync.unlisted import Unlisted, UnlistedFile
from roboto_dagster.text import count, one_line

_LOOKUPS_AT_ONCE = 8
_BATCH = 100


class Remover:
    """Removes the unlisted files of one sync. For one thread.

    Args:
        unlisted: Which files are not listed.
        tree: The destination.
        scopes: What was listed.
        settings: Whether to remove, and how many at most.
    """

    def __init__(
        self, unlisted: Unlisted, tree: LocalTree, scopes: Sequence[Scope], settings: SyncSettings
    ) -> None:
        self._unlisted = unlisted
        self._tree = tree
        self._settings = settings
        self._matchers: Mapping[str, Matcher] = {
            scope.dataset_id: scope.matcher() for scope in scopes
        }
        self._missing: int | None = None

    def remove_all(self) -> None:
        """Remove everything that is in scope and gone from the platform.

        Raises:
            RemovalError: That would be more files than `max_removals`; none was removed.
            PlatformError: The platform could not be asked about a file.
        """
        if self._settings.options.on_missing != "remove":
            return
        if not self._within_limit():
            raise RemovalError(
                f"{self._missing} files of {', '.join(self._matchers)} are no longer listed by the platform, more than "
                f"max_removals={self._settings.options.max_removals}, so none was removed. If that is right, raise "
                "max_removals."
            )
        with concurrent.futures.ThreadPoolExecutor(_LOOKUPS_AT_ONCE, "roboto-lookup") as pool:
            for files in batched(filter(self._in_scope, self._unlisted.files()), _BATCH):
                for file, is_certain in zip(files, pool.map(self._is_gone, files), strict=True):
                    self._remove(file, is_certain=is_certain)

    def remove_now(self, file: UnlistedFile) -> bool:
        """Remove one file that is in the way of others, before they are fetched.

        Args:
            file: The file.

        Returns:
            Whether it is gone; False if removal is not asked for, not allowed, or the platform still has the file.
        """
        if self._settings.options.on_missing != "remove" or not self._in_scope(file):
            return False
        return self._within_limit() and self._remove(file, is_certain=self._is_gone(file))

    def _in_scope(self, file: UnlistedFile) -> bool:
        # A file that the patterns now leave out was not listed for that reason alone.
        matcher = self._matchers.get(file.dataset_id)
        return matcher is not None and matcher.matches(file.relative_path)

    def _within_limit(self) -> bool:
        if self._missing is None:  # counted once, before the first removal
            self._missing = sum(map(self._in_scope, self._unlisted.files()))
        return self._missing <= self._settings.options.max_removals

    def _is_gone(self, file: UnlistedFile) -> bool:
        client = self._settings.client
        return is_gone(client, file.dataset_id, file.known.file_id, file.relative_path)

    def _remove(self, file: UnlistedFile, *, is_certain: bool) -> bool:
        log, name = self._settings.log, one_line(file.relative_path)
        if not is_certain:
            log(
                logging.WARNING,
                f"kept {name}: {file.dataset_id} did not list it, but the platform still has its record",
            )
            return False
        result = self._tree.remove(
            file.path, size_bytes=file.known.size_bytes, mtime_ns=file.known.mtime_ns
        )
        if result in ("removed", "absent"):
            self._unlisted.note_removed(file)
            log(logging.INFO, f"removed {name}, which {file.dataset_id} no longer has")
            return True
        if result == "changed":
            self._unlisted.forget(file)
        log(
            logging.WARNING,
            f"{count(1, 'file')} that {file.dataset_id} no longer has was kept: {name} ({result})",
        )
        return False

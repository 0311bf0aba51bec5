"""The items of a sync's sessions, and the border to object stores that others wrote."""

import concurrent.futures
import pathlib
from collections.abc import Callable

from roboto_dagster.errors import ConfigurationError, DownloadError, from_os_error
from roboto_dagster.fs.object_store import FutureLike, Receipt
from roboto_dagster.sync.inventory import PlannedFile
from roboto_dagster.sync.publisher import Published
from roboto_dagster.types import DownloadableFile

Get = Callable[[DownloadableFile], FutureLike[None]]
"""Starts the download of one item of a session."""


class PlannedDownload(DownloadableFile):
    """A file of the session that remembers its place in the plan; errors of a sync carry it as
    their `file`.

    Attributes:
        relative_path: Where the platform puts it in its dataset.
        planned: Its row in the inventory.
    """

    relative_path: str
    planned: PlannedFile


class Downloads:
    """Makes the items of a session. For one thread.

    Args:
        destination: The folder that the user chose.
    """

    def __init__(self, destination: pathlib.Path) -> None:
        self._destination = destination
        self._folder = ("", destination)

    def of(self, planned: PlannedFile) -> PlannedDownload:
        """Make the item for a file of the plan.

        Args:
            planned: The file.
        """
        folder, _, name = planned.path.rpartition("/")
        if (
            folder != self._folder[0]
        ):  # most files are beside the one before, and paths take long to make
            self._folder = (folder, self._destination / folder)
        return PlannedDownload(
            bucket_name=planned.remote.bucket_name,
            source_uri=planned.remote.uri,
            destination_path=self._folder[1] / name,
            relative_path=planned.remote.relative_path,
            planned=planned,
        )


def planned_of(file: DownloadableFile) -> PlannedFile:
    """Return the row in the inventory of a file that a sync's session yields."""
    planned: PlannedFile = file["planned"]  # type: ignore[typeddict-item]  # the session yields what was given to it
    return planned


def start(get: Get, file: DownloadableFile) -> FutureLike[None]:
    """Start a transfer; what a store raises at once becomes this file's failure, not the batch's.

    Args:
        get: Asks the store.
        file: The item.

    Raises:
        ConfigurationError: No file can be fetched with this setting.
    """
    try:
        return get(file)
    except ConfigurationError:
        raise
    except Exception as error:  # noqa: BLE001 -- the border to stores that others wrote
        failed: concurrent.futures.Future[None] = concurrent.futures.Future()
        failed.set_exception(error)
        return failed


def published_by_store(
    file: DownloadableFile, future: FutureLike[None], expected_bytes: int
) -> tuple[Published | None, DownloadError | None]:
    """Look at what a store that does not call `before_publish` wrote to the final path.

    Args:
        file: The item.
        future: The store's.
        expected_bytes: The size in the record.

    Returns:
        The file's facts, or why it is wrong; it is then removed.
    """
    path = file["destination_path"]
    try:
        status = path.lstat()
        if status.st_size != expected_bytes:
            path.unlink()
            reason = f"{status.st_size} bytes arrived, the record has {expected_bytes}"
            return None, DownloadError(file, "SIZE_MISMATCH", reason)
    except OSError as error:
        return None, from_os_error(file, error)
    receipt = getattr(future, "receipt", None) or _plain_receipt(status.st_size)
    return Published(receipt, status.st_size, status.st_mtime_ns), None


def _plain_receipt(size_bytes: int) -> Receipt:
    """Return what is known of a file from a store that gives no receipt."""
    return Receipt(
        size_bytes=size_bytes,
        etag=None,
        checksum=None,
        verified="size",
        attempts=1,
        duration_seconds=0.0,
    )

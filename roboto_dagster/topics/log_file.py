"""A file of the upstream partition."""

import dataclasses
import pathlib


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LogFile:
    """A file of the upstream partition, complete on this disk; it need not be a log.

    Attributes:
        dataset_id: The dataset that it belongs to.
        relative_path: Its path there, with `/`.
        path: Where it is on this disk.
        file_id: The platform's id.
        version: Revision of its record.
        size_bytes: Its size.
        checksum: Its checksum as `algorithm:value`, where the store has sent one.
    """

    dataset_id: str
    relative_path: str
    path: pathlib.Path
    file_id: str
    version: int
    size_bytes: int
    checksum: str | None = None

    @property
    def local_path(self) -> str:
        """The folder of its tables, below the destination."""
        return f"{self.dataset_id}/{self.relative_path}"

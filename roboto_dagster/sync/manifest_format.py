"""What manifests have in common, whatever their columns: a version, and errors that name the next step."""

import contextlib
import dataclasses
import errno
import os
import pathlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from roboto_dagster.disk.folder import Durability
from roboto_dagster.disk.parquet_file import open_parquet, table_of, write_parquet
from roboto_dagster.errors import ManifestError, MissingPartitionError

if TYPE_CHECKING:  # pyarrow would cost every import of the package, and only a run needs it
    import pyarrow as pa
    import pyarrow.parquet as pq

_ADVICE = "The next materialization sets it aside and writes a new one."


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFormat:
    """The format of the manifests of one kind of asset.

    Attributes:
        schema: Returns their columns.
        version_key: The key of their version in the metadata of the file.
        version: The version that is written.
        readable: The versions that are read.
    """

    schema: "Callable[[], pa.Schema]"
    version_key: bytes
    version: int
    readable: Collection[int]

    def write(
        self,
        path: pathlib.Path,
        batches: Iterable[Sequence[Sequence[Any]]],
        *,
        within: pathlib.Path | None = None,
        durability: Durability = "none",
        metadata: Mapping[bytes, bytes] | None = None,
    ) -> None:
        """Write a manifest in place of the last one, in one step.

        Args:
            path: From `sync.manifest.manifest_path`.
            batches: Rows in the order of `schema`, many at a time, so that memory stays flat.
            within: A parent of `path` below which no link is followed; None trusts all of the path.
            durability: What is forced to the disk before it counts as written.
            metadata: Kept in the file besides its version. Default: none.

        Raises:
            ManifestError: It cannot be written; the last manifest is then untouched.
        """
        own = {self.version_key: str(self.version).encode()}
        columns = self.schema().with_metadata({**own, **(metadata or {})})
        try:
            write_parquet(
                path,
                columns,
                (table_of(rows, columns) for rows in batches),
                within=within,
                durability=durability,
            )
        except OSError as error:
            code = "NO_SPACE: " if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
            raise ManifestError(
                f"{code}The manifest {path} cannot be written: {error.strerror or error}. Completed files are on disk, "
                "and the last manifest is unchanged. Make room or correct the permissions, then run it again."
            ) from error

    @contextlib.contextmanager
    def open(
        self, path: str | os.PathLike[str], within: pathlib.Path | None = None
    ) -> "Iterator[pq.ParquetFile]":
        """Open a manifest, to be read with `use_threads=False`, and close it.

        Args:
            path: From `sync.manifest.manifest_path`.
            within: A parent of `path` below which no link is followed; None trusts its folder.

        Raises:
            ManifestError: There is none, or it is not one of this kind; also raised in the body, wherever it is damaged.
        """
        with _reading(path), open_parquet(path, within) as file:
            self._check(path, file)
            yield file

    def _check(self, path: str | os.PathLike[str], file: "pq.ParquetFile") -> None:
        found = file.schema_arrow
        version = (found.metadata or {}).get(self.version_key)
        if version not in {str(each).encode() for each in self.readable}:
            first, last = min(self.readable), max(self.readable)
            versions = f"{first} to {last}" if first < last else f"{first}"
            msg = f"The file {os.fspath(path)} is no manifest of a version that this release reads ({versions})."
            raise ManifestError(f"{msg} {_ADVICE}")
        for field in self.schema():
            index = found.get_field_index(field.name)
            if index < 0 or found.field(index).type != field.type:
                raise ManifestError(
                    f"The manifest {os.fspath(path)} has no column {field.name} of type {field.type}. {_ADVICE}"
                )


@contextlib.contextmanager
def _reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Translate what reading a broken file raises, wherever it is broken."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError as error:
        msg = f"There is no manifest at {os.fspath(path)}: materialize the partition first."
        raise MissingPartitionError(msg) from error
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise ManifestError(
            f"The manifest {os.fspath(path)} cannot be read: {reason}. {_ADVICE}"
        ) from error


def plain_values(column: "pa.Array[Any]") -> list[Any]:
    """Return the values of a column; times as integers, since to make an object of each takes longer than all else."""
    import pyarrow as pa

    # Not `cast`, which imports `pyarrow.compute`: some 10 MiB that no other part of a sync needs.
    return (column.view(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()

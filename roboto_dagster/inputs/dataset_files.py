"""The files of partitions as a value: what the IO manager loads, and what each loader of a type is given."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from roboto_dagster.delivered import DeliveredFile
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.inputs.frames import lazy_frame, relation
from roboto_dagster.platform.scope import Matcher
from roboto_dagster.tables import FORMATS, DataFormat, delivered_table, empty_dataset, open_dataset
from roboto_dagster.text import count, some

if (
    TYPE_CHECKING
):  # pyarrow would cost every import of the package; polars and duckdb are the user's
    import duckdb
    import polars as pl
    import pyarrow as pa
    import pyarrow.dataset as pad


_MAX_NAMED_PARTITIONS = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFiles:
    """The files of one or several partitions, all of which are complete on this disk.

    Iterating it yields their paths.

    Attributes:
        partition_keys: The partitions; the dataset's id where there are none.
        manifests: The manifest of each.
        files: The files, in the order of the platform's listing.
        missing_partition_keys: The partitions that were asked for and left out, since they are not
            materialized and `allow_missing_partitions` is set.
    """

    partition_keys: tuple[str, ...]
    manifests: tuple[pathlib.Path, ...]
    files: tuple[DeliveredFile, ...]
    missing_partition_keys: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[pathlib.Path]:
        return (file.path for file in self.files)

    @property
    def paths(self) -> list[pathlib.Path]:
        """The path of every file."""
        return list(self)

    def matching(self, *patterns: str) -> list[pathlib.Path]:
        """Return the paths of the files that gitignore-style patterns match in their dataset.

        Args:
            *patterns: Such as `*.csv`; a file is returned if the last one that matches is not negated.
        """
        matcher = Matcher(patterns, ())
        return [file.path for file in self.files if matcher.matches(file.relative_path)]

    def table(self) -> "pa.Table":
        """Return the manifests' rows of the files as one table, with the paths where the files are now."""
        return delivered_table(self.manifests)

    def dataset(self, data_format: DataFormat | None = None) -> "pad.Dataset":
        """Return the data in the files, to be read as far as it is needed.

        Columns that only some of the files have are null for the others. Where there are no files at
        all, the dataset has no rows and no columns.

        Args:
            data_format: `parquet`, `csv`, `ipc` or `feather`: only such files are read. Default: the one
                of them that is there.

        Raises:
            ConfigurationError: There are no such files, files of several formats, or files whose
                columns cannot be read together.
        """
        if not self.files:
            return empty_dataset()
        found: dict[DataFormat, list[pathlib.Path]] = {}
        for path in self:
            known = FORMATS.get(path.suffix.lower())
            if known is not None and data_format in (None, known):
                found.setdefault(known, []).append(path)
        if len(found) != 1:
            raise ConfigurationError(self._no_single_format(sorted(found)))
        ((only, paths),) = found.items()
        return open_dataset(paths, only)

    def lazy_frame(self, data_format: DataFormat | None = None) -> "pl.LazyFrame":
        """Return the same data as a polars frame, which reads it when it is collected.

        Args:
            data_format: As of `dataset`.

        Raises:
            ConfigurationError: As of `dataset`, or polars is not installed.
        """
        return lazy_frame(self.dataset(data_format))

    def relation(
        self,
        data_format: DataFormat | None = None,
        connection: "duckdb.DuckDBPyConnection | None" = None,
    ) -> "duckdb.DuckDBPyRelation":
        """Return the same data as a duckdb relation, which reads it when it is executed.

        Args:
            data_format: As of `dataset`.
            connection: Where it is to be queried. Default: duckdb's own, that of `duckdb.sql`.

        Raises:
            ConfigurationError: As of `dataset`, or duckdb is not installed.
        """
        return relation(self.dataset(data_format), connection)

    def _no_single_format(self, formats: Sequence[str]) -> str:
        keys = some(self.partition_keys, _MAX_NAMED_PARTITIONS)
        return (
            f"The partitions {keys} have {count(len(self), 'file')}, and of the "
            f"formats of tables {', '.join(formats) or 'none'}: narrow the asset's include_patterns, choose one by "
            'AssetIn(metadata={"format": "csv"}), or load the manifest, a row a file, by {"content": "manifest"}.'
        )

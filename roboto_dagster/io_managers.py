"""The IO manager: other assets load delivered files by declaring what they want."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, get_args, get_origin

import dagster as dg
from pydantic import Field

from roboto_dagster.asset_config import DatasetAssetConfig
from roboto_dagster.delivered import DeliveredFile, complete_files, materialized_keys
from roboto_dagster.errors import ConfigurationError, ManifestError
from roboto_dagster.platform.scope import Matcher
from roboto_dagster.resource_checks import checked_fields, is_variable
from roboto_dagster.sync.options import checked_destination
from roboto_dagster.sync.report import count
from roboto_dagster.tables import (
    FORMATS,
    DataFormat,
    checked_format,
    delivered_table,
    empty_dataset,
    open_dataset,
)

if TYPE_CHECKING:  # pyarrow would cost every import of the package
    import pyarrow as pa
    import pyarrow.dataset as pad


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFiles:
    """The files of one or several partitions, all of which are complete on this disk.

    Iterating it yields their paths.

    Attributes:
        partition_keys: The partitions; the dataset's id where there are none.
        manifests: The manifest of each.
        files: The files, in the order of the platform's listing.
    """

    partition_keys: tuple[str, ...]
    manifests: tuple[pathlib.Path, ...]
    files: tuple[DeliveredFile, ...]

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

    def _no_single_format(self, formats: Sequence[str]) -> str:
        return (
            f"The partitions {', '.join(self.partition_keys)} have {count(len(self), 'file')}, and of the formats of "
            f"tables {', '.join(formats) or 'none'}: narrow the asset's include_patterns, or choose one by "
            'AssetIn(metadata={"format": "csv"}).'
        )


class RobotoFilesIOManager(dg.ConfigurableIOManager):
    """Loads what dataset assets have delivered; it stores nothing.

    An asset chooses by annotation what it gets of an upstream dataset asset, whose `input_manager_key`
    (or whose `io_manager_key`) names this resource:

    | annotation | value |
    |---|---|
    | `DatasetFiles`, or none | the files, with their manifests |
    | `list[pathlib.Path]` | the paths of the files |
    | `pyarrow.Table` | the manifest, a row a file |
    | `pyarrow.dataset.Dataset` | the data in Parquet, CSV, Arrow or Feather files, with the columns of all |
    | `dict[str, …]` of one of those | the same by partition key |

    Several partitions are loaded as one value, or by key into a `dict`; no partitions, or partitions
    without files, as an empty one. A partition that is not complete on disk is an error that names its
    files.
    """

    destination: str | None = Field(
        default=None,
        description="Folder of the files, where they are mounted elsewhere or the asset is defined in another code "
        "location. Default: the destination of the asset.",
    )

    def __init__(self, **data: Any) -> None:
        with checked_fields(type(self), data):
            super().__init__(**data)
        if self.destination is not None and not is_variable(self.destination):
            checked_destination(self.destination)

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Refuse: dataset assets write their files themselves, and others need another IO manager.

        Args:
            context: Of the output.
            obj: The value; None is accepted.

        Raises:
            ConfigurationError: An asset returned a value to be stored.
        """
        if obj is not None:
            msg = (
                f"RobotoFilesIOManager only loads files. Give {context.asset_key.to_user_string()} another io_manager_key; "
                "to load Roboto datasets into it, name this one as input_manager_key of its AssetIn."
            )
            raise ConfigurationError(msg)

    def load_input(self, context: dg.InputContext) -> Any:
        """Load the partitions that an asset needs.

        Args:
            context: Of the input.

        Raises:
            ConfigurationError: The annotation is none that can be loaded, or the upstream asset is none of
                this package.
            ManifestError: A partition was never materialized, or is not complete.
        """
        config = self._config_of(context)
        keys = _keys(context, config)
        data_format = checked_format(context.definition_metadata.get("format"))
        wanted = _annotation(context)
        if get_origin(wanted) is dict:
            _, of_each = get_args(wanted)
            return {
                key: _value(of_each, _load(config, context.asset_key, [key]), data_format)
                for key in keys
            }
        return _value(wanted, _load(config, context.asset_key, keys), data_format)

    def _config_of(self, context: dg.InputContext) -> DatasetAssetConfig:
        upstream = context.upstream_output
        metadata = dict(upstream.definition_metadata or {}) if upstream is not None else {}
        config = DatasetAssetConfig.from_metadata(metadata)
        if self.destination is not None:
            folder = checked_destination(self.destination)
            return dataclasses.replace(config or DatasetAssetConfig(folder=folder), folder=folder)
        if config is None:
            msg = (
                f"{context.asset_key.to_user_string()} is no dataset asset of this code location: give "
                "RobotoFilesIOManager a destination, or load it with another IO manager."
            )
            raise ConfigurationError(msg)
        return config


def _annotation(context: dg.InputContext) -> Any:
    try:
        return context.dagster_type.typing_type
    except dg.DagsterInvariantViolationError:  # a context of a unit test
        return Any


def _keys(context: dg.InputContext, config: DatasetAssetConfig) -> list[str]:
    """Return the partitions to load; the dataset's id where there are none."""
    if context.has_asset_partitions:
        return sorted(map(str, context.asset_partition_keys))
    if config.dataset_id is not None:
        return [config.dataset_id]
    # Defined in another code location, which is known by its key alone: the disk knows more.
    found = materialized_keys(config, context.asset_key)
    if len(found) == 1:
        return found
    name = context.asset_key.to_user_string()
    if not found:
        raise ManifestError(
            f"There is no manifest of {name} below {config.destination}: materialize it first, or correct the destination "
            "of RobotoFilesIOManager."
        )
    raise ConfigurationError(
        f"{name} has {len(found)} partitions below {config.destination}: give its AssetSpec the partitions_def that it has "
        "in its own code location."
    )


def _load(config: DatasetAssetConfig, asset_key: dg.AssetKey, keys: Sequence[str]) -> DatasetFiles:
    return DatasetFiles(
        partition_keys=tuple(keys),
        manifests=tuple(config.manifest(asset_key, key) for key in keys),
        files=tuple(file for key in keys for file in complete_files(config, asset_key, key)),
    )


def _value(wanted: Any, files: DatasetFiles, data_format: DataFormat | None) -> Any:
    import pyarrow as pa
    import pyarrow.dataset as pad

    if wanted is DatasetFiles or wanted is Any:
        return files
    if get_origin(wanted) is list and get_args(wanted) == (pathlib.Path,):
        return files.paths
    if wanted is pa.Table:
        return files.table()
    if wanted is pad.Dataset:
        return files.dataset(data_format)
    msg = (
        f"RobotoFilesIOManager cannot load {wanted!r}: annotate the input with DatasetFiles, list[pathlib.Path], "
        "pyarrow.Table, pyarrow.dataset.Dataset, or a dict[str, …] of one of them."
    )
    raise ConfigurationError(msg)

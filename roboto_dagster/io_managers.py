"""The IO manager: other assets load delivered files by declaring what they want."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import dagster as dg
from pydantic import Field

from roboto_dagster.asset_config import DatasetAssetConfig
from roboto_dagster.delivered import DeliveredFile, complete_files
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.platform.scope import Matcher
from roboto_dagster.sync.manifest import read_manifest

if TYPE_CHECKING:  # pyarrow would cost every import of the package
    import pyarrow as pa
    import pyarrow.dataset as pad

DataFormat = Literal["parquet", "csv", "ipc", "feather"]
"""What `pyarrow.dataset` reads here."""

_FORMATS: dict[str, DataFormat] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".arrow": "ipc",
    ".ipc": "ipc",
    ".feather": "feather",
}
"""The same by the end of a file's name."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFiles:
    """The whole files of one or several partitions, on this disk.

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
        """Returns the paths of the files that gitignore-style patterns match in their dataset."""
        matcher = Matcher(patterns, ())
        return [file.path for file in self.files if matcher.matches(file.relative_path)]

    def table(self) -> "pa.Table":
        """Returns the manifests as one table, a row a file."""
        import pyarrow as pa

        return pa.concat_tables([read_manifest(path) for path in self.manifests])

    def dataset(self, data_format: DataFormat | None = None) -> "pad.Dataset":
        """Returns the data in the files, to be read as far as it is asked for.

        Args:
            data_format: `parquet`, `csv`, `ipc` or `feather`: only such files are read. Default: the one
                of them that is there.

        Raises:
            ConfigurationError: There are no such files, or files of several formats.
        """
        import pyarrow.dataset as pad

        found: dict[DataFormat, list[str]] = {}
        for path in self:
            known = _FORMATS.get(path.suffix.lower())
            if known is not None and data_format in (None, known):
                found.setdefault(known, []).append(str(path))
        if len(found) != 1:
            msg = (
                f"The partitions {', '.join(self.partition_keys)} hold {len(self)} files, and of the formats of tables "
                f"{', '.join(sorted(found)) or 'none'}: narrow the asset's include_patterns, or choose one by "
                'AssetIn(metadata={"format": "csv"}).'
            )
            raise ConfigurationError(msg)
        ((only, paths),) = found.items()
        return pad.dataset(paths, format=only)


class RobotoFilesIOManager(dg.ConfigurableIOManager):
    """Loads what dataset assets have delivered; it stores nothing.

    An asset says by annotation what it wants of an upstream dataset asset, whose `input_manager_key`
    (or whose `io_manager_key`) names this resource:

    | annotation | value |
    |---|---|
    | `DatasetFiles`, or none | the files, with their manifests |
    | `list[pathlib.Path]` | the paths of the files |
    | `pyarrow.Table` | the manifest, a row a file |
    | `pyarrow.dataset.Dataset` | the data in Parquet, CSV, Arrow or Feather files |
    | `dict[str, …]` of one of those | the same by partition key |

    Several partitions are loaded as one value, or by key into a `dict`. A partition that is not
    whole on disk is an error that says so.
    """

    destination: str | None = Field(
        default=None,
        description="Folder of the files, where they are mounted elsewhere or the asset is defined in another code "
        "location. Default: the destination of the asset.",
    )

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Refuses: dataset assets write their files themselves, and others need another IO manager.

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
        """Loads the partitions that an asset asks for.

        Raises:
            ConfigurationError: The annotation is none that can be loaded, or the upstream asset is none of
                this package.
            ManifestError: A partition was never materialized, or is not whole.
        """
        config = self._config_of(context)
        keys = sorted(context.asset_partition_keys) if context.has_asset_partitions else [None]
        data_format = context.definition_metadata.get("format")
        wanted = context.dagster_type.typing_type
        if get_origin(wanted) is dict:
            _, of_each = get_args(wanted)
            return {
                str(key or config.dataset_id): _value(
                    of_each, _load(config, context.asset_key, [key]), data_format
                )
                for key in keys
            }
        return _value(wanted, _load(config, context.asset_key, keys), data_format)

    def _config_of(self, context: dg.InputContext) -> DatasetAssetConfig:
        upstream = context.upstream_output
        metadata = dict(upstream.definition_metadata or {}) if upstream is not None else {}
        config = DatasetAssetConfig.from_metadata(metadata)
        if self.destination is not None:
            folder = pathlib.Path(self.destination).expanduser().absolute()
            return dataclasses.replace(
                config or DatasetAssetConfig(destination=folder), destination=folder
            )
        if config is None:
            msg = (
                f"{context.asset_key.to_user_string()} is no dataset asset of this code location: give "
                "RobotoFilesIOManager a destination, or load it with another IO manager."
            )
            raise ConfigurationError(msg)
        return config


def _load(
    config: DatasetAssetConfig, asset_key: dg.AssetKey, keys: Sequence[str | None]
) -> DatasetFiles:
    return DatasetFiles(
        partition_keys=tuple(str(key or config.dataset_id) for key in keys),
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

"""The IO manager: other assets load delivered files by declaring what they want."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import dagster as dg
from pydantic import Field

from roboto_dagster.asset_config import DatasetAssetConfig
from roboto_dagster.delivered import complete_files, materialized_keys
from roboto_dagster.errors import ConfigurationError, MissingPartitionError
from roboto_dagster.inputs.dataset_files import DatasetFiles
from roboto_dagster.inputs.input_types import InputType, input_type
from roboto_dagster.inputs.topic_tables import MissingTopicError, TopicTables
from roboto_dagster.inputs.topic_types import TOPIC_LOADERS, are_needed, wants_topics
from roboto_dagster.resource_checks import checked_fields, is_variable
from roboto_dagster.sync.options import checked_destination
from roboto_dagster.text import count, one_line, some
from roboto_dagster.topic_assets.config import TopicsAssetConfig
from roboto_dagster.topic_assets.tables import complete_tables

_ALLOW_MISSING = "allow_missing_partitions"
_MAX_NAMED_PARTITIONS = 3

T = TypeVar("T")


class RobotoFilesIOManager(dg.ConfigurableIOManager):
    """Loads what dataset assets have delivered; it stores nothing.

    An asset chooses by annotation what it gets of an upstream dataset asset, whose `input_manager_key`
    (or whose `io_manager_key`) names this resource:

    | annotation | value |
    |---|---|
    | `DatasetFiles`, or none | the files, with their manifests |
    | `list[pathlib.Path]` | the paths of the files |
    | `pathlib.Path` | the path of the only file |
    | `pyarrow.Table`, `polars.DataFrame` | the manifest, a row a file |
    | `pyarrow.dataset.Dataset`, `polars.LazyFrame`, `duckdb.DuckDBPyRelation` | the data in its tables |
    | what `register_input_type` has added | what its loader makes |
    | `dict[str, …]` of one of those | the same by partition key |
    | `… | None` of one of those | None if there is no partition to load |

    Of an upstream topics asset it loads tables:

    | annotation | value |
    |---|---|
    | `TopicTables`, or none | the tables of all topics, by topic |
    | `TopicData` | the rows of a topic from all logs, unread |
    | `pyarrow.Table`, `polars.DataFrame` | the same in memory |
    | `pyarrow.dataset.Dataset`, `polars.LazyFrame`, `duckdb.DuckDBPyRelation` | the same, read as far as needed |
    | `list[pathlib.Path]` | the paths of the tables |

    The topic is that of `AssetIn(metadata={"topic": "/imu"})`, a topic or a list of patterns; it may be left out where
    there is one. `{"columns": "dotted"}` gives the fields of nested messages as columns of their own.

    Of an `AssetIn`'s metadata it reads besides `format` (which files of data), `content` (`manifest` or `data`,
    where a table is loaded) and `allow_missing_partitions`.

    Data is what Parquet, CSV, Arrow or Feather files hold, with the columns of all of them.
    Several partitions are loaded as one value, or by key into a `dict`; no partitions, or partitions
    without files, as an empty one. A partition that is not complete on disk is an error that names its
    files.
    """

    destination: str | None = Field(
        default=None,
        description="Folder of the files, where they are mounted elsewhere or the asset is defined in another code "
        "location. Default: the destination of the asset.",
    )
    allow_missing_partitions: bool = Field(
        default=False,
        description="Whether partitions that are not materialized (no sync yet, or files of the last one failed) are left "
        "out, with a warning, instead of being an error. The metadata of an AssetIn has precedence. Default: false.",
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
            MissingPartitionError: A partition was never materialized, or its last sync failed.
            ManifestError: A file that was delivered is missing, or of another size.
        """
        config = self._config_of(context)
        is_topics = isinstance(config, TopicsAssetConfig)
        wanted = input_type(_annotation(context), TOPIC_LOADERS if is_topics else None)
        needed = are_needed(wanted, context) if is_topics else (lambda _: True)
        loaded = self._load(context, config, needed)
        if wanted.optional and not loaded.partitions:
            return None
        if wanted.by_key:
            return _by_key(wanted, loaded, context)
        together = _topics_together(loaded) if is_topics else _together(loaded)
        value = _value(wanted, together, context)
        if not isinstance(value, MissingTopicError):
            return value
        if wanted.optional:
            return None
        raise value

    def _load(
        self,
        context: dg.InputContext,
        config: DatasetAssetConfig | TopicsAssetConfig,
        needed: Callable[[str], bool],
    ) -> "_Loaded":
        missing: dict[str, MissingPartitionError] = {}
        partitions: dict[str, Any] = {}
        allow_missing = self._allow_missing(context)
        try:
            keys = _keys(context, config)
        except MissingPartitionError:
            if allow_missing:
                return _Loaded({}, ())
            raise
        for key in keys:
            value = _value_of(config, context.asset_key, key, needed)
            if not isinstance(value, MissingPartitionError):
                partitions[key] = value
            elif allow_missing:
                missing[key] = value
            else:
                raise value
        if missing:
            context.log.warning(_left_out(context.asset_key, missing, len(keys)))
        return _Loaded(partitions, tuple(missing))

    def _allow_missing(self, context: dg.InputContext) -> bool:
        given = (context.definition_metadata or {}).get(_ALLOW_MISSING)
        value = given.value if isinstance(given, dg.MetadataValue) else given
        if value is None:
            return self.allow_missing_partitions
        if not isinstance(value, bool):
            raise ConfigurationError(
                f"{_ALLOW_MISSING} in the metadata of an AssetIn must be true or false, not {value!r}."
            )
        return value

    def _config_of(self, context: dg.InputContext) -> DatasetAssetConfig | TopicsAssetConfig:
        upstream = context.upstream_output
        metadata = dict(upstream.definition_metadata or {}) if upstream is not None else {}
        topics = TopicsAssetConfig.from_metadata(metadata)
        if topics is not None:
            folder = checked_destination(self.destination) if self.destination else topics.folder
            return dataclasses.replace(topics, folder=folder)
        config = DatasetAssetConfig.from_metadata(metadata)
        if self.destination is not None:
            folder = checked_destination(self.destination)
            if config is None and wants_topics(_annotation(context), context):
                return TopicsAssetConfig(folder=folder)
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


def _keys(context: dg.InputContext, config: DatasetAssetConfig | TopicsAssetConfig) -> list[str]:
    """Return the partitions to load; the dataset's id where there are none."""
    if context.has_asset_partitions:
        return sorted(context.asset_partition_keys)  # sets of keys have no order of their own
    if config.dataset_id is not None:
        return [config.dataset_id]
    # Defined in another code location, which is known by its key alone: the disk knows more.
    found = materialized_keys(config, context.asset_key)
    if len(found) == 1:
        return found
    name = context.asset_key.to_user_string()
    if not found:
        raise MissingPartitionError(
            f"There is no manifest of {name} below {config.destination}: materialize it first, or correct the destination "
            "of RobotoFilesIOManager."
        )
    raise ConfigurationError(
        f"{name} has {len(found)} partitions below {config.destination}: give its AssetSpec the partitions_def that it has "
        "in its own code location."
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Loaded:
    partitions: Mapping[str, Any]
    missing: tuple[str, ...]


def _value_of(
    config: DatasetAssetConfig | TopicsAssetConfig,
    asset_key: dg.AssetKey,
    key: str,
    needed: Callable[[str], bool],
) -> DatasetFiles | TopicTables | MissingPartitionError:
    try:
        if isinstance(config, TopicsAssetConfig):
            rows = tuple(complete_tables(config, asset_key, key, needed))
            asset = asset_key.to_user_string()
            return TopicTables(partition_keys=(key,), rows=rows, asset=asset)
        files = tuple(complete_files(config, asset_key, key))
    except MissingPartitionError as error:
        return error
    manifest = config.manifest(asset_key, key)
    return DatasetFiles(partition_keys=(key,), manifests=(manifest,), files=files)


def _together(loaded: _Loaded) -> DatasetFiles:
    each = loaded.partitions.values()
    return DatasetFiles(
        partition_keys=_joined(files.partition_keys for files in each),
        manifests=_joined(files.manifests for files in each),
        files=_joined(files.files for files in each),
        missing_partition_keys=loaded.missing,
    )


def _value(wanted: InputType, given: Any, context: dg.InputContext) -> Any:
    """Return the value of an input, or the error if it is of a topic that is missing."""
    try:
        return wanted.loader(given, context)
    except MissingTopicError as error:
        return error


def _by_key(wanted: InputType, loaded: _Loaded, context: dg.InputContext) -> Mapping[str, Any]:
    """Return a value for each partition; those that lack the topic are left out, if others have it."""
    values = {key: _value(wanted, given, context) for key, given in loaded.partitions.items()}
    lacking = {key: each for key, each in values.items() if isinstance(each, MissingTopicError)}
    if lacking and len(lacking) == len(values):
        raise next(iter(lacking.values()))
    if lacking:
        context.log.warning(
            f"Left out {len(lacking)} of {count(len(values), 'partition')} of {context.asset_key.to_user_string()}, which have "
            f"no such topic: {some(lacking)}."
        )
    return {key: value for key, value in values.items() if key not in lacking}


def _topics_together(loaded: _Loaded) -> TopicTables:
    each = loaded.partitions.values()
    return TopicTables(
        asset=next((tables.asset for tables in each), ""),
        partition_keys=_joined(tables.partition_keys for tables in each),
        rows=_joined(tables.rows for tables in each),
        missing_partition_keys=loaded.missing,
    )


def _joined(tuples: Iterable[tuple[T, ...]]) -> tuple[T, ...]:
    return tuple(itertools.chain.from_iterable(tuples))


def _left_out(
    asset_key: dg.AssetKey, missing: Mapping[str, MissingPartitionError], total: int
) -> str:
    named = [f"{one_line(key)}: {error}" for key, error in missing.items()]
    more = len(named) - _MAX_NAMED_PARTITIONS
    return (
        f"Left out {len(missing)} of {count(total, 'partition')} of {asset_key.to_user_string()}, since "
        f"{_ALLOW_MISSING} is true. {' '.join(named[:_MAX_NAMED_PARTITIONS])}{f' And {more} more.' if more > 0 else ''}"
    )

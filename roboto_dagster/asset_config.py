"""What one dataset asset delivers, and how that travels with its definition.

The asset's definition metadata carries it, so that a sensor, a schedule, a check or an IO manager
that is given the asset needs no setting twice.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import dagster as dg
from typing_extensions import Self

import roboto_dagster.registration  # noqa: F401 -- registers the package
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.platform.queries import Query, checked_query
from roboto_dagster.platform.scope import Matcher, Scope, covering_patterns
from roboto_dagster.sync.manifest import manifest_path
from roboto_dagster.sync.options import checked_destination

DESTINATION_ROOT = "ROBOTO_DAGSTER_DESTINATION_ROOT"
"""A variable for tests: the folder below which all files and manifests go, whatever an asset defines."""

_DESTINATION = "roboto/destination"
_DATASET_ID = "roboto/dataset_id"
_INCLUDE = "roboto/include_patterns"
_EXCLUDE = "roboto/exclude_patterns"
_QUERY = "roboto/query"
_KEYS = frozenset({_DESTINATION, _DATASET_ID, _INCLUDE, _EXCLUDE, _QUERY})

# Part of every code version: a release that would deliver other files for the same settings raises it.
_GENERATION = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AssetFolder:
    """Where an asset has its files and manifests, whatever it delivers.

    Attributes:
        folder: The absolute folder, as it is defined.
        dataset_id: Its dataset, if it is about one. Default None.
    """

    folder: pathlib.Path
    dataset_id: str | None = None

    @property
    def destination(self) -> pathlib.Path:
        """The folder of this process: that of the definition, or a copy of it below `DESTINATION_ROOT`."""
        root = os.environ.get(DESTINATION_ROOT)
        if not root:
            return self.folder
        return checked_destination(root) / self.folder.relative_to(self.folder.anchor)

    def key_of(self, asset_key: dg.AssetKey, partition_key: str | None) -> str:
        """Return the key under which a partition is recorded: its own, or the dataset's id.

        Args:
            asset_key: The asset's key.
            partition_key: The partition; None where there are none.

        Raises:
            ConfigurationError: There is neither a key nor a dataset.
        """
        key = partition_key or self.dataset_id
        if key is None:
            msg = f"The asset {asset_key.to_user_string()} has partitions: name the one that is meant."
            raise ConfigurationError(msg)
        return key

    def manifest(self, asset_key: dg.AssetKey, partition_key: str | None) -> pathlib.Path:
        """Return where the manifest of one partition is.

        Args:
            asset_key: The asset's key.
            partition_key: The partition; None where there are none.

        Raises:
            ConfigurationError: There is neither a key nor a dataset.
        """
        key = self.key_of(asset_key, partition_key)
        return manifest_path(self.destination, asset_key.to_user_string(), key)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DatasetAssetConfig(AssetFolder):
    """What a dataset asset delivers, and where to.

    Attributes:
        folder: The absolute folder of its files and manifests, as it is defined.
        dataset_id: Its dataset, if it is about one. Default None.
        include_patterns: Gitignore-style patterns of the files to deliver. Default: all files.
        exclude_patterns: The same for files to leave out. Default: none.
        query: Which datasets belong to it, where partitions are time windows. Default None: all.
    """

    METADATA_KEYS: ClassVar = (
        _KEYS  # of the definition metadata; what a user sets must leave them alone
    )

    include_patterns: tuple[str, ...] = ()
    exclude_patterns: tuple[str, ...] = ()
    query: Query | None = None

    @classmethod
    def checked(
        cls,
        *,
        destination: str | os.PathLike[str],
        dataset_id: str | None = None,
        include_patterns: Sequence[str] = (),
        exclude_patterns: Sequence[str] = (),
        query: Query | None = None,
    ) -> Self:
        """Make it of what a user has set, in Python or in YAML: the one place that checks these settings.

        Args:
            destination: The folder, also relative, or with `~`.
            dataset_id: As in the class.
            include_patterns: As in the class.
            exclude_patterns: As in the class.
            query: As in the class, also a condition of the SDK.

        Raises:
            ConfigurationError: A setting cannot work; the message names it.
        """
        if isinstance(destination, dg.EnvVar):
            raise ConfigurationError(
                f"destination must be a path that is known when the asset is defined, not {destination!r}: read it with "
                'os.environ["NAME"], or {{ env.NAME }} in YAML.'
            )
        given: Any = dataset_id
        if given is not None and not isinstance(given, str):
            raise ConfigurationError(
                f"dataset_id must be a string such as ds_0123456789ab, not {given!r}."
            )
        config = cls(
            folder=checked_destination(destination),
            dataset_id=dataset_id,
            include_patterns=_patterns("include_patterns", include_patterns),
            exclude_patterns=_patterns("exclude_patterns", exclude_patterns),
            query=checked_query(query),
        )
        Matcher(config.include_patterns, config.exclude_patterns)
        return config

    def to_metadata(self) -> dict[str, dg.MetadataValue]:
        """Return it as definition metadata."""
        value = dg.MetadataValue
        metadata: dict[str, dg.MetadataValue] = {
            _DESTINATION: value.path(self.folder),
            _INCLUDE: value.json(list(self.include_patterns)),
            _EXCLUDE: value.json(list(self.exclude_patterns)),
        }
        if self.dataset_id is not None:
            metadata[_DATASET_ID] = value.text(self.dataset_id)
        if self.query is not None:
            metadata[_QUERY] = value.json(dict(self.query))
        return metadata

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Self | None:
        """Read it from definition metadata, or return None where there is none of ours."""
        plain = plain_metadata(metadata)
        if _DESTINATION not in plain:
            return None
        return cls(
            folder=pathlib.Path(str(plain[_DESTINATION])),
            dataset_id=plain.get(_DATASET_ID),
            include_patterns=tuple(plain.get(_INCLUDE, ())),
            exclude_patterns=tuple(plain.get(_EXCLUDE, ())),
            query=plain.get(_QUERY),
        )

    @classmethod
    def of(cls, asset: dg.AssetsDefinition, key: dg.AssetKey | None = None) -> Self:
        """Read it from an asset.

        Args:
            asset: One asset, or several of one op.
            key: Which of them. Default: all of them together, with patterns that cover those of each.

        Raises:
            ConfigurationError: The asset was not built by this package.
        """
        given: Any = asset
        if not isinstance(given, dg.AssetsDefinition):
            raise ConfigurationError(
                f"{given!r} is no asset: give the one that build_roboto_dataset_asset() has returned."
            )
        keys = [spec.key for spec in asset.specs] if key is None else [key]
        found = [cls._of_key(asset, each) for each in keys]
        include, exclude = covering_patterns(
            [(each.include_patterns, each.exclude_patterns) for each in found]
        )
        return (
            found[0]
            if len(found) == 1
            else dataclasses.replace(found[0], include_patterns=include, exclude_patterns=exclude)
        )

    @classmethod
    def _of_key(cls, asset: dg.AssetsDefinition, key: dg.AssetKey) -> Self:
        found = cls.from_metadata(asset.metadata_by_key.get(key, {}))
        if found is None:
            msg = (
                f"The asset {key.to_user_string()} is no dataset asset of roboto_dagster: give one that "
                "build_roboto_dataset_asset() or RobotoDatasetComponent has built."
            )
            raise ConfigurationError(msg)
        return found

    def with_patterns(self, scope: Scope) -> Scope:
        """Return the part of a dataset that this asset delivers.

        Args:
            scope: The dataset, and patterns of any asset.
        """
        return dataclasses.replace(
            scope,
            include_patterns=self.include_patterns,
            exclude_patterns=self.exclude_patterns,
        )

    def code_version(self) -> str:
        """Return a hash of what is delivered, which Dagster shows as a change of code when a setting changes.

        The folder is no part of it: elsewhere, the same files are the same data.
        """
        settings = dataclasses.asdict(self)
        del settings["folder"]
        text = json.dumps([_GENERATION, settings], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def plain_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return definition metadata as plain values.

    Args:
        metadata: As Dagster has it, or as a user has written it.
    """
    return {
        key: value.value if isinstance(value, dg.MetadataValue) else value
        for key, value in metadata.items()
    }


def _patterns(name: str, patterns: Any) -> tuple[str, ...]:
    is_list = isinstance(patterns, Sequence) and not isinstance(patterns, str | bytes)
    if not is_list or not all(isinstance(each, str) for each in patterns):
        raise ConfigurationError(
            f"{name} must be a list of patterns such as ['*.mcap'], not {patterns!r} (one string is not a list)."
        )
    return tuple(patterns)

"""What one dataset asset is about, and how that travels with its definition.

The asset's definition metadata carries it, so that a sensor, a schedule, a check or an IO manager
that is given the asset needs to be told nothing twice.
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import dagster as dg
from typing_extensions import Self

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.platform.queries import Query
from roboto_dagster.sync.manifest import manifest_path

_DESTINATION = "roboto/destination"
_DATASET_ID = "roboto/dataset_id"
_INCLUDE = "roboto/include_patterns"
_EXCLUDE = "roboto/exclude_patterns"
_QUERY = "roboto/query"
_MAY_LACK_REFUSED = "roboto/may_lack_refused"

# Part of every code version: a release that would bring other files for the same settings raises it.
_GENERATION = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DatasetAssetConfig:
    """What a dataset asset is configured to bring, and where to.

    Attributes:
        destination: The absolute folder of its files and manifests.
        dataset_id: Its dataset, if it is about one.
        include_patterns: Gitignore-style patterns of the files to bring; none means all.
        exclude_patterns: The same for files to leave out.
        query: Which datasets belong to it, where partitions are time windows; None for all.
        may_lack_refused: Whether it is whole without files that no disk could take.
    """

    destination: pathlib.Path
    dataset_id: str | None = None
    include_patterns: tuple[str, ...] = ()
    exclude_patterns: tuple[str, ...] = ()
    query: Query | None = None
    may_lack_refused: bool = False

    def to_metadata(self) -> dict[str, dg.MetadataValue]:
        """Returns it as definition metadata."""
        value = dg.MetadataValue
        metadata: dict[str, dg.MetadataValue] = {
            _DESTINATION: value.path(self.destination),
            _INCLUDE: value.json(list(self.include_patterns)),
            _EXCLUDE: value.json(list(self.exclude_patterns)),
            _MAY_LACK_REFUSED: value.bool(self.may_lack_refused),
        }
        if self.dataset_id is not None:
            metadata[_DATASET_ID] = value.text(self.dataset_id)
        if self.query is not None:
            metadata[_QUERY] = value.json(dict(self.query))
        return metadata

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Self | None:
        """Reads it from definition metadata, or returns None where there is none of ours."""
        plain = {
            key: value.value if isinstance(value, dg.MetadataValue) else value
            for key, value in metadata.items()
        }
        if _DESTINATION not in plain:
            return None
        return cls(
            destination=pathlib.Path(str(plain[_DESTINATION])),
            dataset_id=plain.get(_DATASET_ID),
            include_patterns=tuple(plain.get(_INCLUDE, ())),
            exclude_patterns=tuple(plain.get(_EXCLUDE, ())),
            query=plain.get(_QUERY),
            may_lack_refused=bool(plain.get(_MAY_LACK_REFUSED, False)),
        )

    @classmethod
    def of(cls, asset: dg.AssetsDefinition) -> Self:
        """Reads it from an asset.

        Raises:
            ConfigurationError: The asset was not built by this package.
        """
        found = cls.from_metadata(asset.metadata_by_key.get(asset.key, {}))
        if found is None:
            msg = (
                f"The asset {asset.key.to_user_string()} is not one of roboto_dagster: give one that "
                "build_roboto_dataset_asset() or RobotoDatasetComponent has built."
            )
            raise ConfigurationError(msg)
        return found

    def manifest(self, asset_key: dg.AssetKey, partition_key: str | None) -> pathlib.Path:
        """Returns where the manifest of one partition lies; the key is None without partitions.

        Raises:
            ConfigurationError: There is neither a key nor a dataset.
        """
        key = partition_key or self.dataset_id
        if key is None:
            msg = f"The asset {asset_key.to_user_string()} has partitions: say which one is meant."
            raise ConfigurationError(msg)
        return manifest_path(self.destination, asset_key.to_user_string(), key)

    def code_version(self) -> str:
        """Returns a hash of it, which Dagster shows as a change of code when a setting changes."""
        settings = {**dataclasses.asdict(self), "destination": str(self.destination)}
        text = json.dumps([_GENERATION, settings], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

"""What a topics asset decodes, and how that travels with its definition: checks, IO managers need no setting twice."""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, get_args

import dagster as dg
from typing_extensions import Self

from roboto_dagster.asset_config import AssetFolder, DatasetAssetConfig, plain_metadata
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.partitions import PartitionsDef
from roboto_dagster.setting_checks import check_choice
from roboto_dagster.sync.options import checked_destination
from roboto_dagster.text import code_span
from roboto_dagster.topics.options import TopicsOptions

OnFailure = Literal["fail", "skip"]
"""What is done about logs and topics that cannot be decoded."""

_FOLDER = "roboto/topics_destination"
_TOPICS = "roboto/topic_patterns"
_FIELDS = "roboto/fields"
_ON_FAILURE = "roboto/on_failure"
_SINGLE_KEY = "roboto/topics_of"

# Part of every code version: a release that would make other tables of the same settings raises it.
_GENERATION = 1
_NAMED_PATTERNS = 5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """The dataset asset whose logs are decoded.

    Attributes:
        asset_key: Its key.
        config: What it delivers, and where to.
        partitions_def: Its partitions, or None.
    """

    asset_key: dg.AssetKey
    config: DatasetAssetConfig
    partitions_def: PartitionsDef | None

    @classmethod
    def of(cls, given: Any) -> Self:
        """Read it from an asset, or from the spec of one of several assets.

        Args:
            given: As a user has given it.

        Raises:
            ConfigurationError: It is none of this package, or holds several assets.
        """
        if isinstance(given, dg.AssetsDefinition):
            if len(given.keys) != 1:
                key = min(given.keys)
                raise ConfigurationError(
                    f"upstream must be one asset, and {given.op.name} has {len(given.keys)}: give the spec of one, such as "
                    f"{given.op.name}.get_asset_spec({key.path!r})."
                )
            given = given.get_asset_spec(given.key)
        if not isinstance(given, dg.AssetSpec):
            raise ConfigurationError(
                f"upstream must be an asset from build_roboto_dataset_asset(), not {given!r}."
            )
        config = DatasetAssetConfig.from_metadata(given.metadata)
        if config is None:
            raise ConfigurationError(
                f"upstream must deliver Roboto datasets, and {given.key.to_user_string()} is no dataset asset: give "
                "one that build_roboto_dataset_asset() or RobotoDatasetComponent has built."
            )
        return cls(asset_key=given.key, config=config, partitions_def=given.partitions_def)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopicsAssetConfig(AssetFolder):
    """What a topics asset decodes, and where to.

    Attributes:
        folder: The absolute folder of its tables and manifests, as it is defined.
        dataset_id: The dataset, if it is about one. Default None.
        topics: Patterns of topics. Default: all.
        fields: By pattern of topic, the fields to keep. Default: all.
        on_failure: Whether what cannot be decoded makes the partition fail. Default `"fail"`.
    """

    METADATA_KEYS: ClassVar = frozenset({_FOLDER, _TOPICS, _FIELDS, _ON_FAILURE, _SINGLE_KEY})

    topics: tuple[str, ...] = ()
    fields: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    on_failure: OnFailure = "fail"

    @classmethod
    def checked(
        cls,
        upstream: Upstream,
        options: TopicsOptions,
        *,
        destination: str | os.PathLike[str],
        on_failure: OnFailure,
    ) -> Self:
        """Make it of what a user has set.

        Args:
            upstream: The dataset asset.
            options: What is decoded, and how.
            destination: The folder, also relative, or with `~`.
            on_failure: As in the class.

        Raises:
            ConfigurationError: A setting cannot work; the message names it.
        """
        check_choice("on_failure", on_failure, get_args(OnFailure))
        folder = checked_destination(destination)
        if folder == upstream.config.folder:
            raise ConfigurationError(
                f"destination must be another folder than that of {upstream.asset_key.to_user_string()}, {folder}: the tables "
                "of a log are written to a folder with the log's name."
            )
        return cls(
            folder=folder,
            dataset_id=upstream.config.dataset_id,
            topics=tuple(options.topics.topics),
            fields={name: list(fields) for name, fields in options.topics.fields.items()},
            on_failure=on_failure,
        )

    def describe(self, upstream: Upstream) -> str:
        """Return a sentence about what is decoded, for the asset's page.

        Args:
            upstream: The dataset asset.
        """
        named = [code_span(each) for each in self.topics[:_NAMED_PATTERNS]]
        more = len(self.topics) - len(named)
        which = f" {', '.join(named)}" if named else ""
        rest = f" and {more} more patterns" if more > 0 else ""
        logs = code_span(upstream.asset_key.to_user_string())
        return (
            f"The topics{which}{rest} of the logs in {logs} as Parquet tables, in `{self.folder}`."
        )

    def to_metadata(self) -> dict[str, dg.MetadataValue]:
        """Return it as definition metadata."""
        value = dg.MetadataValue
        metadata: dict[str, dg.MetadataValue] = {
            _FOLDER: value.path(self.folder),
            _TOPICS: value.json(list(self.topics)),
            _FIELDS: value.json({name: list(each) for name, each in self.fields.items()}),
            _ON_FAILURE: value.text(self.on_failure),
        }
        if self.dataset_id is not None:
            metadata[_SINGLE_KEY] = value.text(self.dataset_id)
        return metadata

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Self | None:
        """Read it from definition metadata, or return None where there is none of ours."""
        plain = plain_metadata(metadata)
        if _FOLDER not in plain:
            return None
        return cls(
            folder=pathlib.Path(str(plain[_FOLDER])),
            dataset_id=plain.get(_SINGLE_KEY),
            topics=tuple(plain.get(_TOPICS, ())),
            fields=plain.get(_FIELDS, {}),
            on_failure=plain.get(_ON_FAILURE, "fail"),
        )

    @classmethod
    def of(cls, asset: dg.AssetsDefinition) -> Self:
        """Read it from an asset.

        Args:
            asset: From `build_roboto_topics_asset` or a component.

        Raises:
            ConfigurationError: It is no topics asset.
        """
        given: Any = asset
        found = (
            cls.from_metadata(asset.metadata_by_key.get(asset.key, {}))
            if isinstance(given, dg.AssetsDefinition) and len(asset.keys) == 1
            else None
        )
        if found is None:
            raise ConfigurationError(
                f"{_shown(asset)} is no topics asset: give one that "
                "build_roboto_topics_asset() or RobotoDatasetComponent has built."
            )
        return found


def _shown(asset: Any) -> str:
    """Return what to call what a user has given: an asset's key, or the value."""
    if isinstance(asset, dg.AssetsDefinition):
        return ", ".join(sorted(key.to_user_string() for key in asset.keys))
    return repr(asset)


def topics_code_version(options: TopicsOptions, on_failure: OnFailure) -> str:
    """Return a hash of what decides which tables there are, which Dagster shows as a change of code.

    The folder is no part of it, nor what only decides how fast it goes.

    Args:
        options: What is decoded, and how.
        on_failure: What is done about what cannot be decoded.
    """
    decoders = (
        None
        if options.decoders is None
        else [(each.name, each.version) for each in options.decoders]
    )
    settings = [
        dataclasses.asdict(options.topics),
        options.keep_partial,
        on_failure,
        decoders,
    ]
    text = json.dumps([_GENERATION, settings], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

"""The checks of a dataset asset, as the op that evaluates checks asks for them."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from roboto_dagster.checks.findings import Findings, Platform, Subject
from roboto_dagster.checks.inspections import INSPECTIONS
from roboto_dagster.delivered import materialized_keys
from roboto_dagster.naming import derived_name
from roboto_dagster.partitions import Partitioning

SAMPLE_FILES = "roboto/sample_files"
MAX_AGE_SECONDS = "roboto/max_age_seconds"


class DatasetInspector:
    """The checks of one dataset asset, for the op that evaluates them.

    Args:
        partitioning: Of the asset.
        asset_key: The asset.
        platform: Asked by checks that compare with it; None where there is none of these.
    """

    def __init__(
        self, partitioning: Partitioning, asset_key: dg.AssetKey, platform: Platform | None
    ) -> None:
        self._partitioning = partitioning
        self._platform = platform
        self.asset_key = asset_key
        self.partitions_def: dg.PartitionsDefinition[Any] | None = partitioning.partitions_def
        self.op_name = derived_name(asset_key, "_checks")

    @staticmethod
    def knows(spec: dg.AssetCheckSpec) -> bool:
        """Return whether a check is one of these."""
        return spec.name in INSPECTIONS

    def recorded_keys(self) -> list[str]:
        """Return the partitions that were ever synced here; the dataset's id where there are none."""
        config = self._partitioning.config
        return (
            [config.dataset_id] if config.dataset_id else materialized_keys(config, self.asset_key)
        )

    def inspect(
        self,
        spec: dg.AssetCheckSpec,
        keys: Sequence[str],
        *,
        seed: str,
        is_wanted: Callable[[], bool],
    ) -> Findings:
        """Look at some partitions.

        Args:
            spec: The check.
            keys: The partitions.
            seed: Chooses the sample.
            is_wanted: Whether the result is still wanted.
        """
        settings = spec.metadata or {}
        seconds = settings.get(MAX_AGE_SECONDS)
        subject = Subject(
            partitioning=self._partitioning,
            asset_key=self.asset_key,
            keys=keys,
            sample_files=settings.get(SAMPLE_FILES),
            max_age=None if seconds is None else dt.timedelta(seconds=seconds),
            seed=seed,
            platform=self._platform,
            is_wanted=is_wanted,
        )
        return INSPECTIONS[spec.name](subject)

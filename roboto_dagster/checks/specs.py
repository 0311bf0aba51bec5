"""The specs of checks, by partition where Dagster knows that."""

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg


def check_specs(
    asset_key: dg.AssetKey,
    checks: Mapping[str, tuple[str, Mapping[str, Any]]],
    *,
    partitions_def: dg.PartitionsDefinition[Any] | None,
    blocking: bool,
) -> list[dg.AssetCheckSpec]:
    """Return the specs of an asset's checks.

    Args:
        asset_key: The asset.
        checks: Description and metadata of each, by its name.
        partitions_def: Partitions of the asset, or None.
        blocking: Whether what depends on the asset waits for them.
    """
    partitions: dict[str, Any] = (
        {"partitions_def": partitions_def} if partitions_def and _can_be_by_partition() else {}
    )
    with (
        warnings.catch_warnings()
    ):  # that it is a preview: older releases do without, and tests try the newest
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                name,
                asset=asset_key,
                description=description,
                blocking=blocking,
                metadata=metadata,
                **partitions,
            )
            for name, (description, metadata) in checks.items()
        ]


def _can_be_by_partition() -> bool:
    return "partitions_def" in inspect.signature(dg.AssetCheckSpec).parameters

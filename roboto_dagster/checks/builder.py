"""Asset checks on what was delivered: there, right, in step with the platform, and recent.

All checks of an asset are one op, since a process for each would cost more than the checks;
`roboto_dagster.checks.evaluations` has its body.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dagster as dg

from roboto_dagster.checks.dataset_inspector import (
    MAX_AGE_SECONDS,
    SAMPLE_FILES,
    DatasetInspector,
)
from roboto_dagster.checks.evaluations import evaluate_checks
from roboto_dagster.checks.findings import Platform
from roboto_dagster.checks.specs import check_specs
from roboto_dagster.naming import derived_name
from roboto_dagster.partitions import partitioning_of_asset
from roboto_dagster.setting_checks import (
    check_choice,
    check_count,
    check_duration,
    check_flag,
    check_resource_key,
)

_DESCRIPTIONS = {
    "files_on_disk": "Every file of the manifest is on disk, complete and of the right size.",
    "checksums": "Bytes on disk are those that the store held.",
    "in_step_with_platform": "The manifest has just what the platform lists.",
    "recently_synced": "This very partition was synced recently enough; freshness policies look at the newest of all.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSettings:
    """What `build_roboto_dataset_checks` was given; its docstring describes each.

    Raises:
        ConfigurationError: One of them cannot work.
    """

    blocking: bool
    checksums: Literal["sample", "all", "none"]
    sample_files: int
    compare_listing: bool
    max_age: dt.timedelta | None
    roboto_resource_key: str

    def __post_init__(self) -> None:
        check_flag("blocking", self.blocking)
        check_choice("checksums", self.checksums, ("sample", "all", "none"))
        check_count("sample_files", self.sample_files)
        check_flag("compare_listing", self.compare_listing)
        check_duration("max_age", self.max_age)
        check_resource_key("roboto_resource_key", self.roboto_resource_key)


def build_roboto_dataset_checks(
    asset: dg.AssetsDefinition,
    *,
    blocking: bool = False,
    checksums: Literal["sample", "all", "none"] = "sample",
    sample_files: int = 100,
    compare_listing: bool = True,
    max_age: dt.timedelta | None = None,
    roboto_resource_key: str = "roboto",
) -> Sequence[dg.AssetChecksDefinition]:
    """Build checks of the files that an asset has delivered; one op evaluates them all.

    | check | fails if |
    |---|---|
    | `files_on_disk` | a file of the manifest is missing, of another size, or was never delivered |
    | `checksums` | bytes are not those that the store held, by the checksum in the manifest |
    | `in_step_with_platform` | the platform lists other files or versions than the manifest has |
    | `recently_synced` | a partition was last synced longer ago than `max_age` |

    In a run of the asset, or of its checks for some partitions, these are checked; in any other run all that
    were ever materialized here and still exist in Dagster. Each partition has an evaluation of its own, so that
    a partition that failed yesterday is not hidden by one that is right today. A check that cannot look fails.

    Args:
        asset: From `build_roboto_dataset_asset`, `build_roboto_dataset_assets` or a component.
        blocking: Whether what depends on the asset waits for the checks, and a run fails with them: in a run of
            one partition, and with `AutomationCondition.all_deps_blocking_checks_passed()`, just what depends on
            the partition concerned; in a run of several Dagster stops all that depends on the asset. Default
            false.
        checksums: Which files to read back: a random sample of each partition, all, or none (then there is no
            such check). Default sample.
        sample_files: Size of the sample, in files. Default 100.
        compare_listing: Whether to compare with the platform's listing; false leaves
            `in_step_with_platform` out. Default true.
        max_age: How old the last sync of each partition may be. A freshness policy looks at the newest
            materialization of any partition, so that one busy robot keeps a fleet fresh. Default: any age, and
            no check `recently_synced`.
        roboto_resource_key: The resource that is the platform. Default roboto.

    Returns:
        One definition for each asset, which holds all of its checks.

    Raises:
        ConfigurationError: The asset is none of this package, or a setting cannot work.
    """
    partitioning_of_asset(asset)  # refuses what is none of this package
    settings = CheckSettings(
        blocking=blocking,
        checksums=checksums,
        sample_files=sample_files,
        compare_listing=compare_listing,
        max_age=max_age,
        roboto_resource_key=roboto_resource_key,
    )
    return [_checks_of(asset, spec.key, settings) for spec in asset.specs]


def _checks_of(
    asset: dg.AssetsDefinition, key: dg.AssetKey, settings: CheckSettings
) -> dg.AssetChecksDefinition:
    partitioning = partitioning_of_asset(asset, key)
    resource_key = settings.roboto_resource_key
    resource_keys = {resource_key} if settings.compare_listing else set[str]()

    @dg.multi_asset_check(
        name=derived_name(key, "_checks"),
        specs=_specs(key, settings, partitioning.partitions_def),
        can_subset=True,
        required_resource_keys=resource_keys,
    )
    def roboto_dataset_checks(
        context: dg.AssetCheckExecutionContext,
    ) -> Iterator[Any]:
        roboto = getattr(context.resources, resource_key, None) if resource_keys else None
        platform = None if roboto is None else Platform(roboto)
        inspector = DatasetInspector(partitioning, key, platform)
        yield from evaluate_checks(context, inspector)

    return roboto_dataset_checks


def _specs(
    asset_key: dg.AssetKey, settings: CheckSettings, partitions_def: Any
) -> list[dg.AssetCheckSpec]:
    sample = settings.sample_files if settings.checksums == "sample" else None
    age = settings.max_age
    metadata: dict[str, dict[str, Any]] = {"files_on_disk": {}}
    if settings.checksums != "none":
        metadata["checksums"] = {} if sample is None else {SAMPLE_FILES: sample}
    if settings.compare_listing:
        metadata["in_step_with_platform"] = {}
    if age is not None:
        metadata["recently_synced"] = {MAX_AGE_SECONDS: age.total_seconds()}
    checks = {name: (_DESCRIPTIONS[name], values) for name, values in metadata.items()}
    return check_specs(asset_key, checks, partitions_def=partitions_def, blocking=settings.blocking)

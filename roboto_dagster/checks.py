"""Asset checks on what was delivered: there, right, in step with the platform, and recent.

All checks of an asset are one op, since a process for each would cost more than the checks. In a
run of the asset it checks that run's partitions, in any other run all that were ever materialized:

```
run of the asset ──► partitions of the run ──┐
other run ─────────► all with a manifest ────┴─► inspections ─► AssetCheckResult*
asset's step fails ► the asset's own step evaluates the checks of its run (`evaluate_in_failed_step`)
```
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dagster as dg

from roboto_dagster.check_results import check_result
from roboto_dagster.delivered import materialized_keys
from roboto_dagster.errors import RobotoDagsterError
from roboto_dagster.inspections import INSPECTIONS, Findings, Subject, Violation
from roboto_dagster.naming import derived_name
from roboto_dagster.partition_existence import ExistingPartitions
from roboto_dagster.partitions import Partitioning, partitioning_of_asset
from roboto_dagster.resources import RobotoResource
from roboto_dagster.setting_checks import (
    check_choice,
    check_count,
    check_duration,
    check_flag,
    check_resource_key,
)

_SAMPLE_FILES = "roboto/sample_files"
_MAX_AGE_SECONDS = "roboto/max_age_seconds"
_DESCRIPTIONS = {
    "files_on_disk": "Every file of the manifest is on disk, complete and of the right size.",
    "checksums": "Bytes on disk are those that the store held.",
    "in_step_with_platform": "The manifest has just what the platform lists.",
    "recently_synced": "Every partition was synced recently enough.",
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

    In a run of the asset its partitions are checked, in any other run all that were ever
    materialized here and still exist in Dagster. A check that cannot look fails.

    Args:
        asset: From `build_roboto_dataset_asset` or a component.
        blocking: Whether what depends on the asset waits for the checks, and a run fails with them.
            Default false.
        checksums: Which files to read back: a random sample, all, or none (then there is no such
            check). Default sample.
        sample_files: Size of the sample, in files. Default 100.
        compare_listing: Whether to compare with the platform's listing; false leaves
            `in_step_with_platform` out. Default true.
        max_age: How old a sync may be. Default: any age, and no check `recently_synced`.
        roboto_resource_key: The resource that is the platform. Default roboto.

    Returns:
        One definition that holds all the checks.

    Raises:
        ConfigurationError: The asset is none of this package, or a setting cannot work.
    """
    partitioning = partitioning_of_asset(asset)
    settings = CheckSettings(
        blocking=blocking,
        checksums=checksums,
        sample_files=sample_files,
        compare_listing=compare_listing,
        max_age=max_age,
        roboto_resource_key=roboto_resource_key,
    )
    resource_keys = {roboto_resource_key} if compare_listing else set[str]()

    @dg.multi_asset_check(
        name=derived_name(asset.key, "_checks"),
        specs=_specs(asset.key, settings),
        can_subset=True,
        required_resource_keys=resource_keys,
    )
    def roboto_dataset_checks(
        context: dg.AssetCheckExecutionContext,
    ) -> Iterator[dg.AssetCheckResult]:
        keys = _keys_to_check(context, partitioning, asset.key)
        selected = {key.name for key in context.selected_asset_check_keys}
        roboto = getattr(context.resources, roboto_resource_key, None) if resource_keys else None
        for spec in context.check_specs:
            if spec.name in selected:
                yield _evaluate(spec, partitioning, keys, roboto, seed=_run_id(context))

    return [roboto_dataset_checks]


def evaluate_in_failed_step(
    context: dg.AssetExecutionContext, partitioning: Partitioning, roboto: RobotoResource
) -> None:
    """Evaluate the checks of a run whose asset is about to fail.

    Dagster skips what depends on a failed step, and shows "Execution failed" for all its checks, also
    if one of many partitions has failed. So they are evaluated before, by the step that fails.

    Args:
        context: Of the asset's op.
        partitioning: Of the asset.
        roboto: The platform.
    """
    specs = _specs_in_run(context)
    if not specs:
        return
    keys = _keys_of_run(context.op_execution_context, partitioning)
    for spec in specs:
        found = _evaluate(spec, partitioning, keys, roboto, seed=context.run.run_id)
        context.log_event(
            dg.AssetCheckEvaluation(
                asset_key=spec.asset_key,
                check_name=spec.name,
                passed=found.passed,
                metadata=found.metadata,
                severity=found.severity,
                description=found.description,
                blocking=spec.blocking,
            )
        )


def _specs(asset_key: dg.AssetKey, settings: CheckSettings) -> list[dg.AssetCheckSpec]:
    sample = settings.sample_files if settings.checksums == "sample" else None
    age = settings.max_age
    metadata: dict[str, dict[str, Any]] = {"files_on_disk": {}}
    if settings.checksums != "none":
        metadata["checksums"] = {} if sample is None else {_SAMPLE_FILES: sample}
    if settings.compare_listing:
        metadata["in_step_with_platform"] = {}
    if age is not None:
        metadata["recently_synced"] = {_MAX_AGE_SECONDS: age.total_seconds()}
    return [
        dg.AssetCheckSpec(
            name,
            asset=asset_key,
            description=_DESCRIPTIONS[name],
            blocking=settings.blocking,
            metadata=values,
        )
        for name, values in metadata.items()
    ]


def _specs_in_run(context: dg.AssetExecutionContext) -> list[dg.AssetCheckSpec]:
    """Return the specs of this package's checks of the asset that the run is to execute."""
    try:
        layer = context.job_def.asset_layer
    except dg.DagsterError:  # invoked directly
        return []
    return [
        spec
        for data in layer.data
        for spec in data.assets_def.check_specs
        if spec.asset_key == context.asset_key
        and spec.name in INSPECTIONS
        and data.assets_def.op.name == derived_name(context.asset_key, "_checks")
    ]


def _keys_to_check(
    context: dg.AssetCheckExecutionContext, partitioning: Partitioning, asset_key: dg.AssetKey
) -> Sequence[str]:
    try:
        is_run_of_asset = asset_key in context.job_def.asset_layer.selected_asset_keys
    except dg.DagsterError:  # invoked directly
        return _recorded_keys(partitioning, asset_key)
    if is_run_of_asset:
        return _keys_of_run(context.op_execution_context, partitioning)
    keys = _recorded_keys(partitioning, asset_key)
    if partitioning.partitions_def is None:
        return keys
    # Partitions that were removed in Dagster are of no interest any more, though files are kept.
    return ExistingPartitions(partitioning.partitions_def, instance=context.instance).existing(keys)


def _recorded_keys(partitioning: Partitioning, asset_key: dg.AssetKey) -> list[str]:
    config = partitioning.config
    return [config.dataset_id] if config.dataset_id else materialized_keys(config, asset_key)


def _keys_of_run(context: dg.OpExecutionContext, partitioning: Partitioning) -> Sequence[str]:
    if partitioning.config.dataset_id is not None:
        return [partitioning.config.dataset_id]
    return [str(key) for key in context.partition_keys]


def _run_id(context: dg.AssetCheckExecutionContext) -> str:
    """Return what chooses the sample: one a run, and the same again if its step is repeated."""
    try:
        return context.run.run_id
    except dg.DagsterError:
        return ""


def _evaluate(
    spec: dg.AssetCheckSpec,
    partitioning: Partitioning,
    keys: Sequence[str],
    roboto: RobotoResource | None,
    *,
    seed: str,
) -> dg.AssetCheckResult:
    settings = spec.metadata or {}
    seconds = settings.get(_MAX_AGE_SECONDS)
    subject = Subject(
        partitioning=partitioning,
        asset_key=spec.asset_key,
        keys=keys,
        sample_files=settings.get(_SAMPLE_FILES),
        max_age=None if seconds is None else dt.timedelta(seconds=seconds),
        seed=seed,
        roboto=roboto,
    )
    return check_result(spec, len(keys), _findings(spec.name, subject))


def _findings(name: str, subject: Subject) -> Findings:
    if not subject.keys:
        return Findings(0, [Violation("no partition was ever materialized here")], "")
    try:
        return INSPECTIONS[name](subject)
    except RobotoDagsterError as error:
        return Findings(0, [Violation(f"could not be checked: {error}")], "", "")

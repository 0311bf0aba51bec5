"""Evaluates the checks of a run: which partitions, and what Dagster records of each.

```
run of the asset's partitions ─► those ───────────────────────────┐  partitioned: an evaluation a check and partition
any other run ─────────────────► all with a manifest that exist ──┴► otherwise:   an evaluation a check
the asset's step fails ────────► the step itself evaluates the checks of its run (`evaluate_in_failed_step`)
```

Dagster records an `AssetCheckResult` of a range under no partition, so an evaluation is made for each. It counts for
the UI and for conditions only with the materialization that it is about.
"""

import importlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import dagster as dg

from roboto_dagster.checks.findings import Findings, Violation
from roboto_dagster.checks.results import check_result
from roboto_dagster.errors import RobotoDagsterError
from roboto_dagster.partition_existence import ExistingPartitions
from roboto_dagster.step.recording import is_direct
from roboto_dagster.step.side_by_side import SideBySide
from roboto_dagster.step.version_tags import latest_materialization

_PARTITIONS_AT_ONCE = 16

# Not exported by Dagster, and a must: evaluations without it are shown nowhere and gate nothing.
_TARGETS = (
    "dagster._core.definitions.asset_checks.asset_check_evaluation",
    "AssetCheckEvaluationTargetMaterializationData",
)


class Inspector(Protocol):
    """Looks at the partitions of one asset, for the checks of one kind.

    Attributes:
        asset_key: The asset.
        partitions_def: Its partitions, or None.
        op_name: Name of the op that evaluates the checks.
    """

    asset_key: dg.AssetKey
    partitions_def: dg.PartitionsDefinition[Any] | None
    op_name: str

    def knows(self, spec: dg.AssetCheckSpec) -> bool:
        """Return whether a check is of its kind."""

    def recorded_keys(self) -> list[str]:
        """Return the partitions that have a manifest; the one key that stands for none where there are none."""

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
            keys: The partitions; at least one.
            seed: Chooses a sample: the same one for the same seed.
            is_wanted: Whether the result is still wanted.
        """


def evaluate_checks(context: dg.AssetCheckExecutionContext, inspector: Inspector) -> Iterator[Any]:
    """Evaluate the selected checks of one asset: the body of their op.

    Args:
        context: Of the op.
        inspector: Of the asset.

    Yields:
        What Dagster takes for the result of each.
    """
    selected = {key.name for key in context.selected_asset_check_keys}
    specs = [spec for spec in context.check_specs if spec.name in selected]
    run_id = _run_id(context)
    if run_id is None:  # invoked directly
        keys: Sequence[str] = inspector.recorded_keys()
    else:
        keys = _keys_to_check(context, inspector)
    if run_id is None or not is_by_partition(specs[0]):
        for spec in specs:
            yield _evaluate(spec, inspector, keys, seed=run_id or "")
        return
    yield from _evaluations(context.instance, inspector, specs, keys, run_id=run_id)
    for spec in specs:
        yield dg.Output(None, output_name=spec.get_python_identifier())


def evaluate_in_failed_step(context: dg.AssetExecutionContext, inspector: Inspector) -> None:
    """Evaluate the checks of a run whose asset is about to fail.

    Dagster skips what depends on a failed step, and shows "Execution failed" for all its checks, also
    if one of many partitions has failed. So they are evaluated before, by the step that fails.

    Args:
        context: Of the asset's op.
        inspector: Of the asset.
    """
    specs = _specs_in_run(context, inspector)
    if not specs:
        return
    run_id = context.run.run_id
    keys = _keys_of_run(context.op_execution_context, inspector)
    if is_by_partition(specs[0]):
        evaluations = _evaluations(context.instance, inspector, specs, keys, run_id=run_id)
    else:
        evaluations = (
            _evaluation(spec, _evaluate(spec, inspector, keys, seed=run_id)) for spec in specs
        )
    for evaluation in evaluations:
        context.log_event(evaluation)


def is_by_partition(spec: dg.AssetCheckSpec) -> bool:
    """Return whether Dagster knows of a check's partitions."""
    return getattr(spec, "partitions_def", None) is not None


def _evaluations(
    instance: dg.DagsterInstance,
    inspector: Inspector,
    specs: Sequence[dg.AssetCheckSpec],
    keys: Sequence[str],
    *,
    run_id: str,
) -> Iterator[dg.AssetCheckEvaluation]:
    """Yield an evaluation of each check for each partition; one without a partition if there is none."""
    stop = threading.Event()

    def evaluate(key: str) -> list[dg.AssetCheckResult]:
        return [
            _evaluate(
                spec,
                inspector,
                [key],
                seed=f"{run_id}{key}",
                is_wanted=lambda: not stop.is_set(),
            )
            for spec in specs
        ]

    for key, results in _each(keys, evaluate, stop):
        target = _target(instance, specs[0].asset_key, key)
        for spec, result in zip(specs, results, strict=True):
            yield _evaluation(spec, result, partition_key=key, target=target)
    if not keys:
        for spec in specs:
            yield _evaluation(spec, _evaluate(spec, inspector, [], seed=run_id))


def _each(
    keys: Sequence[str],
    evaluate: Callable[[str], list[dg.AssetCheckResult]],
    stop: threading.Event,
) -> Iterator[tuple[str, list[dg.AssetCheckResult]]]:
    """Yield the results of each partition, in order; those of several are evaluated side by side."""
    if len(keys) == 1:  # in this thread, which an interrupt reaches at once
        yield keys[0], evaluate(keys[0])
        return
    with SideBySide(keys, evaluate, _PARTITIONS_AT_ONCE, on_cancel=stop.set) as results:
        yield from results


def _evaluation(
    spec: dg.AssetCheckSpec,
    result: dg.AssetCheckResult,
    *,
    partition_key: str | None = None,
    target: Any = None,
) -> dg.AssetCheckEvaluation:
    # Without the argument where there are no partitions, for releases that do not have it.
    partition: dict[str, Any] = {} if partition_key is None else {"partition": partition_key}
    return dg.AssetCheckEvaluation(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=result.passed,
        metadata=result.metadata,
        severity=result.severity,
        description=result.description,
        blocking=spec.blocking,
        target_materialization_data=target,
        **partition,
    )


def _target(instance: dg.DagsterInstance, asset_key: dg.AssetKey, partition_key: str) -> Any:
    """Return what points to the latest materialization of a partition; None if there is none."""
    module, name = _TARGETS
    try:
        make: Any = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        return None
    latest = latest_materialization(instance, asset_key, partition_key)
    if latest is None:
        return None
    return make(
        storage_id=latest.storage_id,
        run_id=latest.run_id,
        timestamp=latest.timestamp,
    )


def _specs_in_run(
    context: dg.AssetExecutionContext, inspector: Inspector
) -> list[dg.AssetCheckSpec]:
    """Return the specs of this package's checks of the asset that the run is to execute."""
    try:
        layer = context.job_def.asset_layer
    except dg.DagsterError:  # invoked directly
        return []
    return [
        spec
        for data in layer.data
        for spec in data.assets_def.check_specs
        if spec.asset_key == inspector.asset_key
        and data.assets_def.op.name == inspector.op_name
        and inspector.knows(spec)
    ]


def _keys_to_check(context: dg.AssetCheckExecutionContext, inspector: Inspector) -> Sequence[str]:
    if inspector.asset_key in context.job_def.asset_layer.selected_asset_keys:
        return _keys_of_run(context.op_execution_context, inspector)
    keys = inspector.recorded_keys()
    if inspector.partitions_def is None:
        return keys
    existing = ExistingPartitions(inspector.partitions_def, instance=context.instance)
    named = _named_partitions(context)
    # The partitions of a run of another asset may be others than this one's.
    if named and len(existing.existing(named)) == len(named):
        return named
    # Partitions that were removed in Dagster are of no interest any more, though files are kept.
    return existing.existing(keys)


def _named_partitions(context: dg.AssetCheckExecutionContext) -> list[str]:
    """Return the partitions that a run of checks alone was started for."""
    run = context.op_execution_context
    is_of_partitions = run.has_partition_key or run.has_partition_key_range
    return [str(key) for key in run.partition_keys] if is_of_partitions else []


def _keys_of_run(context: dg.OpExecutionContext, inspector: Inspector) -> Sequence[str]:
    if inspector.partitions_def is None:
        return inspector.recorded_keys()
    return [str(key) for key in context.partition_keys]


def _run_id(context: dg.AssetCheckExecutionContext) -> str | None:
    """Return what chooses the sample: one a run, and the same again if its step is repeated; None without a run."""
    return None if is_direct(context) else context.run.run_id


def _evaluate(
    spec: dg.AssetCheckSpec,
    inspector: Inspector,
    keys: Sequence[str],
    *,
    seed: str,
    is_wanted: Callable[[], bool] = lambda: True,
) -> dg.AssetCheckResult:
    if not keys:
        found = Findings(0, [Violation("no partition was ever materialized here")], "")
        return check_result(spec, 0, found)
    try:
        found = inspector.inspect(spec, keys, seed=seed, is_wanted=is_wanted)
    except RobotoDagsterError as error:
        found = Findings(0, [Violation(f"could not be checked: {error}")], "", "")
    return check_result(spec, len(keys), found)

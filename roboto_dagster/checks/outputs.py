"""Checks that belong to an asset's op and that something else reports, such as a hook or Dagster's REST API.

Dagster fails a step that leaves out the result of one of its checks. An output without a value stands for
"not evaluated here".
"""

import inspect
from collections.abc import Iterator
from typing import Any

import dagster as dg


def with_check_outputs(context: dg.AssetExecutionContext, results: Any) -> Any:
    """Return the results of a step, completed by an output for each of its checks that has no result.

    Args:
        context: Of the asset's op, in a run.
        results: A generator of results, or one result.

    Returns:
        The results as they are if the op has no checks, else a generator.
    """
    if not context.assets_def.check_specs_by_output_name:
        return results
    return _completed(context, results if inspect.isgenerator(results) else iter([results]))


def _completed(context: dg.AssetExecutionContext, results: Iterator[Any]) -> Iterator[Any]:
    evaluated: set[tuple[dg.AssetKey | None, str]] = set()
    for result in results:
        of_result = getattr(result, "asset_key", None)
        evaluated |= {
            (each.asset_key or of_result, each.check_name or "") for each in _check_results(result)
        }
        yield result
    selected = context.selected_asset_check_keys
    for output_name, spec in context.assets_def.check_specs_by_output_name.items():
        # A result without a key is that of the only asset.
        names = {(spec.asset_key, spec.name), (None, spec.name)}
        if not names & evaluated and spec.key in selected:
            yield dg.Output(None, output_name=output_name)


def _check_results(result: Any) -> list[dg.AssetCheckResult]:
    if isinstance(result, dg.AssetCheckResult):
        return [result]
    return list(getattr(result, "check_results", None) or [])

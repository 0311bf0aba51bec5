"""Checks of an asset's op that something else reports."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from roboto_dagster.checks.outputs import with_check_outputs
from roboto_dagster.testing import LocalRoboto

if TYPE_CHECKING:
    from tests.conftest import Materializer


def run(*results: Any) -> dg.ExecuteInProcessResult:
    """Run an asset that has the checks `a` and `b` and yields these results."""
    specs = [dg.AssetCheckSpec(name, asset="logs") for name in ("a", "b")]

    @dg.asset(check_specs=specs)
    def logs(context: dg.AssetExecutionContext):  # type: ignore[no-untyped-def]  # noqa: ANN202 -- Dagster reads it
        return with_check_outputs(context, _generator(results))

    return dg.materialize([logs])


def _generator(results: tuple[Any, ...]) -> Iterator[Any]:
    yield from results


def test_a_check_without_a_result_fails_nothing() -> None:
    """A step that evaluates one of its two checks, or none, succeeds, and records no evaluation of the others."""
    of_a = dg.AssetCheckResult(check_name="a", passed=True)
    for results, names in (
        ((dg.MaterializeResult(),), []),
        ((dg.MaterializeResult(), of_a), ["a"]),
        ((dg.MaterializeResult(check_results=[of_a]),), ["a"]),
    ):
        result = run(*results)
        assert result.success
        assert [each.check_name for each in result.get_asset_check_evaluations()] == names


@pytest.mark.parametrize("size", [1, 2])
def test_the_dataset_asset_leaves_its_checks_to_others(
    materialize: "Materializer", local: LocalRoboto, size: int
) -> None:
    """One partition or a range of them is materialized, and what the checks say comes from elsewhere."""
    keys = [local.add_dataset() for _ in range(size)]
    for key in keys:
        local.add_file(key, "a.bin", b"x")
    asset = materialize.range_asset(keys, check_specs=[dg.AssetCheckSpec("seen", asset="logs")])
    result = materialize(asset, partition_range=(keys[0], keys[-1]))
    assert result.success
    assert len(materialize.materializations(result)) == size

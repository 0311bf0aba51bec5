"""Automation conditions of what depends on an asset, evaluated by Dagster on a real instance."""

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from roboto_dagster.testing import LocalRoboto

if TYPE_CHECKING:
    from tests.conftest import Materializer

VERSION_AWARE = dg.AutomationCondition.eager().replace(
    "any_deps_updated",
    dg.AutomationCondition.any_deps_match(dg.AutomationCondition.data_version_changed()),
)


@pytest.fixture
def keys(local: LocalRoboto) -> list[str]:
    """Three datasets of one file."""
    found = []
    for name in "abc":
        found.append(local.add_dataset(name))
        local.add_file(found[-1], "x.csv", name.encode())
    return found


class Lab:
    """An asset with three partitions, and one that depends on it by a condition."""

    def __init__(
        self,
        materialize: "Materializer",
        keys: list[str],
        condition: Any = VERSION_AWARE,
        **options: Any,
    ) -> None:
        self._materialize = materialize
        self.keys = keys
        self.logs = materialize.range_asset(keys, **options)
        partitions_def = dg.StaticPartitionsDefinition(keys)

        @dg.asset(partitions_def=partitions_def, deps=[self.logs], automation_condition=condition)
        def after() -> None: ...

        self._after = after
        self._definitions = dg.Definitions([self.logs, after], resources=materialize.resources)
        self._cursor: Any = None

    def sync(self, **tags: str) -> dg.ExecuteInProcessResult:
        """Sync all partitions in one run."""
        return self._materialize(
            self.logs, partition_range=(self.keys[0], self.keys[-1]), tags=tags
        )

    def downstream(self) -> None:
        """Materialize all that depends on it."""
        for key in self.keys:
            dg.materialize(
                [self._after, self.logs],
                selection=[self._after],
                partition_key=key,
                instance=self._materialize.instance,
                resources=self._materialize.resources,
            )

    def tick(self) -> list[str]:
        """Evaluate the condition once; return the partitions that it asks for."""
        found = dg.evaluate_automation_conditions(
            self._definitions, self._materialize.instance, cursor=self._cursor
        )
        self._cursor = found.cursor
        return sorted(map(str, found.get_requested_partitions(dg.AssetKey("after"))))

    def settled(self) -> "Lab":
        """Sync and run all, until nothing is asked for any more."""
        self.tick()
        self.sync()
        self.downstream()
        self.tick()
        assert self.tick() == []
        return self


@pytest.mark.parametrize("on_unchanged", ["materialize", "observe"])
def test_a_sync_without_any_change_wakes_nothing(
    materialize: "Materializer", keys: list[str], on_unchanged: str
) -> None:
    """The version-aware condition of the documentation sees that nothing has changed."""
    lab = Lab(materialize, keys, on_unchanged=on_unchanged).settled()
    lab.sync()
    assert (lab.tick(), lab.tick()) == ([], [])


@pytest.mark.parametrize("on_unchanged", ["materialize", "observe"])
def test_a_changed_file_wakes_exactly_its_partition(
    materialize: "Materializer", local: LocalRoboto, keys: list[str], on_unchanged: str
) -> None:
    """Though the run has all of them."""
    lab = Lab(materialize, keys, on_unchanged=on_unchanged).settled()
    local.replace_file(keys[1], "x.csv", b"new")
    lab.sync()
    assert lab.tick() == [keys[1]]


def test_a_failed_partition_keeps_no_other_from_waking(
    materialize: "Materializer", local: LocalRoboto, keys: list[str]
) -> None:
    """In a partly failed run, too, just what has changed is asked for."""
    lab = Lab(materialize, keys).settled()
    local.replace_file(keys[1], "x.csv", b"new")
    local.remove_object(keys[2], "x.csv")
    local.add_file(keys[2], "gone.csv", b"y")
    local.remove_object(keys[2], "gone.csv")
    assert not lab.sync().success
    assert lab.tick() == [keys[1]]


def test_observed_partitions_are_quiet_for_eager(
    materialize: "Materializer", keys: list[str]
) -> None:
    """Plain `eager()` wakes at every materialization, at no observation."""
    lab = Lab(materialize, keys, dg.AutomationCondition.eager(), on_unchanged="observe").settled()
    result = lab.sync()
    assert [each.partition for each in materialize.observations(result)] == keys
    assert lab.tick() == []

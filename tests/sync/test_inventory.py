"""The inventory: text that no database can store, what is fetched first, what is counted."""

from roboto_dagster.sync.inventory import Inventory, Source, Totals
from roboto_dagster.sync.refusals import Refusals
from tests.sync.inventories import plan_fetches, refusals, remote


def test_text_that_is_no_unicode_can_be_kept(inventory: Inventory) -> None:
    """A lone surrogate, which JSON can carry, becomes a visible escape."""
    mad = remote("a\ud800", file_id="\ud801", uri="s3://b\ud802/k", association_id="\ud803")
    inventory.add_remote("ds_1", [mad])
    (found,) = refusals(inventory)
    assert (found.planned.remote.relative_path, found.code) == ("a\\ud800", "UNSAFE_PATH")


def test_big_files_come_first(inventory: Inventory) -> None:
    """What takes longest must not be started last."""
    inventory.add_remote("ds_1", [remote("s", 1), remote("l", 9), remote("m", 5)])
    plan_fetches(inventory)
    (source,) = inventory.sources()
    order = [file.remote.relative_path for file in inventory.files(inventory.to_fetch(source))]
    assert (source, order) == (Source("ds_1", "b"), ["l", "m", "s"])


def test_totals_count_by_action(inventory: Inventory) -> None:
    """Files and bytes, of all and of what is to be done."""
    inventory.add_remote("ds_1", [remote("a", 1), remote("b", 2), remote("../c", 4)])
    Refusals(inventory).refuse({"s3"})
    plan_fetches(inventory)
    inventory.plan_keeps([2])
    found = [inventory.totals(*actions) for actions in ((), ("fetch",), ("keep",), ("refuse",))]
    assert found == [Totals(3, 7), Totals(1, 1), Totals(1, 2), Totals(1, 4)]

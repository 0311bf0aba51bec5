"""Comparing partitions with the platform's datasets."""

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from roboto_dagster import PlatformError
from roboto_dagster.platform.datasets import RemoteDataset
from roboto_dagster.sensor.deletions import DeletionScan, DeletionScanner
from roboto_dagster.sensor.walk import Deadline

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.timezone.utc)
LATER = Deadline(float("inf"))
AT_ONCE = Deadline(float("-inf"))


def dataset(dataset_id: str, modified: dt.datetime = NOON) -> RemoteDataset:
    """Return a dataset."""
    return RemoteDataset(dataset_id=dataset_id, version=1, created=NOON, modified=modified)


def listing(*datasets: RemoteDataset) -> Any:
    """Return a function that lists datasets."""

    def list_datasets() -> Iterator[RemoteDataset]:
        yield from datasets

    return list_datasets


def scan(
    keys: Iterable[str],
    *listed: RemoteDataset,
    after: str = "",
    deadline: Deadline = LATER,
    **options: Any,
) -> DeletionScan:
    """Compare partitions with a listing; what is not listed does not exist."""
    settings: dict[str, Any] = {
        "list_all": listing(*listed),
        "list_watched": None,
        "exists": lambda _: False,
        "since": None,
        "most": 100,
        "warn": lambda _: None,
    }
    scanner = DeletionScanner(**{**settings, **options})
    return scanner.scan(set(keys), {"ds_waiting"}, after=after, deadline=deadline)


def test_what_is_not_listed_and_does_not_exist_is_gone() -> None:
    """A listing may lag behind, so each is looked up."""
    found = scan(["ds_a", "ds_b", "ds_c"], dataset("ds_a"), exists=lambda key: key == "ds_b")
    assert (found.gone, found.returned, found.looked_up_to) == (["ds_c"], [], None)


def test_what_has_no_partition_is_back() -> None:
    """Unless its change is under way, or it is older than `since`."""
    old = dataset("ds_old", NOON - dt.timedelta(days=1))
    found = scan([], dataset("ds_a"), dataset("ds_waiting"), old, since=NOON)
    assert [each.dataset_id for each in found.returned] == ["ds_a"]


def test_only_watched_datasets_are_back() -> None:
    """Those outside the sensor's query keep the partitions that they have, and get none."""
    both = dataset("ds_a"), dataset("ds_b")
    found = scan(["ds_c"], *both, dataset("ds_c"), list_watched=listing(both[1]))
    assert [each.dataset_id for each in found.returned] == ["ds_b"]
    assert found.gone == []


def test_keys_of_others_are_never_gone() -> None:
    """A key that is no id of a dataset was not added by the sensor."""
    assert scan(["manual", "", "2026-11-01"]).gone == []


def test_scan_goes_on_after_the_last_key() -> None:
    """As many as a tick may look up, and the rest in the next ones."""
    keys = [f"ds_{number}" for number in range(5)]
    gone: list[str] = []
    after: str | None = ""
    scans = 0
    while after is not None:
        found = scan(keys, after=after, most=2)
        gone, after, scans = gone + found.gone, found.looked_up_to, scans + 1
    assert (gone, scans) == (keys, 3)


def test_scan_without_time_reports_it() -> None:
    """Nothing is gone because there was no time to list it."""
    lines: list[str] = []
    found = scan(["ds_a"], dataset("ds_b"), deadline=AT_ONCE, warn=lines.append)
    assert (found.gone, found.looked_up_to) == ([], "")
    assert "Raise time_budget_seconds" in lines[0]


@pytest.mark.parametrize("transient", [True, False])
def test_failed_lookup_is_no_deletion(*, transient: bool) -> None:
    """An outage ends the scan; a refusal keeps that one partition."""

    def exists(key: str) -> bool:
        if key == "ds_a":
            raise PlatformError("no", transient, 403)
        return False

    if transient:
        with pytest.raises(PlatformError):
            scan(["ds_a", "ds_b"], exists=exists)
    else:
        assert scan(["ds_a", "ds_b"], exists=exists).gone == ["ds_b"]

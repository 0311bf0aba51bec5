"""What a complete run asks of the platform and the store, and over how many connections."""

from typing import TYPE_CHECKING

import pytest

from roboto_dagster.testing import LocalRoboto

if TYPE_CHECKING:
    from tests.conftest import Materializer

DATASETS = 6


@pytest.fixture
def dataset_ids(local: LocalRoboto) -> list[str]:
    """Six datasets of two files."""
    ids = [local.add_dataset(f"flight {number}") for number in range(DATASETS)]
    for dataset_id in ids:
        for name in ("a.bin", "b.bin"):
            local.add_file(dataset_id, name, name.encode() * 1000)
    return ids


def test_a_run_asks_little(
    materialize: "Materializer", local: LocalRoboto, dataset_ids: list[str]
) -> None:
    """Twice for each dataset at first, once when nothing has changed, and over connections that all partitions share."""
    asset = materialize.range_asset(dataset_ids)
    for asked_per_dataset, asked_of_the_store in ((2, 2 * DATASETS), (1, 0)):
        local.requests.clear()
        ends = (dataset_ids[0], dataset_ids[-1])
        assert materialize(asset, partition_range=ends).success
        assert local.requests.count(service="api") == asked_per_dataset * DATASETS
        assert local.requests.count(service="s3") == asked_of_the_store
        assert local.requests.count_connections(service="api") <= DATASETS


def test_a_change_costs_its_own_dataset_only(
    materialize: "Materializer", local: LocalRoboto, dataset_ids: list[str]
) -> None:
    """One request more, for credentials, and one of the store."""
    asset = materialize.range_asset(dataset_ids)
    ends = (dataset_ids[0], dataset_ids[-1])
    assert materialize(asset, partition_range=ends).success
    local.add_file(dataset_ids[2], "c.bin", b"c")
    local.requests.clear()
    assert materialize(asset, partition_range=ends).success
    assert local.requests.count(service="api") == DATASETS + 1
    assert local.requests.count(service="s3") == 1

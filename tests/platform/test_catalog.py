"""Listings that several syncs share."""

import contextlib
from collections.abc import Iterator

import pytest

from roboto_dagster import PlatformError
from roboto_dagster.platform.catalog import PlatformCatalog, SharedCatalog
from roboto_dagster.platform.scope import Scope
from roboto_dagster.testing import LocalRoboto, faults

Patterns = tuple[list[str], list[str]]


@pytest.fixture
def dataset_id(local: LocalRoboto) -> str:
    """A dataset of files of three kinds."""
    dataset_id = local.add_dataset("flight 7")
    for path in ("a.mcap", "b.csv", "b.txt"):
        local.add_file(dataset_id, path, path.encode())
    return dataset_id


@contextlib.contextmanager
def shared(local: LocalRoboto, *patterns: Patterns) -> Iterator[SharedCatalog]:
    """A catalog for syncs of such patterns."""
    with SharedCatalog(local.client(), patterns) as catalog:
        yield catalog


def paths_of(
    catalog: SharedCatalog | PlatformCatalog, dataset_id: str, patterns: Patterns
) -> list[str]:
    """The paths that one sync gets."""
    include, exclude = patterns
    scope = Scope(
        dataset_id=dataset_id, include_patterns=tuple(include), exclude_patterns=tuple(exclude)
    )
    return sorted(each.relative_path for each in catalog.files(scope))


LISTING = "/v1/datasets/*/files/query"


@pytest.mark.parametrize(
    "patterns",
    [
        [(["*.mcap"], []), (["*.csv"], [])],
        [(["*.mcap"], []), ([], [])],
        [(["*", "!*.mcap"], []), (["*.mcap"], [])],
        [(["*"], ["*.mcap"]), (["*"], ["*.csv"])],
        [(["*"], ["*.txt"]), (["*.csv"], ["*.txt"])],
    ],
    ids=["disjoint", "one takes all", "negated", "excluded", "same excluded"],
)
def test_each_gets_what_the_platform_would_list(
    local: LocalRoboto, dataset_id: str, patterns: list[Patterns]
) -> None:
    """One request serves all, and none gets another's files."""
    alone = PlatformCatalog(local.client())
    expected = [paths_of(alone, dataset_id, each) for each in patterns]
    before = local.requests.count(route=LISTING)
    with shared(local, *patterns) as catalog:
        assert [paths_of(catalog, dataset_id, each) for each in patterns] == expected
    assert local.requests.count(route=LISTING) == before + 1


def test_only_what_somebody_wants_is_listed(local: LocalRoboto, dataset_id: str) -> None:
    """The platform is given patterns that cover those of all."""
    with shared(local, (["*.mcap"], []), (["*.csv"], [])) as catalog:
        scope = Scope(dataset_id=dataset_id)
        assert sorted(each.relative_path for each in catalog.files(scope)) == ["a.mcap", "b.csv"]


def test_the_organization_is_known_to_all(local: LocalRoboto, dataset_id: str) -> None:
    """It comes with the records of the one listing."""
    scope = Scope(dataset_id=dataset_id)
    with shared(local, ([], []), ([], [])) as catalog:
        for _ in range(2):
            files = catalog.files(scope)
            assert len(list(files)) == 3
            assert files.org_id


def test_a_listing_that_fails_fails_for_all(local: LocalRoboto, dataset_id: str) -> None:
    """It is not asked for again: the others would only wait for the same."""
    local.faults.add(faults.status(403), service="api", route=LISTING)
    with shared(local, ([], []), ([], [])) as catalog:
        for _ in range(2):
            with pytest.raises(PlatformError):
                list(catalog.files(Scope(dataset_id=dataset_id)))
    assert local.requests.count(route=LISTING) == 1


def test_the_owner_is_asked_for_once(local: LocalRoboto, dataset_id: str) -> None:
    """So is the dataset's own record, and its absence."""
    with shared(local, ([], [])) as catalog:
        before = len(local.requests)
        assert catalog.owner(dataset_id) == catalog.owner(dataset_id)
        assert catalog.owner(dataset_id)[1] == "flight 7"
        for _ in range(2):
            with pytest.raises(PlatformError):
                catalog.owner("ds_unknown")
        assert len(local.requests) == before + 2


def test_a_record_without_a_path_is_named_to_all(local: LocalRoboto, dataset_id: str) -> None:
    """It may be a file of any of them."""
    record = {"file_id": "fl_1", "association_id": dataset_id, "version": 1, "size": 0}
    answer = faults.answer_json({"data": {"items": [record], "next_token": None}})
    local.faults.add(answer, service="api", route=LISTING)
    with shared(local, (["*.mcap"], []), (["*.csv"], [])) as catalog:
        for patterns in (["*.mcap"], ["*.csv"]):
            scope = Scope(dataset_id=dataset_id, include_patterns=tuple(patterns))
            assert "BAD_RECORD" in [each.code for each in catalog.files(scope)]


def test_many_files_come_in_order(local: LocalRoboto) -> None:
    """More than are kept together."""
    dataset_id = local.add_dataset()
    for number in range(1_050):
        local.add_file(dataset_id, f"{number:05}.csv", b"")
    with shared(local, ([], []), ([], [])) as catalog:
        scope = Scope(dataset_id=dataset_id)
        first, second = ([each.relative_path for each in catalog.files(scope)] for _ in range(2))
    assert first == second
    assert len(first) == 1_050

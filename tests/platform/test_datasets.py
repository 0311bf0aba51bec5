"""Where a dataset is found on the platform's site, and whether it is there at all."""

import pytest

from roboto_dagster import PlatformError
from roboto_dagster.platform.client import make_client
from roboto_dagster.platform.datasets import dataset_exists, dataset_url
from roboto_dagster.testing import LocalRoboto, faults


@pytest.mark.parametrize(
    ("endpoint", "dataset_ids", "url"),
    [
        ("https://api.roboto.ai", ["ds_1"], "https://app.roboto.ai/datasets/ds_1"),
        ("https://api.eu.roboto.ai/", ["ds_1"], "https://app.eu.roboto.ai/datasets/ds_1"),
        ("https://api.roboto.ai", ["ds_1", "ds_2"], None),
        ("https://api.roboto.ai", [], None),
        ("http://127.0.0.1:8000", ["ds_1"], None),
    ],
    ids=["one", "other-site", "several", "none", "this-machine"],
)
def test_a_dataset_of_a_real_platform_has_a_page(
    endpoint: str, dataset_ids: list[str], url: str | None
) -> None:
    """The site stands beside the API; a platform on this machine has none."""
    assert dataset_url(endpoint, *dataset_ids) == url


def test_a_dataset_is_there_until_the_platform_denies_it(local: LocalRoboto) -> None:
    """The API's own answer counts; that of whatever else stands at its address does not."""
    client = make_client(api_key=local.api_key, endpoint=local.api_url, max_attempts=1)
    assert dataset_exists(client, local.add_dataset())
    assert not dataset_exists(client, "ds_gone")
    for body in ("<html>not here</html>", "404 page not found", '{"message": "Not Found"}'):
        local.faults.add(faults.answer(body, status=404), service="api", times=1)
        with pytest.raises(PlatformError, match="is not the Roboto API"):
            dataset_exists(client, "ds_gone")

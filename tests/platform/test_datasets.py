"""Where a dataset is found on the platform's site."""

import pytest

from roboto_dagster.platform.datasets import dataset_url


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

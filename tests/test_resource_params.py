"""Resources whose keys a user chooses become parameters that Dagster fills."""

import dagster as dg
import pytest

from roboto_dagster import ConfigurationError, ObjectStoreResource, RobotoResource
from roboto_dagster.resource_params import with_resources


def body(context: dg.AssetExecutionContext, roboto: RobotoResource, store: object) -> str:
    """Stand for an asset."""
    return f"{type(context).__name__} {roboto.org_id} {type(store).__name__}"


def wrapped(first: str, second: str) -> dg.AssetsDefinition:
    """Return an asset with two resources of these keys."""
    resources = {
        "roboto_resource_key": (first, RobotoResource),
        "object_store_resource_key": (second, ObjectStoreResource),
    }
    return dg.asset(name="logs")(with_resources(body, dg.AssetExecutionContext, resources))


def test_resources_are_asked_for_by_their_keys() -> None:
    """Dagster knows what to hand over, and the function can be called directly."""
    asset = wrapped("acme", "acme_store")
    assert asset.required_resource_keys == {"acme", "acme_store", "io_manager"}
    result = asset(
        dg.build_asset_context(),
        acme=RobotoResource(org_id="og_1"),
        acme_store=ObjectStoreResource(),
    )
    assert result == "DirectAssetExecutionContext og_1 ObjectStoreResource"


def test_a_resource_of_another_kind_is_named_by_its_key() -> None:
    """Swapped resources are an error that names the user's key."""
    with pytest.raises(ConfigurationError, match="'acme' is ObjectStoreResource"):
        wrapped("acme", "acme_store")(
            dg.build_asset_context(), acme=ObjectStoreResource(), acme_store=RobotoResource()
        )


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("a-b", "store", "roboto_resource_key must be the key"),
        ("one", "one", "must be two resources"),
        ("context", "store", "must not be context"),
    ],
)
def test_keys_that_cannot_work(first: str, second: str, message: str) -> None:
    """A key that is none, or is taken, is an error where the asset is defined."""
    with pytest.raises(ConfigurationError, match=message):
        wrapped(first, second)

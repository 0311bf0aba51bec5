"""Two organizations in one code location: each asset reaches its own platform and store."""

import pathlib
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import (
    build_roboto_dataset_asset,
    build_roboto_dataset_checks,
    build_roboto_dataset_sensor,
    build_roboto_source_asset,
)
from roboto_dagster.testing import LocalRoboto

pytestmark = pytest.mark.slow


def test_each_asset_uses_the_resources_that_it_names(tmp_path: pathlib.Path) -> None:
    """Assets, checks and sensors of two organizations run in one location, each on its own platform."""
    with LocalRoboto() as one, LocalRoboto() as other, dg.DagsterInstance.ephemeral() as instance:
        assets: list[dg.AssetsDefinition] = []
        resources: dict[str, Any] = {}
        for name, local in {"acme": one, "umbrella": other}.items():
            dataset_id = local.add_dataset(f"flight of {name}")
            local.add_file(dataset_id, "name.txt", name.encode())
            assets.append(
                build_roboto_dataset_asset(
                    f"{name}_logs",
                    destination=tmp_path / name,
                    dataset_id=dataset_id,
                    roboto_resource_key=name,
                    object_store_resource_key=f"{name}_store",
                    source=build_roboto_source_asset(["roboto", name], group_name=name),
                )
            )
            of_local = local.resources()
            resources |= {name: of_local["roboto"], f"{name}_store": of_local["object_store"]}
        checks = [
            each
            for asset, key in zip(assets, ("acme", "umbrella"), strict=True)
            for each in build_roboto_dataset_checks(asset, roboto_resource_key=key)
        ]
        result = dg.materialize([*assets, *checks], resources=resources, instance=instance)
        assert result.success
        assert all(each.passed for each in result.get_asset_check_evaluations())
        for asset, key in zip(assets, ("acme", "umbrella"), strict=True):
            (file,) = (tmp_path / key).glob("ds_*/name.txt")
            assert file.read_bytes() == key.encode()
            sensor = build_roboto_dataset_sensor(asset, roboto_resource_key=key)
            found = sensor(dg.build_sensor_context(), **{key: resources[key]})
            assert isinstance(found, dg.SensorResult)
            assert len(found.run_requests or []) == 1

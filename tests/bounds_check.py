"""What `tests/bounds.py` runs in each environment: every import, a session with both engines, an asset."""

import importlib
import pathlib
import pkgutil
import tempfile

import dagster as dg
from roboto import Association

import roboto_dagster
from roboto_dagster import (
    DownloadableFile,
    DownloadSession,
    ObjectStoreResource,
    StoreRegistry,
    build_roboto_dataset_asset,
)
from roboto_dagster.testing import LocalRoboto

BIG = bytes(range(256)) * 80_000  # 20 MB: arrives in ranges


def import_everything() -> None:
    """Import each module and each public name."""
    for module in pkgutil.walk_packages(roboto_dagster.__path__, "roboto_dagster."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in roboto_dagster.__all__:
        getattr(roboto_dagster, name)


def download(local: LocalRoboto, dataset_id: str, engine: str, folder: pathlib.Path) -> None:
    """Download a big file and a missing one: the first arrives, the second is reported."""
    uri = local.record(dataset_id, "big.bin")["uri"]
    items = [
        DownloadableFile(bucket_name="b", source_uri=one, destination_path=folder / engine / name)
        for one, name in ((uri, "big.bin"), (f"{uri}-missing", "missing.bin"))
    ]
    session = DownloadSession(items, Association.dataset(dataset_id), local.client())
    store = StoreRegistry.get_store_for_uri(
        uri, session.credential_provider, engine=engine, endpoint_url=local.s3_url
    )
    try:
        with store:
            for file in session:
                session.register_download(
                    file, store.get(file["source_uri"], file["destination_path"])
                )
    except Exception as failure:  # noqa: BLE001 -- a group of one, which 3.10 has only from a package
        failures = [str(each) for each in getattr(failure, "exceptions", [failure])]
        assert ["NOT_FOUND" in each for each in failures] == [True], failures
    assert (folder / engine / "big.bin").read_bytes() == BIG, engine
    assert not (folder / engine / "missing.bin").exists()


def materialize(local: LocalRoboto, dataset_id: str, engine: str, folder: pathlib.Path) -> None:
    """Materialize an asset with this engine."""
    asset = build_roboto_dataset_asset("logs", dataset_id=dataset_id, destination=folder / "asset")
    store = ObjectStoreResource(engine=engine, endpoint_url=local.s3_url)
    result = dg.materialize([asset], resources={**local.resources(), "object_store": store})
    assert result.success
    assert (folder / "asset" / dataset_id / "big.bin").read_bytes() == BIG


def main() -> None:
    """Try both engines on a platform on this machine."""
    import_everything()
    with LocalRoboto() as local, tempfile.TemporaryDirectory() as folder:
        dataset_id = local.add_dataset("bounds")
        local.add_file(dataset_id, "big.bin", BIG)
        for engine in ("curl", "boto3"):
            download(local, dataset_id, engine, pathlib.Path(folder))
            materialize(local, dataset_id, engine, pathlib.Path(folder, engine))


if __name__ == "__main__":
    main()

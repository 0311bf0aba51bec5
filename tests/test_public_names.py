"""What users may import."""

import importlib

import pytest

import roboto_dagster
from roboto_dagster import testing

# architecture.md, section 4.
DOCUMENTED = {
    "AwsCredentialsResource",
    "CredentialProvider",
    "CredentialProviderResource",
    "Credentials",
    "DownloadSession",
    "DownloadableFile",
    "FutureLike",
    "ObjectStore",
    "ObjectStoreResource",
    "OnProgress",
    "RetryConfig",
    "RobotoCredentialsResource",
    "RobotoDatasetComponent",
    "RobotoFilesIOManager",
    "RobotoResource",
    "StoreRegistry",
    "build_roboto_dataset_asset",
    "build_roboto_dataset_checks",
    "build_roboto_dataset_sensor",
    "build_roboto_sync_schedule",
}


@pytest.mark.parametrize("module", [roboto_dagster, testing], ids=lambda module: module.__name__)
def test_all_is_sorted_and_importable(module: object) -> None:
    """`__all__` is in order, without doubles, and every name of it is there."""
    names = list(getattr(module, "__all__"))  # noqa: B009 -- of any module
    assert names == sorted(set(names))
    assert [name for name in names if not hasattr(module, name)] == []


def test_every_public_name_is_in_all() -> None:
    """What the door imports is what it declares; submodules and `logging` aside."""
    public = {
        name
        for name, value in vars(roboto_dagster).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("roboto")
    }
    assert public - set(roboto_dagster.__all__) == set()


def test_documented_names_are_there() -> None:
    """The names that were promised are public."""
    assert DOCUMENTED - set(roboto_dagster.__all__) == set()


def test_session_module_has_the_file_type_and_the_logger() -> None:
    """`roboto_dagster.fs.download_session` has what the SDK's module of that name has."""
    module = importlib.import_module("roboto_dagster.fs.download_session")
    assert module.DownloadSession is roboto_dagster.DownloadSession
    assert module.DownloadableFile is roboto_dagster.DownloadableFile
    assert module.logger.name == "roboto_dagster.fs.download_session"


def test_the_library_is_registered_with_dagster() -> None:
    """Dagster knows the library and its version."""
    from dagster_shared.libraries import DagsterLibraryRegistry

    assert DagsterLibraryRegistry.get()["roboto-dagster"] == roboto_dagster.__version__

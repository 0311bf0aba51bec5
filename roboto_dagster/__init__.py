"""Roboto datasets as Dagster assets: complete, verified and catalogued on disk; what has not
changed is not downloaded again.
"""

import logging

from dagster_shared.libraries import DagsterLibraryRegistry

from roboto_dagster.assets import build_roboto_dataset_asset
from roboto_dagster.checks import build_roboto_dataset_checks
from roboto_dagster.component import RobotoDatasetComponent
from roboto_dagster.errors import (
    ConfigurationError,
    DownloadError,
    ManifestError,
    PlatformError,
    RobotoDagsterError,
)
from roboto_dagster.failures import FailedFile, PartitionFailure, failures_of_run
from roboto_dagster.fs.credentials import CredentialProvider, Credentials
from roboto_dagster.fs.download_session import DownloadSession
from roboto_dagster.fs.object_store import FutureLike, ObjectStore, OnProgress, StoreRegistry
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.fs.s3_store import S3Store
from roboto_dagster.io_managers import DatasetFiles, RobotoFilesIOManager
from roboto_dagster.resources import (
    AwsCredentialsResource,
    CredentialProviderResource,
    ObjectStoreResource,
    RobotoCredentialsResource,
    RobotoResource,
)
from roboto_dagster.schedules import build_roboto_sync_schedule
from roboto_dagster.sensors import build_roboto_dataset_sensor
from roboto_dagster.sync.manifest import manifest_path, read_manifest
from roboto_dagster.types import DownloadableFile
from roboto_dagster.version import __version__

__all__ = [
    "AwsCredentialsResource",
    "ConfigurationError",
    "CredentialProvider",
    "CredentialProviderResource",
    "Credentials",
    "DatasetFiles",
    "DownloadError",
    "DownloadSession",
    "DownloadableFile",
    "FailedFile",
    "FutureLike",
    "ManifestError",
    "ObjectStore",
    "ObjectStoreResource",
    "OnProgress",
    "PartitionFailure",
    "PlatformError",
    "RetryConfig",
    "RobotoCredentialsResource",
    "RobotoDagsterError",
    "RobotoDatasetComponent",
    "RobotoFilesIOManager",
    "RobotoResource",
    "S3Store",
    "StoreRegistry",
    "__version__",
    "build_roboto_dataset_asset",
    "build_roboto_dataset_checks",
    "build_roboto_dataset_sensor",
    "build_roboto_sync_schedule",
    "failures_of_run",
    "manifest_path",
    "read_manifest",
]

# A library leaves it to the application where its log lines go.
logging.getLogger(__name__).addHandler(logging.NullHandler())

DagsterLibraryRegistry.register("roboto-dagster", __version__, is_dagster_package=False)

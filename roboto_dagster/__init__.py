"""Roboto datasets as Dagster assets: complete, verified and catalogued on disk; what has not
changed is not downloaded again.

Each public name is imported when it is first used, so that a program which only downloads pays neither
for Dagster nor for an engine that it does not use.
"""

import importlib
import importlib.util
import logging
from typing import TYPE_CHECKING

from roboto_dagster.version import __version__

if TYPE_CHECKING:
    from roboto_dagster.assets import build_roboto_dataset_asset
    from roboto_dagster.checks import build_roboto_dataset_checks
    from roboto_dagster.checks.topic_checks import build_topic_checks
    from roboto_dagster.checks.topic_inspector import TopicCheck
    from roboto_dagster.component import RobotoDatasetComponent
    from roboto_dagster.errors import (
        ConfigurationError,
        DownloadError,
        ManifestError,
        MissingPartitionError,
        PlatformError,
        RobotoDagsterError,
    )
    from roboto_dagster.failure_sensor import build_roboto_failure_sensor
    from roboto_dagster.failures import FailedFile, PartitionFailure, failures_of_run
    from roboto_dagster.fs.credentials import CredentialProvider, Credentials
    from roboto_dagster.fs.download_session import DownloadSession
    from roboto_dagster.fs.object_store import FutureLike, ObjectStore, OnProgress, StoreRegistry
    from roboto_dagster.fs.retry import RetryConfig
    from roboto_dagster.fs.s3_store import S3Store
    from roboto_dagster.inputs.dataset_files import DatasetFiles
    from roboto_dagster.inputs.dotted import dotted_columns
    from roboto_dagster.inputs.input_types import InputLoader, register_input_type
    from roboto_dagster.inputs.topic_tables import TopicData, TopicTables
    from roboto_dagster.io_managers import RobotoFilesIOManager
    from roboto_dagster.jobs import build_roboto_dataset_job
    from roboto_dagster.multi_asset import build_roboto_dataset_assets
    from roboto_dagster.resources import (
        AwsCredentialsResource,
        CredentialProviderResource,
        ObjectStoreResource,
        RobotoCredentialsResource,
        RobotoResource,
    )
    from roboto_dagster.schedules import build_roboto_sync_schedule
    from roboto_dagster.sensors import build_roboto_dataset_sensor
    from roboto_dagster.source_asset import build_roboto_source_asset
    from roboto_dagster.sync.manifest import manifest_path, read_manifest
    from roboto_dagster.sync.shards.division import ShardOptions
    from roboto_dagster.sync.values import SyncMetadata
    from roboto_dagster.topic_assets.builder import build_roboto_topics_asset
    from roboto_dagster.topic_assets.metadata import TopicsMetadata
    from roboto_dagster.topics.decoder import LogDecoder, TopicBatch, TopicFault, TopicNote
    from roboto_dagster.topics.decoders import default_decoders
    from roboto_dagster.topics.errors import DecodeError
    from roboto_dagster.topics.ros.distribution import ros_distribution_definitions
    from roboto_dagster.topics.topic_filter import TopicFilter
    from roboto_dagster.types import DownloadableFile

__all__ = [
    "AwsCredentialsResource",
    "ConfigurationError",
    "CredentialProvider",
    "CredentialProviderResource",
    "Credentials",
    "DatasetFiles",
    "DecodeError",
    "DownloadError",
    "DownloadSession",
    "DownloadableFile",
    "FailedFile",
    "FutureLike",
    "InputLoader",
    "LogDecoder",
    "ManifestError",
    "MissingPartitionError",
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
    "ShardOptions",
    "StoreRegistry",
    "SyncMetadata",
    "TopicBatch",
    "TopicCheck",
    "TopicData",
    "TopicFault",
    "TopicFilter",
    "TopicNote",
    "TopicTables",
    "TopicsMetadata",
    "__version__",
    "build_roboto_dataset_asset",
    "build_roboto_dataset_assets",
    "build_roboto_dataset_checks",
    "build_roboto_dataset_job",
    "build_roboto_dataset_sensor",
    "build_roboto_failure_sensor",
    "build_roboto_source_asset",
    "build_roboto_sync_schedule",
    "build_roboto_topics_asset",
    "build_topic_checks",
    "default_decoders",
    "dotted_columns",
    "failures_of_run",
    "manifest_path",
    "read_manifest",
    "register_input_type",
    "ros_distribution_definitions",
]

# Where each name is defined; tests/test_public_names.py compares it with the imports above.
_MODULE_OF = {
    "AwsCredentialsResource": "resources",
    "ConfigurationError": "errors",
    "CredentialProvider": "fs.credentials",
    "CredentialProviderResource": "resources",
    "Credentials": "fs.credentials",
    "DatasetFiles": "inputs.dataset_files",
    "DecodeError": "topics.errors",
    "DownloadError": "errors",
    "DownloadSession": "fs.download_session",
    "DownloadableFile": "types",
    "FailedFile": "failures",
    "FutureLike": "fs.object_store",
    "InputLoader": "inputs.input_types",
    "LogDecoder": "topics.decoder",
    "ManifestError": "errors",
    "MissingPartitionError": "errors",
    "ObjectStore": "fs.object_store",
    "ObjectStoreResource": "resources",
    "OnProgress": "fs.object_store",
    "PartitionFailure": "failures",
    "PlatformError": "errors",
    "RetryConfig": "fs.retry",
    "RobotoCredentialsResource": "resources",
    "RobotoDagsterError": "errors",
    "RobotoDatasetComponent": "component",
    "RobotoFilesIOManager": "io_managers",
    "RobotoResource": "resources",
    "S3Store": "fs.s3_store",
    "ShardOptions": "sync.shards.division",
    "StoreRegistry": "fs.object_store",
    "SyncMetadata": "sync.values",
    "TopicBatch": "topics.decoder",
    "TopicCheck": "checks.topic_inspector",
    "TopicData": "inputs.topic_tables",
    "TopicFault": "topics.decoder",
    "TopicFilter": "topics.topic_filter",
    "TopicNote": "topics.decoder",
    "TopicTables": "inputs.topic_tables",
    "TopicsMetadata": "topic_assets.metadata",
    "build_roboto_dataset_asset": "assets",
    "build_roboto_dataset_assets": "multi_asset",
    "build_roboto_dataset_checks": "checks",
    "build_roboto_dataset_job": "jobs",
    "build_roboto_dataset_sensor": "sensors",
    "build_roboto_failure_sensor": "failure_sensor",
    "build_roboto_source_asset": "source_asset",
    "build_roboto_sync_schedule": "schedules",
    "build_roboto_topics_asset": "topic_assets.builder",
    "build_topic_checks": "checks.topic_checks",
    "default_decoders": "topics.decoders",
    "dotted_columns": "inputs.dotted",
    "failures_of_run": "failures",
    "manifest_path": "sync.manifest",
    "read_manifest": "sync.manifest",
    "register_input_type": "inputs.input_types",
    "ros_distribution_definitions": "topics.ros.distribution",
}

# A library leaves it to the application where its log lines go.
logging.getLogger(__name__).addHandler(logging.NullHandler())

if not TYPE_CHECKING:  # with a `__getattr__` in sight, type checkers would accept any name

    def __getattr__(name: str) -> object:
        """Import a public name, or a submodule, when it is first used (PEP 562)."""
        if name in _MODULE_OF:
            value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        elif not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}"):
            value = importlib.import_module(f"{__name__}.{name}")
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """List all public names: `dg list components` and completion see those not yet imported."""
        return sorted({*globals(), *__all__})

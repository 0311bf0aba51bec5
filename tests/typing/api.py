"""What users write, as a type checker sees it: never run, only checked (`make types`)."""

import pathlib
from collections.abc import Iterator

import dagster as dg
import pyarrow as pa
import tenacity
from roboto import Association, RobotoClient
from roboto.storage.object_store import StoreRegistry as SdkStoreRegistry

from roboto_dagster import (
    AwsCredentialsResource,
    CredentialProvider,
    CredentialProviderResource,
    Credentials,
    DatasetFiles,
    DownloadableFile,
    DownloadError,
    DownloadSession,
    FutureLike,
    ObjectStore,
    ObjectStoreResource,
    OnProgress,
    RetryConfig,
    RobotoCredentialsResource,
    RobotoDagsterError,
    RobotoFilesIOManager,
    RobotoResource,
    StoreRegistry,
    TopicBatch,
    TopicCheck,
    TopicData,
    TopicFault,
    TopicFilter,
    TopicNote,
    TopicTables,
    build_roboto_dataset_asset,
    build_roboto_dataset_assets,
    build_roboto_topics_asset,
    build_topic_checks,
    read_manifest,
    register_input_type,
)
from roboto_dagster.testing import LocalRoboto, faults

client = RobotoClient.from_env()
file = DownloadableFile(
    bucket_name="bucket",
    source_uri="s3://bucket/key",
    destination_path=pathlib.Path("key"),
)


def lazily() -> Iterator[DownloadableFile]:
    """A batch need not be a list."""
    yield file


# The documented use, and its variants.
session = DownloadSession(
    items=[file], association=Association.dataset("ds_123"), roboto_client=client
)
store: ObjectStore = StoreRegistry.get_store_for_uri(
    "s3://bucket/key", session.make_credential_provider("bucket")
)
with store:
    for each in session:
        session.register_download(each, store.get(each["source_uri"], each["destination_path"]))

DownloadSession(lazily(), Association.dataset("ds_123"), client, "og_1")
provider: CredentialProvider = session.credential_provider
credentials: Credentials = provider()
SdkStoreRegistry.get_store_for_uri("s3://bucket/key", session.credential_provider)
with DownloadSession([], Association.dataset("ds_123")) as opened:
    opened.await_downloads()


def count(size_bytes: int) -> None:
    """Progress is a function of a number."""


on_progress: OnProgress = count
future: FutureLike[None] = store.get("s3://bucket/key", pathlib.Path("key"), on_progress)
store.put(pathlib.Path("key"), "s3://bucket/key", on_progress=count)


# Errors have their fields.
try:
    future.result()
except DownloadError as failure:
    code: str = failure.code
    transient: bool = failure.transient
    attempts: int = failure.attempts
    request_id: str | None = failure.request_id
    place: pathlib.Path = failure.file["destination_path"]
except RobotoDagsterError:
    pass


# Resources, one of a user's own among them.
class TeamCredentialsResource(CredentialProviderResource):
    """Credentials of a user's own kind."""

    def provider_for(self, session: DownloadSession, bucket_name: str) -> CredentialProvider:
        """Return any function that returns credentials."""
        session.make_credential_provider(bucket_name)
        return lambda: Credentials(
            access_key="a", secret_key="s", token="", region="", expiry_time=None
        )


policy: tenacity.Retrying = RetryConfig(max_attempts=3, deadline_seconds=60).retrying()
resources = {
    "roboto": RobotoResource(api_key=dg.EnvVar("ROBOTO_API_KEY"), org_id="og_1"),
    "object_store": ObjectStoreResource(engine="boto3", credentials=TeamCredentialsResource()),
}
ObjectStoreResource(credentials=AwsCredentialsResource(profile="team"), verify="checksum")
ObjectStoreResource(credentials=RobotoCredentialsResource(), max_connections=32)

# The asset.
asset: dg.AssetsDefinition = build_roboto_dataset_asset(
    "flights",
    destination=pathlib.Path("logs"),
    partitions_def=dg.DynamicPartitionsDefinition(name="flights"),
    include_patterns=["*.mcap"],
    exclude_patterns=("tmp/",),
    retry=RetryConfig(max_attempts=3),
    backfill_policy=dg.BackfillPolicy.single_run(),
    on_empty="allow",
)
several: dg.AssetsDefinition = build_roboto_dataset_assets(
    "flight_logs",
    {"camera": ["*.mcap"], "imu": {"include_patterns": ["*.csv"], "on_empty": "allow"}},
    destination="logs",
    dataset_id="ds_1",
)
definitions = dg.Definitions(assets=[asset, several], resources=resources)


# The IO manager.
@register_input_type(bytes)
def first_file(files: DatasetFiles, context: dg.InputContext) -> bytes:
    """A type of one's own."""
    return files.paths[0].read_bytes() if files and context.has_asset_key else b""


RobotoFilesIOManager(destination="logs", allow_missing_partitions=True)
table: pa.Table = read_manifest("logs/.roboto/flights/ds_1.parquet")

# The platform on this machine.
with LocalRoboto() as local:
    dataset_id: str = local.add_dataset("flight", tags=["sunny"])
    file_id: str = local.add_file(dataset_id, "a.mcap", b"bytes")
    local.faults.add(faults.status(503, "SlowDown"), key="*a.mcap", times=1)
    requests: int = local.requests.count(service="s3")
    sdk_client: RobotoClient = local.client()


# A decoder of one's own is any class with these members.
class MyDecoder:
    """Reads logs of a format of one's own."""

    name = "my format"
    version = "1"

    def claims(self, path: pathlib.Path, head: bytes) -> bool:
        """Decide by the name, or by the first bytes."""
        return path.suffix == ".mine" or head.startswith(b"MINE")

    def batches(
        self, path: pathlib.Path, topics: TopicFilter
    ) -> Iterator[TopicBatch | TopicFault | TopicNote]:
        """Find nothing."""
        if topics.includes("/imu"):
            yield TopicFault(topic=None, code="CORRUPT", reason=f"{path.name} is empty")


robot_logs = build_roboto_dataset_asset("robot_logs", destination="logs", dataset_id="ds_123")
robot_topics = build_roboto_topics_asset(
    "robot_topics", upstream=robot_logs, destination="topics", decoders=[MyDecoder()]
)
build_topic_checks(robot_topics, {"/imu": TopicCheck(rate=(90, 110), max_gap=0.5)})


def rows_of(tables: TopicTables) -> int:
    """Topics are a mapping by name."""
    imu: TopicData = tables["/imu"]
    table: pa.Table = imu.table()
    return table.num_rows + len(tables.matching("/gps*"))

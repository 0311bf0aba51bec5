"""`LocalRoboto`: the platform on this machine, put together from its servers, contents and folders."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from roboto_dagster.testing.contents import ChecksumAlgorithm, LocalContents
from roboto_dagster.testing.folders import add_folder, add_folders
from roboto_dagster.testing.local_servers import DEFAULT_BUCKET, utc_now


class LocalRoboto(LocalContents):
    """The Roboto platform on this machine: its HTTP API, and an S3 server behind it.

    It speaks the platform's protocol well enough for the unchanged Roboto SDK, checks API keys and
    S3 signatures, and forgets everything when it stops. Several may run at once; they share
    nothing.

    ```python
    with LocalRoboto() as local, dagster.DagsterInstance.ephemeral() as instance:
        dataset_id = local.add_dataset("flight 1")
        local.add_file(dataset_id, "logs/a.mcap", b"...")
        local.faults.add(faults.status(503, "SlowDown"), key="*a.mcap", times=1)
        instance.add_dynamic_partitions("flights", [dataset_id])
        dagster.materialize(
            [my_asset],
            resources=local.resources(),
            partition_key=dataset_id,
            instance=instance,
        )
        assert local.requests.count(service="s3", method="GET") == 2
    ```

    Code that makes its own clients (the SDK, boto3) reaches it through `environment`.

    Attributes:
        api_key: The API key that it accepts.
        faults: What goes wrong, and when; see `roboto_dagster.testing.faults`.
        requests: What was asked.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        api_key: str | None = None,
        page_size: int = 100,
        credentials_ttl_seconds: float = 3600.0,
        bucket: str = DEFAULT_BUCKET,
        clock: Callable[[], datetime] = utc_now,
        seed: int | None = None,
        api_port: int = 0,
        s3_port: int = 0,
    ) -> None:
        """Prepare a platform; nothing is imported or listens before `start`.

        Args:
            folder: A folder whose sub-folders become datasets when it starts; see `add_folder`.
            api_key: The API key to accept. Default: a new one.
            page_size: How many records the API returns at once.
            credentials_ttl_seconds: How long the S3 credentials that it hands out live.
            bucket: Where files are kept by default.
            clock: Returns the time, with its zone, for records and for the life of credentials.
            seed: What the ids of records start from: two platforms with one seed, on which the same
                is done, have the same ids. Default: every platform has ids of its own, so that
                nothing that another test has delivered is taken for what this one added.
            api_port: The API's port. Default: any free one.
            s3_port: The S3 server's port. Default: any free one.
        """
        super().__init__(
            api_key=api_key,
            page_size=page_size,
            credentials_ttl_seconds=credentials_ttl_seconds,
            bucket=bucket,
            clock=clock,
            seed=seed,
            api_port=api_port,
            s3_port=s3_port,
        )
        self._folder = None if folder is None else Path(folder)

    def _fill(self) -> None:
        if self._folder is not None:
            add_folders(self, self._folder)

    def add_folder(
        self,
        folder: Path | str,
        *,
        dataset_id: str | None = None,
        name: str | None = None,
        checksum_algorithm: ChecksumAlgorithm | None = "CRC64NVME",
    ) -> str:
        """Add a folder as a dataset, its files served where they lie; hidden files are left out.

        Ids come from the names and versions from the content, so that a folder that is served
        again, in another process, is the same dataset with the same files, and an edited file has
        another version.

        Args:
            folder: The folder.
            dataset_id: The dataset's id. Default: one that is made of its name.
            name: The dataset's name. Default: the folder's.
            checksum_algorithm: As in `add_file`.

        Returns:
            The dataset's id.
        """
        return add_folder(
            self,
            Path(folder),
            dataset_id=dataset_id,
            name=name,
            checksum_algorithm=checksum_algorithm,
        )

"""What is on a `LocalRoboto`: datasets, files, links and their objects, added and changed by a test."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from roboto_dagster.testing.local_servers import LocalServers
from roboto_dagster.testing.server.content import as_content
from roboto_dagster.testing.server.records import ORG_ID, split_uri

ChecksumAlgorithm = Literal["CRC64NVME", "CRC32C", "CRC32", "SHA256", "SHA1"]
ChecksumType = Literal["FULL_OBJECT", "COMPOSITE"]


class LocalContents(LocalServers):
    """A platform whose datasets and files can be changed while it runs."""

    def add_dataset(
        self,
        name: str | None = None,
        *,
        dataset_id: str | None = None,
        description: str | None = None,
        device_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        created: datetime | None = None,
        modified: datetime | None = None,
    ) -> str:
        """Add an empty dataset and return its id.

        Args:
            name: Its name.
            dataset_id: Its id, which should start with `ds_`. Default: a new one.
            description: Its description.
            device_id: The device that recorded it.
            metadata: Its metadata.
            tags: Its tags.
            created: When it was made. Default: now.
            modified: When it was last changed. Default: when it was made.
        """
        times = _times(created, modified)
        record = self._catalog.add_dataset(
            dataset_id,
            name=name,
            description=description,
            device_id=device_id,
            metadata=dict(metadata or {}),
            tags=list(tags),
            **times,
        )
        return str(record["dataset_id"])

    def add_file(
        self,
        dataset_id: str,
        relative_path: str,
        data: bytes | Path = b"",
        *,
        bucket: str | None = None,
        key: str | None = None,
        checksum_algorithm: ChecksumAlgorithm | None = "CRC64NVME",
        part_bytes: int | None = None,
        checksum_type: ChecksumType = "FULL_OBJECT",
        size: int | None = None,
        uri: str | None = None,
        fs_type: str = "file",
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        file_id: str | None = None,
        version: int | None = None,
        created: datetime | None = None,
        modified: datetime | None = None,
    ) -> str:
        """Add a file: its object in S3 and its record on the platform. Return the file's id.

        Args:
            dataset_id: The dataset to add it to.
            relative_path: Its path in the dataset, taken as it is, also if it is unsafe.
            data: Its bytes, or a file on disk that is served where it lies and must not change
                meanwhile.
            bucket: The bucket to put it into. Default: the platform's.
            key: The object's key, taken as it is. Default: made of the organization, the dataset
                and the path.
            checksum_algorithm: The checksum that S3 keeps with the object and returns when asked.
                None: no checksum.
            part_bytes: Store it as if uploaded in parts of this size, with the ETag that such
                objects have.
            checksum_type: Whether the checksum of a multipart object is of the object or of the
                parts' checksums.
            size: The size in the record, if it is to be another than the true one.
            uri: The URI in the record, if it is to be another than the object's.
            fs_type: The record's kind.
            tags: The record's tags.
            metadata: The record's metadata.
            file_id: The file's id. Default: a new one.
            version: The record's version. Default: 1; with a *file_id*, a number that is made of
                the content, so that the same id with other content is another version.
            created: When it was made. Default: now.
            modified: When it was last changed. Default: when it was made.
        """
        self._catalog.dataset(dataset_id)
        bucket = bucket or self._bucket
        key = f"{ORG_ID}/{dataset_id}/{relative_path}" if key is None else key
        content = as_content(data)
        etag = self._running.store.put(
            bucket,
            key,
            content,
            checksum_algorithm=checksum_algorithm,
            part_bytes=part_bytes,
            checksum_type=checksum_type,
            modified=modified or created,
        )
        if version is None:
            version = 1 if file_id is None else _version_of(etag)
        return self.add_record(
            dataset_id,
            relative_path=relative_path,
            uri=f"s3://{bucket}/{key}" if uri is None else uri,
            size=len(content) if size is None else size,
            fs_type=fs_type,
            tags=list(tags),
            metadata=dict(metadata or {}),
            version=version,
            **({} if file_id is None else {"file_id": file_id}),
            **_times(created, modified),
        )

    def add_record(self, dataset_id: str, *, relative_path: str, **fields: Any) -> str:
        """Add only a file's record, with any fields, however wrong.

        Args:
            dataset_id: The dataset to add it to.
            relative_path: Its path in the dataset, taken as it is.
            **fields: More fields of the record, taken as they are.

        Returns:
            The file's id.
        """
        self._catalog.dataset(dataset_id)
        return str(self._catalog.add_file(dataset_id, relative_path, **fields)["file_id"])

    def add_link(
        self,
        dataset_id: str,
        relative_path: str,
        target_file_id: str,
        *,
        target_version: int | None = None,
    ) -> str:
        """Add a link to a version of another file.

        Args:
            dataset_id: The dataset to add it to.
            relative_path: Its path in the dataset.
            target_file_id: The file that it leads to.
            target_version: The version that it leads to; then the target need not exist. Default:
                the target's latest.

        Returns:
            The link's id.
        """
        if target_version is None:
            target_version = self._catalog.file(target_file_id)["version"]
        uri = f"roboto://file/{target_file_id}?v={target_version}"
        return self.add_record(dataset_id, relative_path=relative_path, fs_type="link", uri=uri)

    def replace_file(
        self,
        dataset_id: str,
        relative_path: str,
        data: bytes | Path,
        *,
        key: str | None = None,
        checksum_algorithm: ChecksumAlgorithm | None = "CRC64NVME",
        part_bytes: int | None = None,
        checksum_type: ChecksumType = "FULL_OBJECT",
        size: int | None = None,
        modified: datetime | None = None,
    ) -> int:
        """Give a file new content, which makes a new version of its record.

        Args:
            dataset_id: The file's dataset.
            relative_path: Its path in the dataset.
            data: Its new bytes, or a file on disk that is served where it lies.
            key: The new object's key. Default: the old one's, so that the object is overwritten
                and links to older versions break.
            checksum_algorithm: As in `add_file`.
            part_bytes: As in `add_file`.
            checksum_type: As in `add_file`.
            size: As in `add_file`.
            modified: When it was changed. Default: now.

        Returns:
            The new version.
        """
        record = self._catalog.file_at(dataset_id, relative_path)
        bucket, old_key = split_uri(record["uri"])
        key = old_key if key is None else key
        content = as_content(data)
        self._running.store.put(
            bucket,
            key,
            content,
            checksum_algorithm=checksum_algorithm,
            part_bytes=part_bytes,
            checksum_type=checksum_type,
            modified=modified,
        )
        changes = {"uri": f"s3://{bucket}/{key}", "size": len(content) if size is None else size}
        revised = self._catalog.revise_file(record["file_id"], **changes, **_times(None, modified))
        return int(revised["version"])

    def remove_file(self, dataset_id: str, relative_path: str) -> None:
        """Remove a file: its record and its object.

        Args:
            dataset_id: The file's dataset.
            relative_path: Its path in the dataset.
        """
        self.remove_object(dataset_id, relative_path)
        self._catalog.remove_file(self._catalog.file_at(dataset_id, relative_path)["file_id"])

    def remove_object(self, dataset_id: str, relative_path: str) -> None:
        """Remove a file's object but not its record: downloading it now finds nothing.

        Args:
            dataset_id: The file's dataset.
            relative_path: Its path in the dataset.
        """
        self._running.store.delete(
            *split_uri(self._catalog.file_at(dataset_id, relative_path)["uri"])
        )

    def replace_object(
        self,
        bucket: str,
        key: str,
        data: bytes | Path,
        *,
        checksum_algorithm: ChecksumAlgorithm | None = "CRC64NVME",
    ) -> None:
        """Put an object into the store behind the platform's back.

        Args:
            bucket: The object's bucket.
            key: Its key.
            data: Its bytes, or a file on disk that is served where it lies.
            checksum_algorithm: As in `add_file`.
        """
        self._running.store.put(
            bucket, key, as_content(data), checksum_algorithm=checksum_algorithm
        )

    def touch_dataset(self, dataset_id: str, *, modified: datetime | None = None) -> None:
        """Set when a dataset was last changed.

        Args:
            dataset_id: The dataset.
            modified: The time. Default: now.
        """
        self._catalog.update_dataset(dataset_id, {})
        if modified is not None:
            self._catalog.dataset(dataset_id)["modified"] = modified

    def record(self, dataset_id: str, relative_path: str) -> dict[str, Any]:
        """Return a copy of a file's record, as the API would send it.

        Args:
            dataset_id: The file's dataset.
            relative_path: Its path in the dataset.
        """
        return dict(self._catalog.file_at(dataset_id, relative_path))

    def summary(self) -> list[tuple[str, str, int]]:
        """Return id, name and number of files of every dataset, oldest first."""
        return [
            (
                record["dataset_id"],
                record["name"] or "",
                len(self._catalog.files(record["dataset_id"])),
            )
            for record in self._catalog.datasets()
        ]

    def dataset_ids(self) -> list[str]:
        """Return the ids of all datasets, oldest first."""
        return [str(record["dataset_id"]) for record in self._catalog.datasets()]


def _times(created: datetime | None, modified: datetime | None) -> dict[str, Any]:
    """Return the times that are given; what was only created was modified then."""
    times = {"created": created, "modified": modified or created}
    return {name: time for name, time in times.items() if time is not None}


def _version_of(etag: str) -> int:
    """Return a version for the content that has this ETag."""
    return 1 + int(sha256(etag.encode()).hexdigest()[:7], 16)

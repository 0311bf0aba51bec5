"""The platform's records: datasets, files and their versions, uploads. Knows no HTTP and no S3.

Records are plain dicts in the shape of the wire, so that a test can put in any nonsense a server
might send.
"""

import itertools
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

from roboto_dagster.testing.server.records import (
    LINK,
    ORG_ID,
    MissingDatasetError,
    MissingRecordError,
    Record,
    audit,
    changed,
    directory_record,
    split_uri,
)


class Catalog:
    """All records of one platform, oldest first.

    Attributes:
        revision: Goes up whenever a file's record is added, changed or removed.
    """

    def __init__(self, *, clock: Callable[[], datetime], seed: int | None = None) -> None:
        """Prepare an empty catalog.

        Args:
            clock: The time of changes.
            seed: What ids start from. Default: other ids each time.
        """
        self._clock = clock
        self._session = _token(seed)
        self._datasets: dict[str, Record] = {}
        self._versions: dict[str, list[Record]] = {}
        self._members: dict[str, dict[str, None]] = {}
        self._objects: dict[str, tuple[int, frozenset[tuple[str, str]]]] = {}
        self._ids = itertools.count(1)
        self.lock = threading.RLock()
        self.revision = 0

    def now(self) -> datetime:
        """Return the time of the platform."""
        return self._clock()

    # --- datasets ---

    def add_dataset(self, dataset_id: str | None = None, **fields: Any) -> Record:
        """Add a dataset; *fields* go into its record as they are."""
        with self.lock:
            dataset_id = dataset_id or self.new_id("ds")
            if dataset_id in self._datasets:
                raise ValueError(f"There is already a dataset {dataset_id!r}: give another id.")
            self._datasets[dataset_id] = {
                "dataset_id": dataset_id,
                "org_id": ORG_ID,
                "name": None,
                "description": None,
                "device_id": None,
                "metadata": {},
                "tags": [],
                "custom_fields": {},
                "roboto_record_version": 1,
                **audit(self._clock()),
                **fields,
            }
            return self._datasets[dataset_id]

    def dataset(self, dataset_id: str) -> Record:
        """Return a dataset's record."""
        with self.lock:
            if dataset_id not in self._datasets:
                raise MissingDatasetError(f"Dataset '{dataset_id}' does not exist")
            return self._datasets[dataset_id]

    def datasets(self) -> list[Record]:
        """Return all datasets."""
        with self.lock:
            return list(self._datasets.values())

    def remove_dataset(self, dataset_id: str) -> None:
        """Remove a dataset and its files."""
        with self.lock:
            self.dataset(dataset_id)
            for file_id in list(self._members.get(dataset_id, {})):
                self.remove_file(file_id)
            del self._datasets[dataset_id]

    # --- files ---

    def add_file(self, association_id: str, relative_path: str, /, **fields: Any) -> Record:
        """Add a file's record; *fields* go into it as they are, also if they make no sense."""
        with self.lock:
            record = {
                "association_id": association_id,
                "file_id": self.new_id("fl"),
                "relative_path": relative_path,
                "name": PurePosixPath(relative_path).name,
                "org_id": ORG_ID,
                "fs_type": "file",
                "ingestion_status": "not_ingested",
                "metadata": {},
                "origination": "local",
                "size": 0,
                "status": "available",
                "storage_type": "uploaded",
                "tags": [],
                "uri": "",
                "version": 1,
                **audit(self._clock()),
                **fields,
            }
            if record["file_id"] in self._versions:
                raise ValueError(f"There is already a file {record['file_id']!r}: give another id.")
            self._versions[record["file_id"]] = [record]
            self._members.setdefault(association_id, {})[record["file_id"]] = None
            self.revision += 1
            return record

    def file(self, file_id: str, version: int | None = None) -> Record:
        """Return a file's record: the latest, or that of *version*.

        Args:
            file_id: The file.
            version: The version; None for the latest.
        """
        with self.lock:
            versions = self._versions.get(file_id, [])
            found = (
                versions[-1:]
                if version is None
                else [one for one in versions if one["version"] == version]
            )
            if not found:
                suffix = "" if version is None else f" in version {version}"
                raise MissingRecordError(f"File '{file_id}' does not exist{suffix}")
            return found[0]

    def file_at(
        self, association_id: str, relative_path: str, version: int | None = None
    ) -> Record:
        """Return the record of the file at a path.

        Args:
            association_id: Whose file it is.
            relative_path: Its path.
            version: The version; None for the latest.
        """
        for record in self.files(association_id):
            if record["relative_path"] == relative_path:
                return self.file(record["file_id"], version)
        raise MissingRecordError(f"File '{relative_path}' does not exist in '{association_id}'")

    def files(self, association_id: str | None = None) -> list[Record]:
        """Return the latest record of every file, or of every file of one association."""
        with self.lock:
            ids = (
                self._versions if association_id is None else self._members.get(association_id, {})
            )
            return [self._versions[file_id][-1] for file_id in ids]

    def objects(self, association_id: str) -> frozenset[tuple[str, str]]:
        """Return bucket and key of the object of each file and of each link's target."""
        with self.lock:
            revision, found = self._objects.get(association_id, (-1, frozenset()))
            if revision != self.revision:
                records = map(self._target, self.files(association_id))
                found = frozenset(split_uri(record["uri"]) for record in records)
                self._objects[association_id] = (self.revision, found)
            return found

    def _target(self, record: Record) -> Record:
        """Return the record that a link leads to, or the record itself."""
        link = LINK.fullmatch(str(record["uri"]))
        if link is None:
            return record
        try:
            return self.file(link["file_id"], int(link["version"]))
        except MissingRecordError:
            return record

    def revise_file(self, file_id: str, **fields: Any) -> Record:
        """Add a new version of a file's record: `version` goes up by one, `modified` is now."""
        with self.lock:
            old = self.file(file_id)
            record = {**old, "version": old["version"] + 1, "modified": self._clock(), **fields}
            self._versions[file_id].append(record)
            self.revision += 1
            return record

    def rename_file(self, file_id: str, new_path: str) -> Record:
        """Move a file; its id and version stay.

        Args:
            file_id: The file.
            new_path: Its new path.
        """
        with self.lock:
            record = self.file(file_id)
            record.update(
                relative_path=new_path, name=PurePosixPath(new_path).name, modified=self._clock()
            )
            self.revision += 1
            return record

    def remove_file(self, file_id: str) -> None:
        """Remove a file's record."""
        with self.lock:
            self.file(file_id)
            for members in self._members.values():
                members.pop(file_id, None)
            del self._versions[file_id]
            self.revision += 1

    def directories(self, association_id: str) -> list[Record]:
        """Return a record for every directory that the association's files lie in."""
        paths: dict[str, None] = {}
        for record in self.files(association_id):
            for parent in reversed(PurePosixPath(record["relative_path"]).parents):
                paths.setdefault(str(parent))
        return [
            {**directory_record(association_id, path), **audit(self._clock())}
            for path in paths
            if path not in (".", "/")
        ]

    # --- changes shared by datasets and files ---

    def update_dataset(self, dataset_id: str, changes: Mapping[str, Any]) -> Record:
        """Apply an update request's body to a dataset.

        Args:
            dataset_id: The dataset.
            changes: The body of the request.
        """
        with self.lock:
            record = self.dataset(dataset_id)
            record.update(changed(record, changes))
            record["modified"] = self._clock()
            record["roboto_record_version"] += 1
            return record

    def update_file(self, file_id: str, changes: Mapping[str, Any]) -> Record:
        """Apply an update request's body to a file, which makes a new version of its record.

        Args:
            file_id: The file.
            changes: The body of the request.
        """
        with self.lock:
            return self.revise_file(file_id, **changed(self.file(file_id), changes))

    def clear(self) -> None:
        """Forget every record; ids go on where they were."""
        with self.lock:
            for records in (self._datasets, self._versions, self._members, self._objects):
                records.clear()
            self.revision += 1

    def new_id(self, prefix: str) -> str:
        """Return an id that nothing else has, nor had in another session with another seed."""
        return f"{prefix}_{self._session}{next(self._ids):08d}"


def _token(seed: int | None) -> str:
    """Return eight characters that make the ids of this session its own."""
    return secrets.token_hex(4) if seed is None else sha256(b"%d" % seed).hexdigest()[:8]

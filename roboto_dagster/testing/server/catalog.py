"""The platform's records: datasets, files and their versions, uploads. Knows no HTTP and no S3.

Records are plain dicts in the shape of the wire, so that a test can put in any nonsense a server
might send.
"""

import itertools
import re
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

from pathspec import GitIgnoreSpec

Record = dict[str, Any]

ORG_ID = "og_local"
USER_ID = "local@roboto.invalid"

_LINK = re.compile(r"roboto://file/(?P<file_id>[^?]+)\?v=(?P<version>\d+)")


class MissingRecordError(LookupError):
    """There is no such record."""


class MissingDatasetError(MissingRecordError):
    """There is no such dataset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An upload transaction: where each path of an association is to be put."""

    transaction_id: str
    association_id: str
    uris: Mapping[str, str]
    sizes: Mapping[str, int]


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
        self._uploads: dict[str, Upload] = {}
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
                **self._audit(),
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
                **self._audit(),
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
        link = _LINK.fullmatch(str(record["uri"]))
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
            del self._members[self._home_of(file_id)][file_id]
            del self._versions[file_id]
            self.revision += 1

    def directories(self, association_id: str) -> list[Record]:
        """Return a record for every directory that the association's files lie in."""
        paths: dict[str, None] = {}
        for record in self.files(association_id):
            for parent in reversed(PurePosixPath(record["relative_path"]).parents):
                paths.setdefault(str(parent))
        return [self._directory(association_id, path) for path in paths if path not in (".", "/")]

    # --- changes shared by datasets and files ---

    def update_dataset(self, dataset_id: str, changes: Mapping[str, Any]) -> Record:
        """Apply an update request's body to a dataset.

        Args:
            dataset_id: The dataset.
            changes: The body of the request.
        """
        with self.lock:
            record = self.dataset(dataset_id)
            record.update(_changed(record, changes))
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
            return self.revise_file(file_id, **_changed(self.file(file_id), changes))

    # --- uploads ---

    def begin_upload(
        self, association_id: str, uris: Mapping[str, str], sizes: Mapping[str, int]
    ) -> Upload:
        """Open an upload transaction.

        Args:
            association_id: Whose files they will be.
            uris: Where each file goes, by its path.
            sizes: How many bytes each file has, by its path.
        """
        with self.lock:
            upload = Upload(
                transaction_id=self.new_id("tx"),
                association_id=association_id,
                uris=uris,
                sizes=sizes,
            )
            self._uploads[upload.transaction_id] = upload
            return upload

    def upload(self, transaction_id: str) -> Upload:
        """Return an open upload transaction."""
        with self.lock:
            if transaction_id not in self._uploads:
                raise MissingRecordError(f"Upload '{transaction_id}' does not exist")
            return self._uploads[transaction_id]

    def clear(self) -> None:
        """Forget every record; ids go on where they were."""
        with self.lock:
            for records in (self._datasets, self._versions, self._members, self._uploads):
                records.clear()
            self.revision += 1

    def new_id(self, prefix: str) -> str:
        """Return an id that nothing else has, nor had in another session with another seed."""
        return f"{prefix}_{self._session}{next(self._ids):08d}"

    def _home_of(self, file_id: str) -> str:
        """Return whose file it is, whatever its record may claim."""
        for association_id, members in self._members.items():
            if file_id in members:
                return association_id
        raise MissingRecordError(f"File '{file_id}' does not exist")

    def _audit(self) -> Record:
        now = self._clock()
        return {"created": now, "created_by": USER_ID, "modified": now, "modified_by": USER_ID}

    def _directory(self, association_id: str, path: str) -> Record:
        return {
            "association_id": association_id,
            "directory_id": f"dr_{association_id}_{path}",
            "fs_type": "directory",
            "name": PurePosixPath(path).name,
            "org_id": ORG_ID,
            "origination": "local",
            "relative_path": path,
            "storage_type": "directory",
            "upload_id": "NO_ID",
            **self._audit(),
        }


def _token(seed: int | None) -> str:
    """Return eight characters that make the ids of this session its own."""
    return secrets.token_hex(4) if seed is None else sha256(b"%d" % seed).hexdigest()[:8]


def select(
    records: Iterable[Record], *, include: Sequence[str] | None, exclude: Sequence[str] | None
) -> list[Record]:
    """Return the records whose path fits gitignore-style patterns; none mean no filter.

    Args:
        records: What is filtered.
        include: Patterns of which a path must match one, if there are any.
        exclude: Patterns of which a path must match none.
    """
    included = GitIgnoreSpec.from_lines(include) if include else None
    excluded = GitIgnoreSpec.from_lines(exclude) if exclude else None
    return [
        record
        for record in records
        if (included is None or included.match_file(record["relative_path"]))
        and (excluded is None or not excluded.match_file(record["relative_path"]))
    ]


def split_uri(uri: object) -> tuple[str, str]:
    """Return an `s3://` URI's exact bucket and key; two empty strings for anything else."""
    if not isinstance(uri, str) or not uri.startswith("s3://"):
        return "", ""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _put_field(metadata: dict[str, Any], name: str, value: object) -> None:
    """Set a field; a dot in its name leads into a nested object."""
    *parents, last = name.split(".")
    for parent in parents:
        nested = metadata.get(parent)
        metadata[parent] = dict(nested) if isinstance(nested, dict) else {}
        metadata = metadata[parent]
    metadata[last] = value


def _changed(record: Mapping[str, Any], changes: Mapping[str, Any]) -> Record:
    """Return the fields of *record* that an update request's body changes."""
    changed = {
        name: value
        for name, value in changes.items()
        if name in ("name", "description", "device_id")
    }
    changeset = changes.get("metadata_changeset") or {}
    replaces = bool(changeset.get("replace_all"))
    metadata = {} if replaces else dict(record["metadata"])
    for name, value in (changeset.get("put_fields") or {}).items():
        _put_field(metadata, name, value)
    for name in changeset.get("remove_fields") or []:
        metadata.pop(name, None)
    tags = [*([] if replaces else record["tags"]), *(changeset.get("put_tags") or [])]
    removed = changeset.get("remove_tags") or []
    tags = [tag for tag in dict.fromkeys(tags) if tag not in removed]
    if changeset:
        changed.update(metadata=metadata, tags=tags)
    return changed

"""The shape of the platform's records: how they are chosen, changed and taken apart."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from pathspec import GitIgnoreSpec

Record = dict[str, Any]


ORG_ID = "og_local"


USER_ID = "local@roboto.invalid"


LINK = re.compile(r"roboto://file/(?P<file_id>[^?]+)\?v=(?P<version>\d+)")


class MissingRecordError(LookupError):
    """There is no such record."""


class MissingDatasetError(MissingRecordError):
    """There is no such dataset."""


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


def changed(record: Mapping[str, Any], changes: Mapping[str, Any]) -> Record:
    """Return the fields of a record that an update request's body changes.

    Args:
        record: The record.
        changes: The body of the request.
    """
    fields = {
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
        fields.update(metadata=metadata, tags=tags)
    return fields


def directory_record(association_id: str, path: str) -> Record:
    """Return the record of a directory, without its times.

    Args:
        association_id: Whose directory it is.
        path: Its path.
    """
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
    }


def audit(now: datetime) -> Record:
    """Return who made a record, and when: the same for all that is made at a moment."""
    return {"created": now, "created_by": USER_ID, "modified": now, "modified_by": USER_ID}

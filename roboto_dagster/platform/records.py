"""What a record of a file has to be before anything is done with it; the platform's answers are not trusted.

Records are judged by hand, one by one: a pydantic model per record would double the time of a listing.
"""

import operator
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from roboto_dagster.errors import ErrorCode
from roboto_dagster.text import is_unicode
from roboto_dagster.uri import bucket_of, split_s3_uri

MAX_VERSION = 2**63 - 1  # of SQLite and Parquet
MAX_SIZE_BYTES = 2**47  # above the largest object of any store; the sum of many still fits 63 bits
# Ids go into URLs and headers of the API.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_:-]*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_BUCKET = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}")
_PLAIN_URI = re.compile(r"s3://[A-Za-z0-9][A-Za-z0-9._-]{0,254}/.", re.DOTALL)
_ARN = re.compile(
    r"arn:[A-Za-z0-9:._/-]+"
)  # has slashes only if it is one that `split_s3_uri` knows

_NO_PATH = "?"


class RemoteFile(NamedTuple):  # made by the million, in a third of the time that a dataclass takes
    """A file as the platform lists it.

    Attributes:
        file_id: The platform's id.
        version: Revision of its record; equal id and version mean that nothing changed.
        relative_path: Where the platform puts it in the dataset.
        size_bytes: Size according to the record.
        uri: `s3://bucket/key` of its object; a link's is its target's.
        association_id: Whose credentials read the object; a link's target may belong to another
            dataset.
        code: Why it cannot be fetched at all, or None.
        reason: The same in words.
    """

    file_id: str
    version: int
    relative_path: str
    size_bytes: int
    uri: str
    association_id: str
    code: ErrorCode | None = None
    reason: str | None = None

    @property
    def bucket_name(self) -> str:
        """The bucket of its object."""
        return bucket_of(self.uri)

    @property
    def has_path(self) -> bool:
        """Whether its record has a path; without one `relative_path` is its id."""
        return self.code != "BAD_RECORD" or self.relative_path not in (self.file_id, _NO_PATH)


def problem_of(record: object) -> str | None:
    """Return what is wrong with a record, or None.

    Args:
        record: Of a file or a link, as the platform sent it.
    """
    if not isinstance(record, Mapping):
        return "it is not an object"
    return _text_problem(record) or _number_problem(record) or _kind_problem(record)


def plain_file(record: Any) -> RemoteFile | None:
    """Return the file of a record that is as most are, in a few steps that cost little.

    Args:
        record: As the platform sent it.

    Returns:
        None for what has to be looked at field by field: a link, what is not available, and all that may be wrong.
    """
    try:
        file_id, version, path, size, uri, association_id = fields_of(record)
        is_ascii = "".join((file_id, path, uri, association_id)).isascii()  # noqa: FLY002 -- refuses what is no text
    except (LookupError, TypeError):  # a field is missing, or is no text
        return None
    is_plain = (
        is_ascii
        and record.get("fs_type", "file") == "file"
        and record.get("status", "available") == "available"
        and path
        and type(version) is int  # a bool is one, too
        and 0 <= version <= MAX_VERSION
        and type(size) is int
        and 0 <= size <= MAX_SIZE_BYTES
        and _ID.fullmatch(file_id)
        and _ID.fullmatch(association_id)
        and _PLAIN_URI.match(uri)
    )
    return RemoteFile(file_id, version, path, size, uri, association_id) if is_plain else None


fields_of = operator.itemgetter(
    *("file_id", "version", "relative_path", "size", "uri", "association_id")
)
"""Returns the fields of a record that a file is made of, in the order of `RemoteFile`."""


def is_id(text: str) -> bool:
    """Return whether a text can be the id of a file, a dataset or an organization."""
    return _ID.fullmatch(text) is not None


def owner_of(records: Iterable[object], dataset_id: str) -> str | None:
    """Return the organization that the records of a dataset name; None where none names one that can be an id.

    Args:
        records: Of a page, as the platform sent them.
        dataset_id: The dataset.
    """
    for record in records:
        if isinstance(record, Mapping) and record.get("association_id") == dataset_id:
            org_id = record.get("org_id")
            if isinstance(org_id, str) and is_id(org_id):
                return org_id
    return None


def bad_record(record: object, problem: str) -> RemoteFile:
    """Return what is known of a record that cannot be used.

    Args:
        record: As the platform sent it.
        problem: What is wrong with it.
    """
    known: Mapping[str, Any] = record if isinstance(record, Mapping) else {}
    file_id = str(known.get("file_id") or "")
    return RemoteFile(
        file_id=file_id,
        version=0,
        relative_path=str(known.get("relative_path") or file_id or _NO_PATH),
        size_bytes=0,
        uri=str(known.get("uri") or ""),
        association_id=str(known.get("association_id") or ""),
        code="BAD_RECORD",
        reason=f"the platform's record is unusable: {problem}",
    )


def _text_problem(record: Mapping[str, Any]) -> str | None:
    for name in ("file_id", "relative_path", "uri", "association_id"):
        value = record.get(name)
        if not isinstance(value, str) or not value:
            return f"{name} is {value!r}"
        if name != "relative_path" and not is_unicode(value):  # the plan judges paths
            return f"{name} is {value!r}"
    for name in ("file_id", "association_id"):
        if not is_id(record[name]):
            return f"{name} is {record[name]!r}"
    return None


def _number_problem(record: Mapping[str, Any]) -> str | None:
    for name, most in (("size", MAX_SIZE_BYTES), ("version", MAX_VERSION)):
        value = record.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            return f"{name} is {value!r}"
    return None


def _kind_problem(record: Mapping[str, Any]) -> str | None:
    kind = record.get("fs_type", "file")
    if kind not in ("file", "link"):
        return f"fs_type is {kind!r}"
    return None if kind == "link" else _uri_problem(record["uri"])


def _uri_problem(uri: str) -> str | None:
    """Judge a URI as far as its scheme is ours; others may be served by a store of the user's."""
    scheme, separator, rest = uri.partition("://")
    if not separator or not rest or not _SCHEME.fullmatch(scheme):
        return f"uri is {uri!r}"
    if scheme != "s3":
        return None
    try:
        bucket, _ = split_s3_uri(uri)
    except ValueError:
        return f"uri is {uri!r}"
    is_name = _BUCKET.fullmatch(bucket) and bucket.strip("._-")
    return None if is_name or _ARN.fullmatch(bucket) else f"uri is {uri!r}, which names no bucket"

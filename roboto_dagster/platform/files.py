"""Lists the files of a scope: page by page, links resolved, patterns re-checked, bad records named.

Pages are asked for through the SDK's client and parsed record by record, because
`Dataset.list_files` fails as a whole on one bad record and follows a looping page token for ever.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from roboto_dagster.errors import ErrorCode, PlatformError
from roboto_dagster.platform.datasets import parse_time
from roboto_dagster.platform.errors import platform_errors
from roboto_dagster.platform.scope import Scope
from roboto_dagster.uri import split_s3_uri

if TYPE_CHECKING:
    from roboto import RobotoClient

_LINK = re.compile(r"roboto://file/(?P<file_id>[A-Za-z0-9_-]+)(?:\?v=(?P<version>[0-9]+))?")
_LINK_CODES: dict[int, ErrorCode] = {404: "NOT_FOUND", 401: "ACCESS_DENIED", 403: "ACCESS_DENIED"}
_MAX_INT = 2**63 - 1  # of SQLite and Parquet


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
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
        """The bucket of its object, taken from the URI by hand: a URL parser would mistake `?` and
        `#` in keys.
        """
        return self.uri.partition("://")[2].partition("/")[0]


def list_files(client: "RobotoClient", scope: Scope) -> Iterator[RemoteFile]:
    """Yields the files of a scope, in the platform's order. Directories and files not yet uploaded
    are left out.

    Args:
        client: Client of the platform.
        scope: The dataset and its patterns.

    Yields:
        Every file once. A record that cannot be used comes with a `code` instead of failing the
        listing.

    Raises:
        PlatformError: The dataset is unknown, or a page could not be had: the listing is then
            incomplete.
    """
    matcher = scope.matcher()
    for record in _records(client, scope):
        if not isinstance(record, Mapping):
            yield _bad_record({}, "it is no object")
        elif (
            record.get("fs_type", "file") == "directory"
            or record.get("status", "available") != "available"
        ):
            continue
        elif not scope.has_window or _in_window(scope, record):
            file = _parse(client, record)
            if matcher.matches(file.relative_path) or not record.get("relative_path"):
                yield file


def _in_window(scope: Scope, record: Mapping[str, Any]) -> bool:
    """Tells whether a file was created in the scope's window; who knows no better keeps it."""
    try:
        return scope.holds_time(parse_time(record.get("created")))
    except ValueError:
        return True


def _records(client: "RobotoClient", scope: Scope) -> Iterator[Any]:
    page_token: str | None = None
    seen_tokens: set[str] = set()
    while True:
        items, page_token = _page(client, scope, page_token)
        yield from items
        if not page_token:
            return
        if page_token in seen_tokens:
            msg = (
                f"listing the files of {scope.dataset_id}: the Roboto API repeats page {page_token!r}, so the list is "
                "incomplete and nothing was changed. Run it again later."
            )
            raise PlatformError(msg, transient=True)
        seen_tokens.add(page_token)


def _page(
    client: "RobotoClient", scope: Scope, page_token: str | None
) -> tuple[list[Any], str | None]:
    from roboto.domain.files.operations import QueryDatasetFilesRequest

    request = QueryDatasetFilesRequest(
        page_token=page_token,
        include_patterns=list(scope.include_patterns) or None,
        exclude_patterns=list(scope.exclude_patterns) or None,
        include_inherited=False,
    )
    with platform_errors(f"listing the files of {scope.dataset_id}", client):
        response = client.post(
            f"v1/datasets/{scope.dataset_id}/files/query",
            data=request,
            query={"page_token": page_token} if page_token else None,
            idempotent=True,
        )
        page = response.to_dict(json_path=["data"])
        items, next_token = list(page["items"]), page["next_token"]
        if next_token is not None and not isinstance(next_token, str):
            raise TypeError(next_token)
        return items, next_token


def _parse(client: "RobotoClient", record: Mapping[str, Any]) -> RemoteFile:
    complaint = _complaint(record)
    if complaint is not None:
        return _bad_record(record, complaint)
    if record.get("fs_type") == "link":
        return _resolve_link(client, record)
    return RemoteFile(
        file_id=record["file_id"],
        version=record["version"],
        relative_path=record["relative_path"],
        size_bytes=record["size"],
        uri=record["uri"],
        association_id=record["association_id"],
    )


def _complaint(record: Mapping[str, Any]) -> str | None:
    """Tells what is wrong with a record, or None; by hand, since a model per record would double
    the listing's time.
    """
    for name in ("file_id", "relative_path", "uri", "association_id"):
        if not isinstance(record.get(name), str) or not record[name]:
            return f"{name} is {record.get(name)!r}"
        if name != "relative_path" and not _is_unicode(record[name]):  # the plan judges paths
            return f"{name} is {record[name]!r}"
    for name in ("size", "version"):
        value = record.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_INT:
            return f"{name} is {value!r}"
    if record.get("fs_type", "file") not in ("file", "link"):
        return f"fs_type is {record.get('fs_type')!r}"
    return None if record.get("fs_type") == "link" else _uri_complaint(record["uri"])


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _uri_complaint(uri: str) -> str | None:
    scheme = uri.partition("://")[0]
    if scheme != "s3":
        return None if "://" in uri else f"uri is {uri!r}"
    try:
        split_s3_uri(uri)
    except ValueError:
        return f"uri is {uri!r}"
    return None


def _bad_record(record: Mapping[str, Any], complaint: str) -> RemoteFile:
    file_id = str(record.get("file_id") or "")
    return RemoteFile(
        file_id=file_id,
        version=0,
        relative_path=str(record.get("relative_path") or file_id or "?"),
        size_bytes=0,
        uri=str(record.get("uri") or ""),
        association_id=str(record.get("association_id") or ""),
        code="BAD_RECORD",
        reason=f"the platform's record is unusable: {complaint}",
    )


def _resolve_link(client: "RobotoClient", link: Mapping[str, Any]) -> RemoteFile:
    """Finds the object behind a link; its own id and path stay, the rest is the target's."""
    target_id, version = _parse_link(link["uri"])
    if target_id is None:
        return _bad_record(link, f"the link points to {link['uri']!r}")
    try:
        target = _file_record(client, target_id, version)
    except PlatformError as error:
        if error.transient:
            raise
        return _without_target(link, error)
    if target.get("status", "available") != "available":
        return _without_target(link, PlatformError("it was deleted", http_status=404))
    complaint = _complaint(target)
    if complaint is not None or target.get("fs_type") == "link":
        return _bad_record(link, f"its target {target_id}: {complaint or 'is a link itself'}")
    return RemoteFile(
        file_id=link["file_id"],
        version=link["version"],
        relative_path=link["relative_path"],
        size_bytes=target["size"],
        uri=target["uri"],
        association_id=target["association_id"],
    )


def _without_target(link: Mapping[str, Any], error: PlatformError) -> RemoteFile:
    code = _LINK_CODES.get(error.http_status or 0, "BAD_RECORD")
    reason = f"the link points to {link['uri']}, which " + {
        "NOT_FOUND": "is not there",
        "ACCESS_DENIED": "these credentials may not see",
        "BAD_RECORD": f"cannot be had: {error.message}",
    }[code].rstrip(".")
    return dataclasses.replace(_bad_record(link, ""), code=code, reason=reason)


def _file_record(client: "RobotoClient", file_id: str, version: str | None) -> dict[str, Any]:
    with platform_errors(f"resolving the link to {file_id}", client):
        response = client.get(
            f"v1/files/record/{file_id}", query={"version_id": version} if version else None
        )
        record = response.to_dict(json_path=["data"])
        return dict(record)


def _parse_link(uri: str) -> tuple[str | None, str | None]:
    """Takes `roboto://file/<id>?v=<version>` apart."""
    found = _LINK.fullmatch(uri)
    return (found["file_id"], found["version"]) if found else (None, None)

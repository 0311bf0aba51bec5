"""Lists the files of a scope: page by page, patterns checked again, links resolved, bad records named.

```
 page ─► no file (directory, deleted, reserved): left out
      ─► outside the window or the patterns: left out
      ─► a bad record: its own BAD_RECORD
      ─► a link: its target is looked up, with the other links of the page
      ─► a file
```

Pages are requested through the SDK's client and parsed record by record, because `Dataset.list_files` fails
altogether on one bad record and follows a looping page token forever.
"""

import collections
import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from roboto_dagster.errors import PlatformError
from roboto_dagster.platform.datasets import parse_time
from roboto_dagster.platform.errors import platform_errors
from roboto_dagster.platform.file_pages import parse_file_page
from roboto_dagster.platform.links import LinkResolver, file_record
from roboto_dagster.platform.pages import date_of
from roboto_dagster.platform.pagination import walk_pages
from roboto_dagster.platform.records import (
    RemoteFile,
    bad_record,
    owner_of,
    plain_file,
    problem_of,
)
from roboto_dagster.platform.scope import Matcher, Scope

if TYPE_CHECKING:
    from roboto import RobotoClient

__all__ = ["FileListing", "RemoteFile", "is_gone"]

_NOT_FOUND = 404
_REMEMBERED = 10_000  # pages that shift while they are read repeat what stood at their border


_Found = Any
"""A `RemoteFile`, or a record that is yet to be looked at field by field."""

_Key = tuple[str, int | str, str]
"""Id, version and path of a file."""


class FileListing:
    """The files of a scope, in the platform's order. Directories and files not yet uploaded are left out.

    Args:
        client: Client of the platform.
        scope: The dataset and its patterns.

    Attributes:
        org_id: The organization that owns the dataset, which comes with every record; None before the first record, and
            where there is none.
        listed_at: The platform's clock when it began to list; None before the first page, and where it sends no date.
    """

    def __init__(self, client: "RobotoClient", scope: Scope) -> None:
        self._client = client
        self._scope = scope
        self.org_id: str | None = None
        self.listed_at: dt.datetime | None = None

    def __iter__(self) -> Iterator[RemoteFile]:
        """List the files from the beginning.

        Yields:
            Every file once, also where pages shift while they are read; a file that was changed meanwhile may come
            again with its new version. A record that cannot be used comes with a `code` instead of failing the
            listing.

        Raises:
            PlatformError: The dataset is unknown, or a page could not be had: the listing is then
                incomplete.
        """
        scope, links, seen = self._scope, LinkResolver(self._client), _Recent(_REMEMBERED)
        matcher = scope.matcher()

        def fetch(token: str | None) -> tuple[Sequence[Any], str | None]:
            page = _page(self._client, scope, token)
            self.listed_at = self.listed_at or page.answered_at
            self.org_id = self.org_id or page.org_id
            return page.records, page.next_token

        for page in walk_pages(fetch, f"listing the files of {scope.dataset_id}"):
            found = seen.without_repetitions(_wanted(page, scope, matcher))
            if _are_files(found):  # as most pages
                yield from found
                continue
            resolved = links.resolve([each for each in found if _is_good_link(each)])
            for each in found:
                if isinstance(each, RemoteFile):
                    yield each
                else:
                    yield next(resolved) if _is_good_link(each) else _file(each)


def is_gone(client: "RobotoClient", dataset_id: str, file_id: str, relative_path: str) -> bool:
    """Look up whether a file that a listing lacks is really gone: pages may shift while they are read, and a
    record may be unavailable for a moment.

    Args:
        client: Client of the platform.
        dataset_id: The dataset that it was in.
        file_id: The file.
        relative_path: Where it was in the dataset.

    Returns:
        True only if its record is gone or deleted, or is that of another path or dataset now.

    Raises:
        PlatformError: The platform could not be asked.
    """
    try:
        record = file_record(client, file_id, doing=f"looking up file {file_id}")
    except PlatformError as error:
        if error.http_status == _NOT_FOUND:
            return True
        raise
    if record.get("status") == "deleted":
        return True
    place = (record.get("association_id"), record.get("relative_path"))
    return place != (dataset_id, relative_path)


class _Recent:
    """What the last pages held, by id, version and path: only the same file twice is a repetition."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._keys: set[_Key | None] = set()
        self._pages: collections.deque[Sequence[_Key | None]] = collections.deque()

    def without_repetitions(self, found: list[_Found]) -> list[_Found]:
        """Return what was not there before, and remember it.

        Args:
            found: What a page holds.
        """
        keys = [each[:3] if isinstance(each, RemoteFile) else _key_of(each) for each in found]
        if len(set(keys)) < len(keys) or not self._keys.isdisjoint(keys):  # rarely
            found, keys = self._new_ones(found, keys)
        self._remember(keys)
        return found

    def _new_ones(
        self, found: list[_Found], keys: Sequence[_Key | None]
    ) -> tuple[list[_Found], list[_Key | None]]:
        new: list[_Found] = []
        new_keys: dict[_Key | None, None] = {}
        for each, key in zip(found, keys, strict=True):
            if key is None or (key not in self._keys and key not in new_keys):
                new.append(each)
                new_keys[key] = None
        return new, list(new_keys)

    def _remember(self, keys: Sequence[_Key | None]) -> None:
        self._keys.update(keys)
        self._keys.discard(None)
        self._pages.append(keys)
        while len(self._keys) > self._most and len(self._pages) > 1:
            self._keys.difference_update(self._pages.popleft())


def _key_of(record: object) -> _Key | None:
    """Return what names a file; None for a record without an id, which is named each time."""
    if not isinstance(record, Mapping) or not record.get("file_id"):
        return None
    file_id, version, path = (
        str(record.get(name)) for name in ("file_id", "version", "relative_path")
    )
    return file_id, version, path


def _wanted(page: Sequence[_Found], scope: Scope, matcher: Matcher) -> list[_Found]:
    """Return what is wanted of a page: a file where the record is as most are, else the record."""
    if not _are_files(page):
        return list(_wanted_one_by_one(page, scope, matcher))
    if not scope.has_patterns:
        return list(page)
    return [file for file in page if matcher.matches(file.relative_path)]


def _are_files(found: Sequence[_Found]) -> bool:
    return all(isinstance(each, RemoteFile) for each in found)


def _wanted_one_by_one(page: Sequence[Any], scope: Scope, matcher: Matcher) -> Iterator[_Found]:
    has_window = scope.has_window
    for record in page:
        file = record if isinstance(record, RemoteFile) else plain_file(record)
        if file is None:
            if _is_wanted(record, scope, matcher):
                yield record
        elif matcher.matches(file.relative_path) and (
            not has_window or _is_in_window(scope, record)
        ):
            yield file


def _is_wanted(record: object, scope: Scope, matcher: Matcher) -> bool:
    """Return whether a record is of a file that is there, in the window, and matches; a bad one is wanted, to be
    named.
    """
    if not isinstance(record, Mapping):
        return True
    if record.get("fs_type", "file") == "directory" or not _is_available(record):
        return False
    if scope.has_window and not _is_in_window(scope, record):
        return False
    path = record.get("relative_path")
    return not isinstance(path, str) or not path or matcher.matches(path)


def _is_available(record: Mapping[str, Any]) -> bool:
    return bool(record.get("status", "available") == "available")


def _is_in_window(scope: Scope, record: Mapping[str, Any]) -> bool:
    """Return whether a file was created in the scope's window; one whose time cannot be read is kept."""
    try:
        return scope.holds_time(parse_time(record.get("created")))
    except (ValueError, OverflowError):
        return True


def _is_good_link(record: object) -> bool:
    if not isinstance(record, Mapping) or record.get("fs_type") != "link":
        return False
    return problem_of(record) is None


class _Page(NamedTuple):
    """One page: files, or records as the platform sent them."""

    records: Sequence[_Found]
    next_token: str | None
    org_id: str | None
    answered_at: dt.datetime | None


def _page(client: "RobotoClient", scope: Scope, page_token: str | None) -> _Page:
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
        answered_at = date_of(response.headers)
        with response.readable_response as answer:
            body = answer.read()
        parsed = None if scope.has_window else parse_file_page(body, scope.dataset_id)
        if parsed is not None:
            return _Page(*parsed, answered_at)
        page = json.loads(body)["data"]
        items, next_token = list(page["items"]), page["next_token"]
        if next_token is not None and not isinstance(next_token, str):
            raise TypeError(next_token)
        return _Page(items, next_token, owner_of(items, scope.dataset_id), answered_at)


def _file(record: Any) -> RemoteFile:
    problem = problem_of(record)
    if problem is not None:
        return bad_record(record, problem)
    return RemoteFile(
        file_id=record["file_id"],
        version=record["version"],
        relative_path=record["relative_path"],
        size_bytes=record["size"],
        uri=record["uri"],
        association_id=record["association_id"],
    )

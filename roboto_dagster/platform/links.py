"""Finds the objects behind links: side by side, and each target once."""

import concurrent.futures
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from roboto_dagster.errors import ErrorCode, PlatformError
from roboto_dagster.platform.errors import platform_errors
from roboto_dagster.platform.records import RemoteFile, bad_record, problem_of

if TYPE_CHECKING:
    from roboto import RobotoClient

_LINK = re.compile(r"roboto://file/(?P<file_id>[A-Za-z0-9_-]+)(?:\?v=(?P<version>[0-9]+))?")
_CODES: dict[int, ErrorCode] = {404: "NOT_FOUND", 401: "ACCESS_DENIED", 403: "ACCESS_DENIED"}
_AT_ONCE = 8
_NEEDED = (
    *("file_id", "relative_path", "size", "version", "uri", "association_id"),
    *("fs_type", "status"),
)

Target = tuple[str, str | None]
"""Id and version of the file that a link points to."""

Found = Mapping[str, Any] | PlatformError
"""The record of a target, or why it cannot be had."""


def file_record(
    client: "RobotoClient", file_id: str, version: str | None = None, *, doing: str
) -> dict[str, Any]:
    """Look up the record of one file.

    Args:
        client: Client of the platform.
        file_id: The file, whose id was checked.
        version: Its version. Default None: the newest.
        doing: What it is looked up for, which starts the message of an error.

    Raises:
        PlatformError: There is none, or the platform could not be asked.
    """
    with platform_errors(doing, client):
        response = client.get(
            f"v1/files/record/{file_id}", query={"version_id": version} if version else None
        )
        return dict(response.to_dict(json_path=["data"]))


class LinkResolver:
    """Resolves the links of one listing; targets that were looked up are remembered.

    Args:
        client: Client of the platform.
    """

    def __init__(self, client: "RobotoClient") -> None:
        self._client = client
        self._known: dict[Target, Found] = {}

    def resolve(self, links: Iterable[Mapping[str, Any]]) -> Iterator[RemoteFile]:
        """Yield a file for each link, in their order: its own id and path, the rest is the target's.

        Args:
            links: Records that were found to be usable.

        Raises:
            PlatformError: The platform could not be asked about a target just now.
        """
        pairs = [(link, _target_of(link["uri"])) for link in links]
        self._look_up({target for _, target in pairs if target is not None} - self._known.keys())
        for link, target in pairs:
            if target is None:
                yield bad_record(link, f"the link points to {link['uri']!r}")
            else:
                yield _resolved(link, self._known[target])

    def _look_up(self, targets: set[Target]) -> None:
        if not targets:
            return
        pool = concurrent.futures.ThreadPoolExecutor(_AT_ONCE, "roboto-links")
        try:
            wanted = sorted(targets, key=str)
            for target, found in zip(wanted, pool.map(self._found, wanted), strict=True):
                self._known[target] = found
        finally:  # after an error or an interrupt nobody waits for the others
            pool.shutdown(wait=False, cancel_futures=True)

    def _found(self, target: Target) -> Found:
        try:
            record = file_record(self._client, *target, doing=f"resolving the link to {target[0]}")
        except PlatformError as error:
            if error.transient:
                raise
            return error
        # A dataset may have a million links, so no more is remembered than is needed.
        return {name: record[name] for name in _NEEDED if name in record}


def _target_of(uri: str) -> Target | None:
    """Take `roboto://file/<id>?v=<version>` apart."""
    found = _LINK.fullmatch(uri)
    return (found["file_id"], found["version"]) if found else None


def _resolved(link: Mapping[str, Any], found: Found) -> RemoteFile:
    if isinstance(found, PlatformError):
        return _without_target(link, found)
    if found.get("status", "available") == "deleted":
        return _without_target(link, PlatformError("it was deleted", http_status=404))
    problem = problem_of(found)
    if problem is not None or found.get("fs_type") == "link":
        target = found.get("file_id")
        return bad_record(link, f"its target {target}: {problem or 'is a link itself'}")
    return RemoteFile(
        file_id=link["file_id"],
        version=link["version"],
        relative_path=link["relative_path"],
        size_bytes=found["size"],
        uri=found["uri"],
        association_id=found["association_id"],
    )


def _without_target(link: Mapping[str, Any], error: PlatformError) -> RemoteFile:
    code = _CODES.get(error.http_status or 0, "BAD_RECORD")
    reason = f"the link points to {link['uri']}, which " + {
        "NOT_FOUND": "does not exist",
        "ACCESS_DENIED": "these credentials may not read",
        "BAD_RECORD": f"cannot be had: {error.message}",
    }[code].rstrip(".")
    return bad_record(link, "")._replace(code=code, reason=reason)

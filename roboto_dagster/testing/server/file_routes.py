"""Routes of files: listings, records, links, imports and signed links."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from roboto_dagster.testing.server.backend import ApiError, Backend, Call, Route
from roboto_dagster.testing.server.query import run_query, sort_records
from roboto_dagster.testing.server.records import Record, select, split_uri

SIGNED_URL_SECONDS = 3600

_URL_OVERRIDES = {
    "override_content_type": "response-content-type",
    "override_content_disposition": "response-content-disposition",
}


class FileRoutes:
    """The routes of files."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._listings: dict[str, tuple[int, list[Record]]] = {}

    def routes(self) -> list[Route]:
        """Return the routes."""
        catalog = self._backend.catalog
        return [
            ("POST", "/v1/datasets/*/files/query", self._list_files),
            ("POST", "/v1/files/association/id/*/query", self._list_files),
            ("GET", "/v1/files/association/id/*/directories", self._list_directories),
            ("PUT", "/v1/files/association/id/*/link", self._create_link),
            ("POST", "/v1/files/query", self._query_files),
            ("GET", "/v1/files/record/*", lambda call: catalog.file(call.names[0], call.version)),
            (
                "PUT",
                "/v1/files/record/*",
                lambda call: catalog.update_file(call.names[0], call.body),
            ),
            ("GET", "/v1/files/record/path/*/association/*", self._file_at),
            (
                "PUT",
                "/v1/files/*/rename",
                lambda call: catalog.rename_file(call.names[0], call.body["new_path"]),
            ),
            ("GET", "/v1/files/*/signed-url", self._signed_url),
            ("DELETE", "/v1/files/*", self._delete_file),
            ("POST", "/v1/files/import", lambda call: self._import_file(call.body)),
            (
                "POST",
                "/v1/files/import/batch",
                lambda call: [self._import_file(one) for one in call.body["requests"]],
            ),
        ]

    def _list_files(self, call: Call) -> Record:
        token = call.query.get("page_token") or call.body.get("page_token")
        return self._backend.page(self._listing(call.names[0], call.body), token, call.body)

    def _listing(self, association_id: str, body: Mapping[str, Any]) -> list[Record]:
        """Return the complete listing, kept while nothing changes: so each page is cheap."""
        asked = json.dumps(
            [association_id, {**body, "page_token": None, "limit": None}], sort_keys=True
        )
        revision, files = self._listings.get(asked, (-1, []))
        if revision != self._backend.catalog.revision:
            revision = self._backend.catalog.revision
            available = [
                one for one in self._backend.files(association_id) if one["status"] == "available"
            ]
            chosen = select(
                available,
                include=body.get("include_patterns"),
                exclude=body.get("exclude_patterns"),
            )
            files = sort_records(
                chosen, by=body.get("sort_by"), direction=body.get("sort_direction")
            )
            self._listings[asked] = (revision, files)
        return files

    def _list_directories(self, call: Call) -> Record:
        self._backend.files(call.names[0])
        return self._backend.page(
            self._backend.catalog.directories(call.names[0]), call.query.get("page_token"), {}
        )

    def _query_files(self, call: Call) -> Record:
        return self._backend.page(
            run_query(self._backend.catalog.files(), call.body), call.body.get("after"), call.body
        )

    def _file_at(self, call: Call) -> Record:
        path, association_id = call.names
        return self._backend.catalog.file_at(association_id, path, call.version)

    def _delete_file(self, call: Call) -> None:
        record = self._backend.catalog.file(call.names[0])
        self._backend.catalog.remove_file(record["file_id"])
        bucket, key = split_uri(record["uri"])
        if bucket and record["storage_type"] == "uploaded":
            self._backend.store.delete(bucket, key)

    def _create_link(self, call: Call) -> Record:
        target = self._backend.catalog.file(
            call.body["target_file_id"], call.body.get("target_version")
        )
        return self._backend.catalog.add_file(
            call.names[0],
            call.body["relative_path"],
            fs_type="link",
            uri=f"roboto://file/{target['file_id']}?v={target['version']}",
        )

    def _import_file(self, body: Mapping[str, Any]) -> Record:
        self._backend.catalog.dataset(body["dataset_id"])
        bucket, key = split_uri(body["uri"])
        size = self._backend.store.size_of(bucket, key) if bucket else None
        if size is None:
            message = f"There is no object '{body['uri']}' to import"
            raise ApiError(400, "RobotoInvalidRequestException", message)
        return self._backend.catalog.add_file(
            body["dataset_id"],
            body["relative_path"],
            uri=body["uri"],
            size=size if body.get("size") is None else body["size"],
            storage_type="imported",
            description=body.get("description"),
            device_id=body.get("device_id"),
            tags=body.get("tags") or [],
            metadata=body.get("metadata") or {},
        )

    def _signed_url(self, call: Call) -> Record:
        record = self._backend.catalog.file(call.names[0], call.version)
        bucket, key = split_uri(record["uri"])
        if not bucket:
            raise ApiError(
                400, "RobotoInvalidRequestException", f"File '{record['file_id']}' has no object"
            )
        query = "&".join(
            f"{_URL_OVERRIDES[name]}={quote(value, safe='')}"
            for name, value in call.query.items()
            if name in _URL_OVERRIDES
        )
        url = f"{self._backend.settings.s3_url()}/{bucket}/{quote(key, safe='/~')}"
        issued = self._backend.store.authority.issue(
            bucket=bucket,
            prefix="",
            access="read",
            ttl_seconds=self._backend.settings.credentials_ttl_seconds,
        )
        return {
            "url": self._backend.store.authority.presign(
                issued, f"{url}?{query}" if query else url, expires_seconds=SIGNED_URL_SECONDS
            )
        }

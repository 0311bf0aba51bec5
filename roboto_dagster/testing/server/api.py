"""The platform's HTTP API: the routes that the SDK calls to find, list, download and upload."""

import hmac
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from roboto_dagster.testing.server.auth import REGION, Access, MayRead
from roboto_dagster.testing.server.catalog import (
    ORG_ID,
    USER_ID,
    Catalog,
    MissingDatasetError,
    MissingRecordError,
    Record,
    Upload,
    select,
    split_uri,
)
from roboto_dagster.testing.server.content import BytesContent
from roboto_dagster.testing.server.http import Request, Response
from roboto_dagster.testing.server.query import BadQueryError, page, run_query, sort_records
from roboto_dagster.testing.server.s3 import S3Store

SIGNED_URL_SECONDS = 3600
MAX_UPLOAD_FILES = 500

_URL_OVERRIDES = {
    "override_content_type": "response-content-type",
    "override_content_disposition": "response-content-disposition",
}


@dataclass(slots=True, kw_only=True)
class Settings:
    """What can be changed about a platform while it runs."""

    api_key: str = field(repr=False)
    page_size: int
    credentials_ttl_seconds: float
    bucket: str
    s3_url: Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One API call: what the route's pattern found, the query and the body."""

    names: Sequence[str]
    query: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def version(self) -> int | None:
        return int(self.query["version_id"]) if "version_id" in self.query else None


class _ApiError(Exception):
    """An error in the platform's own form."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message


class Api:
    """The API of one `LocalRoboto`."""

    def __init__(self, catalog: Catalog, store: S3Store, settings: Settings) -> None:
        self._catalog = catalog
        self._store = store
        self._settings = settings
        self._listings: dict[str, tuple[int, list[Record]]] = {}
        self._searches: dict[str, tuple[Record, list[Record]]] = {}
        self._routes = [
            (method, re.compile(pattern.replace("*", "([^/]+)")), function)
            for method, pattern, function in self._table()
        ]

    def handle(self, request: Request) -> Response:
        """Answer one request as the platform would, with the time of its clock."""
        response = self._handle(request)
        date = format_datetime(self._catalog.now().astimezone(timezone.utc), usegmt=True)
        return replace(response, headers={"Date": date, **response.headers})

    def _handle(self, request: Request) -> Response:
        try:
            return _json(200, {"data": self._answer(request)})
        except _ApiError as error:
            return _error(error.status, error.code, error.message)
        except MissingDatasetError as error:
            return _error(404, "RobotoDatasetNotFoundException", str(error))
        except MissingRecordError as error:
            return _error(404, "RobotoNotFoundException", str(error))
        except (BadQueryError, ValueError, KeyError) as error:
            return _error(400, "RobotoInvalidRequestException", f"Invalid request: {error}")

    def _table(self) -> list[tuple[str, str, Callable[[_Call], Any]]]:
        return [
            ("POST", "/v1/datasets", self._create_dataset),
            ("POST", "/v1/datasets/create_if_not_exists", self._refuse_roboql),
            ("POST", "/v1/datasets/query", self._query_datasets),
            ("GET", "/v1/datasets/*", lambda call: self._catalog.dataset(call.names[0])),
            (
                "PUT",
                "/v1/datasets/*",
                lambda call: self._catalog.update_dataset(call.names[0], call.body),
            ),
            ("DELETE", "/v1/datasets/*", lambda call: self._catalog.remove_dataset(call.names[0])),
            ("POST", "/v1/datasets/*/files/query", self._list_files),
            ("GET", "/v1/datasets/id/*/credentials", self._read_credentials),
            ("POST", "/v1/files/association/id/*/query", self._list_files),
            ("GET", "/v1/files/association/id/*/directories", self._list_directories),
            ("GET", "/v1/files/association/id/*/credentials", self._read_credentials),
            ("PUT", "/v1/files/association/id/*/link", self._create_link),
            ("POST", "/v1/files/query", self._query_files),
            (
                "GET",
                "/v1/files/record/*",
                lambda call: self._catalog.file(call.names[0], call.version),
            ),
            (
                "PUT",
                "/v1/files/record/*",
                lambda call: self._catalog.update_file(call.names[0], call.body),
            ),
            ("GET", "/v1/files/record/path/*/association/*", self._file_at),
            (
                "PUT",
                "/v1/files/*/rename",
                lambda call: self._catalog.rename_file(call.names[0], call.body["new_path"]),
            ),
            ("GET", "/v1/files/*/signed-url", self._signed_url),
            ("DELETE", "/v1/files/*", self._delete_file),
            ("POST", "/v1/files/import", lambda call: self._import_file(call.body)),
            (
                "POST",
                "/v1/files/import/batch",
                lambda call: [self._import_file(one) for one in call.body["requests"]],
            ),
            ("POST", "/v1/files/upload", self._begin_upload),
            ("GET", "/v1/files/upload/*/credentials", self._write_credentials),
            ("PUT", "/v1/files/upload/*/progress", self._report_progress),
            (
                "PUT",
                "/v1/files/upload/*/complete",
                lambda call: {"transaction_id": self._upload(call).transaction_id},
            ),
            ("POST", "/v1/query/submit/structured", self._submit_search),
            ("POST", "/v1/query/submit/roboql", self._refuse_roboql),
            ("POST", "/v1/query/submit/term", self._refuse_roboql),
            ("GET", "/v1/query/id/*", lambda call: self._search(call)[0]),
            ("GET", "/v1/query/id/*/results", self._search_results),
        ]

    def _answer(self, request: Request) -> Any:
        self._check_key(request)
        self._check_organization(request)
        path = "/" + request.path.lstrip(
            "/"
        )  # an endpoint with a trailing slash makes the SDK ask for //v1
        for method, pattern, function in self._routes:
            found = pattern.fullmatch(path) if method == request.method else None
            if found is not None:
                query = {
                    name: values[0]
                    for name, values in parse_qs(request.query).items()
                    if values[0] != "None"
                }
                body = json.loads(request.body) if request.body else {}
                return function(
                    _Call(names=[unquote(name) for name in found.groups()], query=query, body=body)
                )
        raise _ApiError(
            404,
            "RobotoUnknownOperationException",
            f"LocalRoboto has no {request.method} {request.route}",
        )

    def _check_key(self, request: Request) -> None:
        expected = f"Bearer {self._settings.api_key}"
        if not hmac.compare_digest(
            request.headers.get("authorization", "").encode(), expected.encode()
        ):
            raise _ApiError(
                401, "RobotoUnauthorizedException", "The API key is missing or not valid"
            )

    def _check_organization(self, request: Request) -> None:
        for name in ("x-roboto-org-id", "x-roboto-resource-owner-id"):
            if request.headers.get(name, ORG_ID) != ORG_ID:
                message = f"The API key is not of a member of the organization in {name}"
                raise _ApiError(403, "RobotoUnauthorizedException", message)

    # --- datasets ---

    def _create_dataset(self, call: _Call) -> Record:
        names = ("name", "description", "device_id", "metadata", "tags", "custom_fields")
        return self._catalog.add_dataset(
            **{name: call.body[name] for name in names if call.body.get(name) is not None}
        )

    def _query_datasets(self, call: _Call) -> Record:
        return self._page(
            run_query(self._catalog.datasets(), call.body), call.body.get("after"), call.body
        )

    # --- files ---

    def _list_files(self, call: _Call) -> Record:
        token = call.query.get("page_token") or call.body.get("page_token")
        return self._page(self._listing(call.names[0], call.body), token, call.body)

    def _listing(self, association_id: str, body: Mapping[str, Any]) -> list[Record]:
        """Return the whole listing, kept while nothing changes: so each page is cheap."""
        asked = json.dumps(
            [association_id, {**body, "page_token": None, "limit": None}], sort_keys=True
        )
        revision, files = self._listings.get(asked, (-1, []))
        if revision != self._catalog.revision:
            revision = self._catalog.revision
            available = [one for one in self._files(association_id) if one["status"] == "available"]
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

    def _list_directories(self, call: _Call) -> Record:
        self._files(call.names[0])
        return self._page(
            self._catalog.directories(call.names[0]), call.query.get("page_token"), {}
        )

    def _query_files(self, call: _Call) -> Record:
        return self._page(
            run_query(self._catalog.files(), call.body), call.body.get("after"), call.body
        )

    def _file_at(self, call: _Call) -> Record:
        path, association_id = call.names
        return self._catalog.file_at(association_id, path, call.version)

    def _delete_file(self, call: _Call) -> None:
        record = self._catalog.file(call.names[0])
        self._catalog.remove_file(record["file_id"])
        bucket, key = split_uri(record["uri"])
        if bucket and record["storage_type"] == "uploaded":
            self._store.delete(bucket, key)

    def _create_link(self, call: _Call) -> Record:
        target = self._catalog.file(call.body["target_file_id"], call.body.get("target_version"))
        return self._catalog.add_file(
            call.names[0],
            call.body["relative_path"],
            fs_type="link",
            uri=f"roboto://file/{target['file_id']}?v={target['version']}",
        )

    def _import_file(self, body: Mapping[str, Any]) -> Record:
        self._catalog.dataset(body["dataset_id"])
        bucket, key = split_uri(body["uri"])
        size = self._store.size_of(bucket, key) if bucket else None
        if size is None:
            message = f"There is no object '{body['uri']}' to import"
            raise _ApiError(400, "RobotoInvalidRequestException", message)
        return self._catalog.add_file(
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

    def _signed_url(self, call: _Call) -> Record:
        record = self._catalog.file(call.names[0], call.version)
        bucket, key = split_uri(record["uri"])
        if not bucket:
            raise _ApiError(
                400, "RobotoInvalidRequestException", f"File '{record['file_id']}' has no object"
            )
        query = "&".join(
            f"{_URL_OVERRIDES[name]}={quote(value, safe='')}"
            for name, value in call.query.items()
            if name in _URL_OVERRIDES
        )
        url = f"{self._settings.s3_url()}/{bucket}/{quote(key, safe='/~')}"
        issued = self._store.authority.issue(
            bucket=bucket,
            prefix="",
            access="read",
            ttl_seconds=self._settings.credentials_ttl_seconds,
        )
        return {
            "url": self._store.authority.presign(
                issued, f"{url}?{query}" if query else url, expires_seconds=SIGNED_URL_SECONDS
            )
        }

    # --- credentials and uploads ---

    def _read_credentials(self, call: _Call) -> list[Record]:
        buckets = {split_uri(record["uri"])[0]: None for record in self._files(call.names[0])}
        buckets.pop("", None)
        association_id = call.names[0]

        def may_read(bucket: str, key: str) -> bool:
            return (bucket, key) in self._catalog.objects(association_id)

        return [
            self._credentials(bucket, _prefix(association_id), "read", may_read)
            for bucket in buckets or [self._settings.bucket]
        ]

    def _begin_upload(self, call: _Call) -> Record:
        association_id = call.body["association"]["association_id"]
        self._files(association_id)
        sizes = call.body["resource_manifest"]
        _check_upload(sizes)
        uris = {
            path: f"s3://{self._settings.bucket}/{_prefix(association_id)}{path}" for path in sizes
        }
        upload = self._catalog.begin_upload(association_id, uris, sizes)
        return {"transaction_id": upload.transaction_id, "upload_mappings": uris}

    def _write_credentials(self, call: _Call) -> list[Record]:
        upload = self._upload(call)
        self._store.ensure_bucket(self._settings.bucket)
        return [self._credentials(self._settings.bucket, _prefix(upload.association_id), "write")]

    def _report_progress(self, call: _Call) -> list[Record]:
        upload = self._upload(call)
        paths = {uri: path for path, uri in upload.uris.items()}
        items = [uri for uri in call.body["manifest_items"] if uri in paths]
        return [
            {"uri": uri, "file_id": self._register(upload, paths[uri], uri)["file_id"]}
            for uri in items
        ]

    def _register(self, upload: Upload, path: str, uri: str) -> Record:
        size = self._store.size_of(*split_uri(uri))
        if size is None:
            raise _ApiError(
                400, "RobotoInvalidRequestException", f"Nothing was uploaded for '{path}'"
            )
        try:
            old = self._catalog.file_at(upload.association_id, path)
        except MissingRecordError:
            return self._catalog.add_file(
                upload.association_id, path, uri=uri, size=size, upload_id=upload.transaction_id
            )
        return self._catalog.revise_file(
            old["file_id"], uri=uri, size=size, upload_id=upload.transaction_id
        )

    def _upload(self, call: _Call) -> Upload:
        return self._catalog.upload(call.names[0])

    def _credentials(
        self, bucket: str, prefix: str, access: Access, may_read: MayRead | None = None
    ) -> Record:
        issued = self._store.authority.issue(
            bucket=bucket,
            prefix=prefix,
            access=access,
            ttl_seconds=self._settings.credentials_ttl_seconds,
            **({} if may_read is None else {"may_read": may_read}),
        )
        return {
            "access_key_id": issued.access_key_id,
            "secret_access_key": issued.secret_access_key,
            "session_token": issued.session_token,
            "bucket": bucket,
            "expiration": issued.expires,
            "region": REGION,
            "required_prefix": prefix,
        }

    # --- search ---

    def _submit_search(self, call: _Call) -> Record:
        target = call.body.get("target")
        if target not in ("datasets", "files"):
            raise _ApiError(
                400, "RobotoInvalidRequestException", f"LocalRoboto does not search for '{target}'"
            )
        specification = call.body.get("query") or {}
        records = self._catalog.datasets() if target == "datasets" else self._catalog.files()
        found = run_query(records, specification)[: specification.get("max_results")]
        query_id = self._catalog.new_id("qr")
        now = max(
            (one["modified"] for one in found),
            default=datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
        )
        record = {
            "modified": now,
            "org_id": ORG_ID,
            "query_id": query_id,
            "query_ctx": {"query_scheme": "query_spec_v1", "query": specification},
            "result_count": len(found),
            "status": "results_available",
            "submitted": now,
            "submitted_by": USER_ID,
            "target": target,
        }
        self._searches[query_id] = (record, found)
        return record

    def _search(self, call: _Call) -> tuple[Record, list[Record]]:
        if call.names[0] not in self._searches:
            raise MissingRecordError(f"Query '{call.names[0]}' does not exist")
        return self._searches[call.names[0]]

    def _search_results(self, call: _Call) -> Record:
        return self._page(self._search(call)[1], call.query.get("next_page_token"), {})

    def _refuse_roboql(self, _: _Call) -> None:
        message = "LocalRoboto does not evaluate RoboQL or search terms: use a QuerySpecification"
        raise _ApiError(400, "RobotoInvalidRequestException", message)

    # --- helpers of several routes ---

    def _files(self, association_id: str) -> list[Record]:
        if association_id.startswith("ds_") or not self._catalog.files(association_id):
            self._catalog.dataset(association_id)
        return self._catalog.files(association_id)

    def _page(self, items: Sequence[Record], token: str | None, body: Mapping[str, Any]) -> Record:
        limit = min(body.get("limit") or self._settings.page_size, self._settings.page_size)
        found, next_token = page(items, token, limit)
        return {"items": found, "next_token": next_token}


def _check_upload(paths: Collection[str]) -> None:
    """Refuse an upload of too many files, or to a path outside the dataset."""
    if not 0 < len(paths) <= MAX_UPLOAD_FILES:
        message = f"An upload has 1 to {MAX_UPLOAD_FILES} files, this one {len(paths)}"
        raise _ApiError(400, "RobotoInvalidRequestException", message)
    for path in paths:
        if not path or path.startswith("/") or ".." in path.split("/"):
            message = f"'{path}' is not a path in a dataset"
            raise _ApiError(400, "RobotoInvalidRequestException", message)


def _prefix(association_id: str) -> str:
    return f"{ORG_ID}/{association_id}/"


def _json(status: int, payload: Any) -> Response:
    body = json.dumps(payload, default=_encode).encode()
    return Response(
        status=status, headers={"Content-Type": "application/json"}, body=BytesContent(body)
    )


def _error(status: int, code: str, message: str) -> Response:
    # No field beyond these two: the SDK passes any other to its exception's constructor, which then
    # fails.
    return _json(status, {"error": {"error_code": code, "message": message}})


def _encode(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not for the wire")

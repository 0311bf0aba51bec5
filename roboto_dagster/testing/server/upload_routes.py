"""Routes of credentials and uploads."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from roboto_dagster.testing.server.auth import REGION, Access
from roboto_dagster.testing.server.backend import ApiError, Backend, Call, Route, prefix_of
from roboto_dagster.testing.server.records import MissingRecordError, Record, split_uri
from roboto_dagster.testing.server.signatures import MayRead

MAX_UPLOAD_FILES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadTransaction:
    """An upload transaction: where each path of an association is to be put."""

    transaction_id: str
    association_id: str
    uris: Mapping[str, str]
    sizes: Mapping[str, int]


class UploadRoutes:
    """The routes of credentials and uploads."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._uploads: dict[str, UploadTransaction] = {}

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            ("GET", "/v1/datasets/id/*/credentials", self._read_credentials),
            ("GET", "/v1/files/association/id/*/credentials", self._read_credentials),
            ("POST", "/v1/files/upload", self._start_upload),
            ("GET", "/v1/files/upload/*/credentials", self._write_credentials),
            ("PUT", "/v1/files/upload/*/progress", self._report_progress),
            (
                "PUT",
                "/v1/files/upload/*/complete",
                lambda call: {"transaction_id": self._upload(call).transaction_id},
            ),
        ]

    def _read_credentials(self, call: Call) -> list[Record]:
        buckets = {
            split_uri(record["uri"])[0]: None for record in self._backend.files(call.names[0])
        }
        buckets.pop("", None)
        association_id = call.names[0]

        def may_read(bucket: str, key: str) -> bool:
            return (bucket, key) in self._backend.catalog.objects(association_id)

        return [
            self._credentials(bucket, prefix_of(association_id), "read", may_read)
            for bucket in buckets or [self._backend.settings.bucket]
        ]

    def _start_upload(self, call: Call) -> Record:
        association_id = call.body["association"]["association_id"]
        self._backend.files(association_id)
        sizes = call.body["resource_manifest"]
        _check_upload(sizes)
        uris = {
            path: f"s3://{self._backend.settings.bucket}/{prefix_of(association_id)}{path}"
            for path in sizes
        }
        upload = UploadTransaction(
            transaction_id=self._backend.catalog.new_id("tx"),
            association_id=association_id,
            uris=uris,
            sizes=sizes,
        )
        self._uploads[upload.transaction_id] = upload
        return {"transaction_id": upload.transaction_id, "upload_mappings": uris}

    def _write_credentials(self, call: Call) -> list[Record]:
        upload = self._upload(call)
        self._backend.store.ensure_bucket(self._backend.settings.bucket)
        return [
            self._credentials(
                self._backend.settings.bucket, prefix_of(upload.association_id), "write"
            )
        ]

    def _report_progress(self, call: Call) -> list[Record]:
        upload = self._upload(call)
        paths = {uri: path for path, uri in upload.uris.items()}
        items = [uri for uri in call.body["manifest_items"] if uri in paths]
        return [
            {"uri": uri, "file_id": self._register(upload, paths[uri], uri)["file_id"]}
            for uri in items
        ]

    def _register(self, upload: UploadTransaction, path: str, uri: str) -> Record:
        size = self._backend.store.size_of(*split_uri(uri))
        if size is None:
            raise ApiError(
                400, "RobotoInvalidRequestException", f"Nothing was uploaded for '{path}'"
            )
        try:
            old = self._backend.catalog.file_at(upload.association_id, path)
        except MissingRecordError:
            return self._backend.catalog.add_file(
                upload.association_id, path, uri=uri, size=size, upload_id=upload.transaction_id
            )
        return self._backend.catalog.revise_file(
            old["file_id"], uri=uri, size=size, upload_id=upload.transaction_id
        )

    def _upload(self, call: Call) -> UploadTransaction:
        if call.names[0] not in self._uploads:
            raise MissingRecordError(f"Upload '{call.names[0]}' does not exist")
        return self._uploads[call.names[0]]

    def _credentials(
        self, bucket: str, prefix: str, access: Access, may_read: MayRead | None = None
    ) -> Record:
        issued = self._backend.store.authority.issue(
            bucket=bucket,
            prefix=prefix,
            access=access,
            ttl_seconds=self._backend.settings.credentials_ttl_seconds,
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


def _check_upload(paths: Collection[str]) -> None:
    """Refuse an upload of too many files, or to a path outside the dataset."""
    if not 0 < len(paths) <= MAX_UPLOAD_FILES:
        message = f"An upload has 1 to {MAX_UPLOAD_FILES} files, this one {len(paths)}"
        raise ApiError(400, "RobotoInvalidRequestException", message)
    for path in paths:
        if not path or path.startswith("/") or ".." in path.split("/"):
            message = f"'{path}' is not a path in a dataset"
            raise ApiError(400, "RobotoInvalidRequestException", message)

"""The platform's HTTP API: checks who asks, and finds the route that answers."""

import hmac
import json
import re
from dataclasses import replace
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, unquote

from roboto_dagster.testing.server.backend import ApiError, Backend, Call, Route, Settings
from roboto_dagster.testing.server.catalog import Catalog
from roboto_dagster.testing.server.content import BytesContent
from roboto_dagster.testing.server.file_routes import FileRoutes
from roboto_dagster.testing.server.messages import Request, Response
from roboto_dagster.testing.server.query import BadQueryError, run_query
from roboto_dagster.testing.server.records import (
    ORG_ID,
    MissingDatasetError,
    MissingRecordError,
    Record,
)
from roboto_dagster.testing.server.s3 import LocalS3
from roboto_dagster.testing.server.search_routes import SearchRoutes
from roboto_dagster.testing.server.upload_routes import UploadRoutes


class Api:
    """The API of one `LocalRoboto`.

    Args:
        catalog: The records.
        store: The objects.
        settings: What can be changed while it runs.
    """

    def __init__(self, catalog: Catalog, store: LocalS3, settings: Settings) -> None:
        self._backend = Backend(catalog=catalog, store=store, settings=settings)
        parts = (
            FileRoutes(self._backend),
            UploadRoutes(self._backend),
            SearchRoutes(self._backend),
        )
        table = [*(route for part in parts for route in part.routes()), *self._dataset_routes()]
        self._routes = [
            (method, re.compile(pattern.replace("*", "([^/]+)")), function)
            for method, pattern, function in table
        ]

    def handle(self, request: Request) -> Response:
        """Answer one request as the platform would, with the time of its clock."""
        response = self._handle(request)
        date = format_datetime(self._backend.catalog.now().astimezone(timezone.utc), usegmt=True)
        return replace(response, headers={"Date": date, **response.headers})

    def _handle(self, request: Request) -> Response:
        try:
            return _json(200, {"data": self._answer(request)})
        except ApiError as error:
            return _error(error.status, error.code, error.message)
        except MissingDatasetError as error:
            return _error(404, "RobotoDatasetNotFoundException", str(error))
        except MissingRecordError as error:
            return _error(404, "RobotoNotFoundException", str(error))
        except (BadQueryError, ValueError, KeyError) as error:
            return _error(400, "RobotoInvalidRequestException", f"Invalid request: {error}")

    def _dataset_routes(self) -> list[Route]:
        catalog = self._backend.catalog
        return [
            ("POST", "/v1/datasets", self._create_dataset),
            ("POST", "/v1/datasets/query", self._query_datasets),
            ("GET", "/v1/datasets/*", lambda call: catalog.dataset(call.names[0])),
            (
                "PUT",
                "/v1/datasets/*",
                lambda call: catalog.update_dataset(call.names[0], call.body),
            ),
            ("DELETE", "/v1/datasets/*", lambda call: catalog.remove_dataset(call.names[0])),
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
                    Call(names=[unquote(name) for name in found.groups()], query=query, body=body)
                )
        raise ApiError(
            404,
            "RobotoUnknownOperationException",
            f"LocalRoboto has no {request.method} {request.route}",
        )

    def _check_key(self, request: Request) -> None:
        expected = f"Bearer {self._backend.settings.api_key}"
        if not hmac.compare_digest(
            request.headers.get("authorization", "").encode(), expected.encode()
        ):
            raise ApiError(
                401, "RobotoUnauthorizedException", "The API key is missing or not valid"
            )

    def _check_organization(self, request: Request) -> None:
        for name in ("x-roboto-org-id", "x-roboto-resource-owner-id"):
            if request.headers.get(name, ORG_ID) != ORG_ID:
                message = f"The API key is not of a member of the organization in {name}"
                raise ApiError(403, "RobotoUnauthorizedException", message)

    def _create_dataset(self, call: Call) -> Record:
        names = ("name", "description", "device_id", "metadata", "tags", "custom_fields")
        return self._backend.catalog.add_dataset(
            **{name: call.body[name] for name in names if call.body.get(name) is not None}
        )

    def _query_datasets(self, call: Call) -> Record:
        return self._backend.page(
            run_query(self._backend.catalog.datasets(), call.body),
            call.body.get("after"),
            call.body,
        )


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

"""A platform without sockets: LocalRoboto's own API, called as a function by the SDK's own client."""

import email.message
import io
import json
import urllib.parse
import urllib.response
from typing import Any

import pydantic
from roboto import RobotoClient
from roboto.exceptions import RobotoDomainException
from roboto.http.response import HttpResponse

from roboto_dagster.testing.server.api import Api
from roboto_dagster.testing.server.messages import Request

API_KEY = "simulated"


class ModelClient(RobotoClient):
    """The SDK's client, whose requests are answered by a function instead of a server.

    Args:
        api: What answers.

    Attributes:
        hidden: Ids of files that listings leave out for now, as pages do that shift while they are read.
    """

    def __init__(self, api: Api) -> None:
        super().__init__("http://simulation.invalid", auth_decorator=None)
        self._api = api
        self.hidden: frozenset[str] = frozenset()

    def get(self, path: str, *_: Any, **options: Any) -> HttpResponse:  # type: ignore[override] # what is asked here
        """Answers a GET."""
        return self._answer("GET", path, **options)

    def post(self, path: str, *_: Any, **options: Any) -> HttpResponse:  # type: ignore[override] # likewise
        """Answers a POST."""
        return self._answer("POST", path, **options)

    def _answer(
        self, method: str, path: str, *, data: Any = None, query: Any = None, **_: Any
    ) -> HttpResponse:
        is_model = isinstance(data, pydantic.BaseModel)
        body = data.model_dump_json(exclude_none=True) if is_model else json.dumps(data or {})
        answer = self._api.handle(
            Request(
                service="api",
                method=method,
                path="/" + path.lstrip("/"),
                query=urllib.parse.urlencode(query or {}),
                headers={"authorization": f"Bearer {API_KEY}"},
                body=body.encode(),
            )
        )
        content = answer.body.read(0, len(answer.body))
        if self.hidden and path.endswith("files/query"):
            page = json.loads(content)
            items = page["data"]["items"]
            page["data"]["items"] = [one for one in items if one["file_id"] not in self.hidden]
            content = json.dumps(page).encode()
        if answer.status >= 400:
            raise RobotoDomainException.from_json(json.loads(content))
        opened = urllib.response.addinfourl(
            io.BytesIO(content), email.message.Message(), path, answer.status
        )
        return HttpResponse(opened)

"""Routes of structured searches."""

from datetime import datetime

from roboto_dagster.testing.server.backend import ApiError, Backend, Call, Route
from roboto_dagster.testing.server.query import run_query
from roboto_dagster.testing.server.records import ORG_ID, USER_ID, MissingRecordError, Record


class SearchRoutes:
    """The routes of searches."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._searches: dict[str, tuple[Record, list[Record]]] = {}

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            ("POST", "/v1/datasets/create_if_not_exists", self._refuse_roboql),
            ("POST", "/v1/query/submit/structured", self._submit_search),
            ("POST", "/v1/query/submit/roboql", self._refuse_roboql),
            ("POST", "/v1/query/submit/term", self._refuse_roboql),
            ("GET", "/v1/query/id/*", lambda call: self._search(call)[0]),
            ("GET", "/v1/query/id/*/results", self._search_results),
        ]

    def _submit_search(self, call: Call) -> Record:
        target = call.body.get("target")
        if target not in ("datasets", "files"):
            raise ApiError(
                400, "RobotoInvalidRequestException", f"LocalRoboto does not search for '{target}'"
            )
        specification = call.body.get("query") or {}
        records = (
            self._backend.catalog.datasets()
            if target == "datasets"
            else self._backend.catalog.files()
        )
        found = run_query(records, specification)[: specification.get("max_results")]
        query_id = self._backend.catalog.new_id("qr")
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

    def _search(self, call: Call) -> tuple[Record, list[Record]]:
        if call.names[0] not in self._searches:
            raise MissingRecordError(f"Query '{call.names[0]}' does not exist")
        return self._searches[call.names[0]]

    def _search_results(self, call: Call) -> Record:
        return self._backend.page(self._search(call)[1], call.query.get("next_page_token"), {})

    def _refuse_roboql(self, _: Call) -> None:
        message = "LocalRoboto does not evaluate RoboQL or search terms: use a QuerySpecification"
        raise ApiError(400, "RobotoInvalidRequestException", message)

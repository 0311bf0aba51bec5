"""Answers structured queries over records, with the SDK's own evaluator of conditions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from roboto_dagster.testing.server.records import Record


class BadQueryError(ValueError):
    """A query that the platform would refuse."""


def run_query(records: Iterable[Record], specification: Mapping[str, Any]) -> list[Record]:
    """Return the records that fit a query specification's condition, sorted as it asks for.

    Args:
        records: What is searched.
        specification: The query, as the SDK sends it.
    """
    from roboto.query import QuerySpecification  # the SDK costs about a second to import

    try:
        spec = QuerySpecification.model_validate(specification)
    except ValueError as error:
        raise BadQueryError(f"The query is not valid: {error}") from error
    found = [
        record for record in records if spec.condition is None or _fits(spec.condition, record)
    ]
    return sort_records(found, by=spec.sort_by, direction=spec.sort_direction)


def sort_records(
    records: Sequence[Record], *, by: str | None, direction: str | None
) -> list[Record]:
    """Return the records sorted; as on the platform, newest first by default.

    Args:
        records: What is sorted.
        by: The field to sort by, or None for when they were made.
        direction: `ASC` or `DESC`, or None for newest first.
    """
    field = by or "created"
    if any(field not in record for record in records):
        raise BadQueryError(f"Cannot sort by unknown field '{field}'")
    newest_first = direction is None or str(direction).upper().endswith("DESC")
    try:
        return sorted(
            records,
            key=lambda record: (record[field] is not None, record[field]),
            reverse=newest_first,
        )
    except TypeError as error:
        raise BadQueryError(f"Cannot sort by field '{field}'") from error


def page(items: Sequence[Record], token: str | None, limit: int) -> tuple[list[Record], str | None]:
    """Return one page of *items* and the token of the next one, None on the last.

    Args:
        items: Everything there is.
        token: Where the page starts, or None for the first.
        limit: How many items a page has at most.
    """
    try:
        start = int(token) if token else 0
    except ValueError as error:
        raise BadQueryError(f"Unknown page token '{token}'") from error
    stop = start + limit
    return list(items[start:stop]), str(stop) if stop < len(items) else None


def _fits(condition: Any, record: Record) -> bool:
    try:
        return bool(condition.matches(record))
    except (TypeError, ValueError) as error:
        raise BadQueryError(f"The condition cannot be evaluated: {error}") from error

"""Conditions of the platform's structured queries: made, joined, and checked before they are sent."""

import datetime as dt
import difflib
from collections.abc import Collection, Mapping
from typing import Any

from roboto_dagster.errors import ConfigurationError

Query = Mapping[str, Any]
"""A condition, `{"field", "comparator", "value"}`, or a group, `{"operator", "conditions"}`."""

# Copies of the SDK's own, since importing it costs about a second; a test compares them.
COMPARATORS = (
    *("EQUALS", "NOT_EQUALS", "GREATER_THAN", "GREATER_THAN_OR_EQUAL", "LESS_THAN"),
    *("LESS_THAN_OR_EQUAL", "CONTAINS", "NOT_CONTAINS", "IS_NULL", "IS_NOT_NULL", "EXISTS"),
    *("NOT_EXISTS", "BEGINS_WITH", "LIKE", "NOT_LIKE"),
)
OPERATORS = ("AND", "OR", "NOT")
DATASET_FIELDS = (
    *("administrator", "created", "created_by", "custom_fields", "dataset_id", "description"),
    *("device_id", "metadata", "modified", "modified_by", "name", "org_id"),
    *("roboto_record_version", "storage_ctx", "storage_location", "tags"),
)
_WITHOUT_VALUE = frozenset({"IS_NULL", "IS_NOT_NULL", "EXISTS", "NOT_EXISTS"})
_EXAMPLE = '{"field": "tags", "comparator": "CONTAINS", "value": "flight"}'


def where(field: str, comparator: str, value: object) -> Query:
    """Return a condition; a time is sent to the platform in UTC.

    Args:
        field: Field of the record, such as `modified`.
        comparator: One of `COMPARATORS`.
        value: What the field is compared with.
    """
    if isinstance(value, dt.datetime):
        value = value.astimezone(dt.timezone.utc).isoformat()
    return {"field": field, "comparator": comparator, "value": value}


def all_of(*conditions: Query | None) -> Query | None:
    """Join conditions, leaving out those that are None; nothing at all is None."""
    given = [condition for condition in conditions if condition is not None]
    if len(given) < 2:
        return given[0] if given else None
    return {"operator": "AND", "conditions": given}


def any_of(field: str, values: Collection[str]) -> Query:
    """Return the condition that a field has one of some values.

    Args:
        field: Field of the record, such as `dataset_id`.
        values: At least one.
    """
    return {"operator": "OR", "conditions": [where(field, "EQUALS", value) for value in values]}


def checked_query(query: object) -> Query | None:
    """Return a query of datasets as plain data.

    Args:
        query: A mapping, or a `Condition` or `ConditionGroup` of the SDK, or None for all datasets.

    Raises:
        ConfigurationError: It is something else, or has a field, comparator or operator that the
            platform does not know.
    """
    if query is None:
        return None
    dump = getattr(query, "model_dump", None)
    plain: Any = dump(mode="json") if callable(dump) else query
    _check(plain)
    return dict(plain)


def _check(query: Any) -> None:
    if isinstance(query, Mapping) and "conditions" in query:
        _check_keys(query, {"operator", "conditions"})
        _check_group(query)
    elif isinstance(query, Mapping) and {"field", "comparator"} <= query.keys():
        _check_keys(query, {"field", "comparator", "value"})
        _check_condition(query)
    else:
        msg = (
            f"{query!r} is not a query: give a condition such as {_EXAMPLE}, a group such as "
            '{"operator": "AND", "conditions": [...]}, or a Condition or ConditionGroup of roboto.query.'
        )
        raise ConfigurationError(msg)


def _check_keys(query: Query, allowed: set[str]) -> None:
    unknown = sorted(map(str, query.keys() - allowed))
    if unknown:
        msg = f"The query {query!r} has unknown keys {', '.join(unknown)}: it may have {', '.join(sorted(allowed))}."
        raise ConfigurationError(msg)


def _check_group(query: Query) -> None:
    _check_choice(query, "operator", query.get("operator"), OPERATORS)
    conditions = query["conditions"]
    if isinstance(conditions, str | Mapping) or not isinstance(conditions, Collection):
        raise ConfigurationError(f"The conditions of {query!r} are not a list.")
    if not conditions:
        raise ConfigurationError(f"The group {query!r} has no conditions: give at least one.")
    for condition in conditions:
        _check(condition)


def _check_condition(query: Query) -> None:
    field, comparator = query["field"], query["comparator"]
    record_field = field.split(".")[0] if isinstance(field, str) else field
    _check_choice(query, "field", record_field, DATASET_FIELDS)
    _check_choice(query, "comparator", comparator, COMPARATORS)
    if query.get("value") is None and comparator not in _WITHOUT_VALUE:
        msg = f"The query {query!r} has no value, which {comparator} needs."
        raise ConfigurationError(msg)


def _check_choice(query: Query, what: str, value: Any, valid: Collection[str]) -> None:
    if value in valid:
        return
    close = difflib.get_close_matches(str(value).upper(), [each.upper() for each in valid], n=1)
    hint = next((f" Did you mean {each}?" for each in valid if [each.upper()] == close), "")
    msg = f"The query {query!r} has the unknown {what} {value!r}.{hint} Valid: {', '.join(valid)}."
    raise ConfigurationError(msg)

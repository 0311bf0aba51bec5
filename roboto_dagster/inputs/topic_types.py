"""The types that assets may annotate for an input from a topics asset, each with the function that loads it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.inputs.dotted import dotted_columns
from roboto_dagster.inputs.input_types import InputType
from roboto_dagster.inputs.topic_tables import TopicData, TopicTables
from roboto_dagster.topics.topic_filter import TopicFilter

TOPIC = "topic"
COLUMNS = "columns"
_DOTTED = "dotted"

TopicLoader = Callable[[TopicTables, dg.InputContext], Any]


def wants_topics(annotation: Any, context: dg.InputContext) -> bool:
    """Return whether an input is one of topics, where the upstream asset is not known to be a topics asset.

    Args:
        annotation: Of the input.
        context: Of the input.
    """
    text = str(annotation)  # also of `dict[str, TopicData]`
    is_named = any(kind.__name__ in text for kind in (TopicTables, TopicData))
    return is_named or (context.definition_metadata or {}).get(TOPIC) is not None


def are_needed(wanted: InputType, context: dg.InputContext) -> Callable[[str], bool]:
    """Return a function that reports for a topic whether an input needs its tables on disk: others may be lost.

    Args:
        wanted: Of the input.
        context: Of the input.

    Raises:
        ConfigurationError: The topics of the input cannot be read.
    """
    given = _patterns(context)
    if given is None or wanted.loader not in _CHOOSING:
        return lambda _: True
    patterns = TopicFilter(topics=given)
    return lambda topic: topic in given or patterns.includes(topic)


def _patterns(context: dg.InputContext) -> Sequence[str] | None:
    given = _plain((context.definition_metadata or {}).get(TOPIC))
    if given is None:
        return None
    patterns = [given] if isinstance(given, str) else given
    is_list = isinstance(patterns, Sequence) and bool(patterns)
    if not is_list or not all(isinstance(each, str) for each in patterns):
        raise ConfigurationError(
            f"{TOPIC} in the metadata of an AssetIn must be a topic, or a list of patterns, not {given!r}."
        )
    return patterns


def _chosen(tables: TopicTables, context: dg.InputContext) -> TopicData:
    """Return the topics that the metadata of an input names; the only one where it names none."""
    patterns = _patterns(context)
    if patterns is None:
        return tables.only()
    if len(patterns) == 1 and patterns[0] in tables:
        return tables[patterns[0]]
    return tables.matching(*patterns)


def _is_dotted(context: dg.InputContext) -> bool:
    given = _plain((context.definition_metadata or {}).get(COLUMNS))
    if given not in (None, _DOTTED, "nested"):
        raise ConfigurationError(
            f"{COLUMNS} in the metadata of an AssetIn must be 'nested' or 'dotted', not {given!r}."
        )
    return bool(given == _DOTTED)


def _plain(given: Any) -> Any:
    return given.value if isinstance(given, dg.MetadataValue) else given


def _loading(read: Callable[[TopicData], Any]) -> TopicLoader:
    def load(tables: TopicTables, context: dg.InputContext) -> Any:
        value = read(_chosen(tables, context))
        return dotted_columns(value) if _is_dotted(context) else value

    return load


def _dataset(tables: TopicTables, context: dg.InputContext) -> Any:
    if _is_dotted(context):
        raise ConfigurationError(
            "A pyarrow.dataset.Dataset cannot have dotted columns: use dotted_columns(dataset.schema), or a pyarrow.Table."
        )
    return _chosen(tables, context).dataset()


def _paths(tables: TopicTables, context: dg.InputContext) -> Any:
    if (context.definition_metadata or {}).get(TOPIC) is None:
        return tables.matching("**").paths
    return _chosen(tables, context).paths


# By name, since an import of pyarrow, polars or duckdb would cost every code location.
TOPIC_LOADERS: Mapping[str, TopicLoader] = {
    "roboto_dagster.inputs.topic_tables:TopicTables": lambda tables, _: tables,
    "roboto_dagster.inputs.topic_tables:TopicData": _chosen,
    ":list[pathlib.Path]": _paths,
    "pyarrow:Table": _loading(TopicData.table),
    "pyarrow.dataset:Dataset": _dataset,
    "polars:DataFrame": _loading(TopicData.data_frame),
    "polars:LazyFrame": _loading(TopicData.lazy_frame),
    "duckdb:DuckDBPyRelation": _loading(TopicData.relation),
}
"""What is built in; the first is what an input without an annotation gets."""

_CHOOSING = frozenset(list(TOPIC_LOADERS.values())[1:])
"""What loads the topics that the metadata names: not all tables, and no loader of a user's."""

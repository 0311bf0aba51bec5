"""The one component of a project that defines an upstream source, for all that share it."""

import types
from collections.abc import Sequence
from typing import Any, Protocol

import dagster as dg

from roboto_dagster.component.asset_models import SourceAsset, defining_source


class _HasSource(Protocol):
    source: SourceAsset | None


def source_definitions(
    component: _HasSource, kind: type[Any], context: dg.ComponentLoadContext
) -> Sequence[dg.AssetSpec]:
    """Return the source of a component, if it is this one that defines it.

    Args:
        component: The component.
        kind: The class of all components that share sources.
        context: Of the component.
    """
    source = component.source
    if source is None:
        return []
    sources = _sources(kind, context)
    shared = [each for each in sources if each.spec().key == source.spec().key]
    if any(each is source for each in shared):
        return [source.spec()] if defining_source(shared) is source else []
    # Built by another component or by a test: no project knows of it.
    return [source.spec()] if source.has_details() else []


def _sources(kind: type[Any], context: dg.ComponentLoadContext) -> Sequence[SourceAsset]:
    """Return the sources of all components of the project."""
    tree = context.component_tree
    module: Any = tree.defs_module
    if not isinstance(module, types.ModuleType):  # a stand-in of Dagster's, for tests
        return []
    components = tree.get_all_components(of_type=kind)
    return [each.source for each in components if each.source is not None]

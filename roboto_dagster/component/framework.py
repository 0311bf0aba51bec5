"""Types of Dagster's own as fields of YAML: its partitions, policies, hooks and checks.

Whatever YAML cannot spell comes from a template variable of the project: `hooks: "{{ my_hooks }}"`.
"""

import inspect
from typing import Annotated, Any

import dagster as dg
from dagster.components.resolved.core_models import (
    AssetCheckSpecKwargs,
    DailyPartitionsDefinitionModel,
    HourlyPartitionsDefinitionModel,
    MultiRunBackfillPolicyModel,
    OpSpec,
    SingleRunBackfillPolicyModel,
    StaticPartitionsDefinitionModel,
    TimeWindowPartitionsDefinitionModel,
    WeeklyPartitionsDefinitionModel,
    resolve_asset_check_spec,
    resolve_backfill_policy,
    resolve_partitions_def,
)
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver
from pydantic import BeforeValidator, InstanceOf

from roboto_dagster.assets import build_roboto_dataset_asset
from roboto_dagster.component.fields import description_of


def template_value(context: dg.ResolutionContext, value: Any) -> Any:
    """Return the object of Python that a template variable names.

    Args:
        context: Of the field.
        value: What YAML has.
    """
    return context.resolve_value(value)


def _key(context: dg.ResolutionContext, value: Any) -> dg.AssetKey:
    found = context.resolve_value(value)
    return found if isinstance(found, dg.AssetKey) else dg.AssetKey.from_user_string(str(found))


def _texts(tags: Any) -> Any:
    """Read `retries: 3` as the text 3: YAML and templates turn texts into numbers, and a tag is a text."""
    if not isinstance(tags, dict):
        return tags
    return {key: str(tag) if isinstance(tag, int | float) else tag for key, tag in tags.items()}


Tags = Annotated[dict[str, str], BeforeValidator(_texts)]
"""Tags, whose values may be written as numbers."""

Key = Annotated[InstanceOf[dg.AssetKey], dg.Resolver(_key, model_field_type=str)]
"""The key of an asset, its parts separated by slashes."""

CheckSpec = Annotated[
    InstanceOf[dg.AssetCheckSpec],
    dg.Resolver(resolve_asset_check_spec, model_field_type=AssetCheckSpecKwargs.model()),
]
"""A check of the framework."""


Hooks = Annotated[
    frozenset[InstanceOf[dg.HookDefinition]] | None,
    dg.Resolver(
        template_value,
        model_field_type=str,
        description=f"{description_of(build_roboto_dataset_asset, 'hooks')} A template variable.",
    ),
]
"""Functions of Python, which YAML can only name."""

PartitionsDefinition = Annotated[
    InstanceOf[dg.PartitionsDefinition[Any]] | None,
    dg.Resolver(
        resolve_partitions_def,
        model_field_type=HourlyPartitionsDefinitionModel
        | DailyPartitionsDefinitionModel
        | WeeklyPartitionsDefinitionModel
        | TimeWindowPartitionsDefinitionModel
        | StaticPartitionsDefinitionModel,
        description="The partitions as Dagster's own components spell them, such as {type: daily, start_date: "
        "2026-01-01}, or a template variable, in place of `partitions`. Default: those.",
    ),
]


BackfillPolicy = Annotated[
    dg.BackfillPolicy | None,
    dg.Resolver(
        resolve_backfill_policy,
        model_field_type=SingleRunBackfillPolicyModel | MultiRunBackfillPolicyModel,
        description="Whether one run may hold many partitions: {type: single_run}, or {type: multi_run, "
        "max_partitions_per_run: 20}; it may stand in `op` as well. Default: one run for each.",
    ),
]

Translation = (
    Annotated[
        TranslationFn[Any],
        TranslationFnResolver[Any](template_vars_for_translation_fn=lambda data: {"data": data}),
    ]
    | None
)
"""Attributes of an asset that replace those that it has; a resolver of the union would hide a field's description."""


class DatasetOp(OpSpec):
    """The op of the asset: Dagster's own settings, described."""

    name: Annotated[
        str | None, dg.Resolver.default(description="Name of the op. Default: made of the asset's.")
    ] = None
    tags: Annotated[
        dict[str, Any] | None, dg.Resolver.default(description="Tags of the op. Default: none.")
    ] = None
    description: Annotated[
        str | None, dg.Resolver.default(description="Description of the op. Default: none.")
    ] = None
    pool: Annotated[
        str | None,
        dg.Resolver.default(
            description="Concurrency pool, which limits how many such steps run at once. Default: none."
        ),
    ] = None
    backfill_policy: BackfillPolicy = None


def component_type_spec(*, produces: list[str], **others: Any) -> dg.ComponentTypeSpec:
    """Return how `dg` presents a component.

    Args:
        produces: The kinds of definitions that it makes; dagster 1.13.0 does not ask for them.
        **others: Whatever else is known of it.
    """
    if "produces" in inspect.signature(dg.ComponentTypeSpec).parameters:
        others["produces"] = produces
    return dg.ComponentTypeSpec(**others)

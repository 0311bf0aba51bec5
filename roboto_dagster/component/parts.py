"""Several assets of one component: what each has of its own."""

from collections.abc import Mapping
from typing import Annotated, Any

import dagster as dg
from pydantic import Field

from roboto_dagster.assets import build_roboto_dataset_asset
from roboto_dagster.component.fields import SettingsModel, description_of
from roboto_dagster.component.framework import Translation
from roboto_dagster.sync.options import OnEmpty, OnMissing, OnRefused, SyncOptions


def _option(source: Any, name: str) -> Any:
    text = (description_of(source, name) or "").partition(" Default")[0]
    return Field(default=None, description=f"{text.rstrip('.')}. Default: the component's.")


class AssetPart(SettingsModel):
    """One of several assets; what is left out is the component's."""

    destination: str | None = _option(build_roboto_dataset_asset, "destination")
    include_patterns: list[str] | None = _option(build_roboto_dataset_asset, "include_patterns")
    exclude_patterns: list[str] | None = _option(build_roboto_dataset_asset, "exclude_patterns")
    on_refused: OnRefused | None = _option(SyncOptions, "on_refused")
    on_missing: OnMissing | None = _option(SyncOptions, "on_missing")
    on_empty: OnEmpty | None = _option(SyncOptions, "on_empty")
    max_removals: int | None = _option(SyncOptions, "max_removals")
    translation: Translation = Field(
        default=None,
        description="Attributes of this asset (group_name, owners, tags, …), beside those of the component.",
    )

    def own(self) -> Mapping[str, Any]:
        """Return the fields of the component that this asset has a value of its own for."""
        names = set(type(self).model_fields) - {"translation"}
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    def translate(self, spec: dg.AssetSpec, component: Any, of_all: Translation) -> dg.AssetSpec:
        """Return an asset with the attributes of the component, then with those of its own.

        Args:
            spec: The asset.
            component: Given to both translations.
            of_all: That of the component.
        """
        for each in (of_all, self.translation):
            spec = spec if each is None else each(spec, component)
        return spec


def _parts(context: dg.ResolutionContext, given: Any) -> Mapping[str, AssetPart] | None:
    if given is None:
        return None
    return {
        name: AssetPart(include_patterns=context.at_path(name).resolve_value(part))
        if isinstance(part, list)
        else AssetPart.resolve_from_model(context.at_path(name), part)
        for name, part in given.items()
    }


Parts = Annotated[
    dict[str, AssetPart] | None,
    dg.Resolver(
        _parts,
        model_field_type=dict[str, list[str] | AssetPart.model()] | None,  # type: ignore[misc]  # made by Dagster
        description="Several assets in place of one, by name: the patterns of the files of each, or fields of its own. "
        "They share the datasets, the listing and the step, of which `name` is the name. Default: one asset.",
    ),
]
"""The field `assets`."""

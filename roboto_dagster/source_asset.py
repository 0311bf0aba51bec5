"""The Roboto platform as an upstream asset, so that lineage starts where the data comes from.

```
roboto/platform ─┬─► flight_logs ─► …
                 └─► camera_logs ─► …
```

Every dataset asset depends on it. It is never materialized: Dagster shows it in the graph by itself, with the
link that the dependency carries. Who wants a group, owners or tags for it lists it beside the assets.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import dagster as dg

import roboto_dagster.registration  # noqa: F401 -- registers the package
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.setting_checks import check_http_url

DEFAULT_SOURCE_KEY = dg.AssetKey(["roboto", "platform"])
DEFAULT_SOURCE_URL = "https://app.roboto.ai"

URL_KEY = "roboto/platform_url"
_KIND = "roboto"

Source: TypeAlias = dg.AssetSpec | dg.AssetKey | str | Sequence[str]
"""The upstream asset: as `build_roboto_source_asset` has made it, or the key of any other."""


def build_roboto_source_asset(
    key: dg.AssetKey | str | Sequence[str] = DEFAULT_SOURCE_KEY,
    *,
    url: str | None = DEFAULT_SOURCE_URL,
    group_name: str | None = None,
    description: str | None = None,
    owners: Sequence[str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> dg.AssetSpec:
    """Build the asset that stands for the Roboto platform, or for one organization of it.

    Dataset assets that are given it, or nothing else, depend on it. List it in the `Definitions` to have group,
    owners and tags shown; it may be listed any number of times, since the same settings give the same object.

    Args:
        key: Its key. Default `roboto/platform`.
        url: The page that it links to; None for a platform without a site. Default: Roboto's.
        group_name: Group in the UI. Default: Dagster's.
        description: Shown in the UI. Default: what it is.
        owners: Owners of the asset. Default: none.
        tags: Tags of the asset. Default: none.

    Returns:
        An asset that Dagster does not execute.

    Raises:
        ConfigurationError: The URL or the key cannot be one.
    """
    if url is not None:
        url = check_http_url("url of the source", url)
    return _shared_spec(
        _asset_key(key),
        url=url,
        group_name=group_name,
        description=description or "The Roboto platform: where the datasets come from.",
        owners=tuple(owners or ()),
        tags=tuple(sorted((tags or {}).items())),
    )


@functools.cache  # Dagster takes one object twice, but not two that are equal
def _shared_spec(
    key: dg.AssetKey,
    *,
    url: str | None,
    group_name: str | None,
    description: str,
    owners: tuple[str, ...],
    tags: tuple[tuple[str, str], ...],
) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        group_name=group_name,
        description=description,
        owners=owners,
        tags=dict(tags),
        kinds={_KIND},
        metadata={URL_KEY: dg.MetadataValue.url(url)} if url else None,
    )


def source_key(source: Source | None) -> dg.AssetKey | None:
    """Return the key of a source; None where there is none.

    Args:
        source: As a user has given it.

    Raises:
        ConfigurationError: It is neither an asset nor a key.
    """
    if source is None:
        return None
    return source.key if isinstance(source, dg.AssetSpec) else _asset_key(source)


def deps_with_source(
    key: dg.AssetKey, deps: Iterable[Any] | None, source: Source | None
) -> Sequence[dg.AssetDep]:
    """Return the dependencies of a dataset asset, the source among them.

    Args:
        key: The asset's key.
        deps: What it depends on besides: whatever Dagster takes as a dependency.
        source: The upstream asset; None for none.

    Raises:
        ConfigurationError: The asset would depend on itself, or a dependency is none.
    """
    found = [_dep(each) for each in deps or ()]
    upstream = source_key(source)
    if upstream == key:
        raise ConfigurationError(
            f"The asset {key.to_user_string()} has the key of its own source: give source another key, or None."
        )
    if upstream is not None and upstream not in [each.asset_key for each in found]:
        metadata = dict(source.metadata) if isinstance(source, dg.AssetSpec) else {}
        found.append(dg.AssetDep(upstream, metadata=metadata))
    return found


def ignoring_source(
    condition: dg.AutomationCondition[Any] | None, source: Source | None
) -> dg.AutomationCondition[Any] | None:
    """Return an automation condition that does not wait for the source.

    The source is never materialized: `on_cron`, `on_missing` and `eager` would wait for it for good.

    Args:
        condition: Of a dataset asset.
        source: Its source.
    """
    key = source_key(source)
    ignore = getattr(condition, "ignore", None)  # of those that look at dependencies alone
    return condition if key is None or ignore is None else ignore(dg.AssetSelection.assets(key))


def _dep(given: Any) -> dg.AssetDep:
    if isinstance(given, dg.AssetDep):
        return given
    try:
        return dg.AssetDep(given)
    except Exception as error:
        raise ConfigurationError(
            f"deps must hold assets or their keys, such as 'raw/maps', not {given!r}: {error}"
        ) from error


def _asset_key(key: Any) -> dg.AssetKey:
    try:
        found = key if isinstance(key, dg.AssetKey) else dg.AssetDep(key).asset_key
    except Exception as error:
        raise ConfigurationError(
            f"source must be an asset or its key, such as ['roboto', 'acme'], not {key!r}."
        ) from error
    if not found.path or not all(found.path):
        raise ConfigurationError(f"source must be a key whose parts are not empty, not {key!r}.")
    return found

"""Checks of what is written for Dagster's part of an asset, where Dagster's own message would not name the setting,
or where it would take a string for a list of its letters.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from roboto_dagster.asset_config import DatasetAssetConfig
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.setting_checks import check_resource_key
from roboto_dagster.topic_assets.config import TopicsAssetConfig


def check_definition(
    *, name: Any, io_manager_key: Any, backfill_policy: Any, **others: Any
) -> None:
    """Check the definition of an asset.

    Args:
        name: Its name.
        io_manager_key: The resource by which other assets load it.
        backfill_policy: How many partitions a run may hold.
        **others: `key_prefix`, `kinds`, `deps`, `owners`, `hooks`, `metadata` and `op_tags`, by name.

    Raises:
        ConfigurationError: One of them cannot work; the message names it.
    """
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"name must be the asset's name, not {name!r}.")
    for setting in ("kinds", "deps", "owners"):
        check_list(setting, others[setting])
    for setting in ("metadata", "op_tags"):
        given = others[setting]
        if given is not None and not isinstance(given, Mapping):
            raise ConfigurationError(f"{setting} must be a mapping, not {given!r}.")
    _check_key_prefix(others["key_prefix"])
    _check_hooks(others["hooks"])
    _check_metadata(others["metadata"])
    if io_manager_key is not None:
        check_resource_key("io_manager_key", io_manager_key)
    if backfill_policy is not None and not isinstance(backfill_policy, dg.BackfillPolicy):
        raise ConfigurationError(
            f"backfill_policy must be a BackfillPolicy such as BackfillPolicy.multi_run(20), not {backfill_policy!r}."
        )


def check_list(setting: str, given: object) -> None:
    """Check that a string does not stand for a list.

    Args:
        setting: Its name; the message starts with it.
        given: The value.

    Raises:
        ConfigurationError: It is a string.
    """
    if isinstance(given, str | bytes):
        raise ConfigurationError(f"{setting} must be a list, such as [{given!r}], not {given!r}.")


def _check_key_prefix(prefix: Any) -> None:
    parts = prefix if isinstance(prefix, list | tuple) else [prefix]
    if prefix is not None and not all(isinstance(part, str) and part for part in parts):
        raise ConfigurationError(
            f"key_prefix must be a string, or a list of them, that are not empty, not {prefix!r}."
        )


def _check_hooks(hooks: Any) -> None:
    is_set = hooks is None or isinstance(hooks, set | frozenset)
    if not is_set or not all(isinstance(hook, dg.HookDefinition) for hook in hooks or ()):
        raise ConfigurationError(
            f"hooks must be a set of what @dagster.success_hook and @dagster.failure_hook make, not {hooks!r}."
        )


def _check_metadata(metadata: Mapping[str, Any] | None) -> None:
    ours = DatasetAssetConfig.METADATA_KEYS | TopicsAssetConfig.METADATA_KEYS
    taken = sorted(ours.intersection(metadata or ()))
    if taken:
        raise ConfigurationError(
            f"metadata must not hold {', '.join(taken)}, which this package sets: use another key."
        )

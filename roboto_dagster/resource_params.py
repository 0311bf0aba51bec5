"""Functions whose resources have keys of the user's choice.

Dagster takes the key of a resource from the name of a parameter. With `required_resource_keys` keys could be
chosen too, but then an asset or a sensor could not be called directly, which is how it is tested.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.resource_checks import checked_resource
from roboto_dagster.setting_checks import check_resource_key

Body = Callable[..., Any]
"""Takes a context, then resources in the order in which they were named."""


def with_resources(
    body: Body, context_type: type[Any], resources: Mapping[str, tuple[str, type[Any]]]
) -> Body:
    """Return a function for Dagster that has the resources as parameters, and checks their types.

    Args:
        body: Called with the context and the resources.
        context_type: Annotation of the context.
        resources: By the setting that holds it, the key of each resource, and its class.

    Raises:
        ConfigurationError: A key cannot be one, or two resources have the same.
    """
    _check_keys({setting: key for setting, (key, _) in resources.items()})
    by_key = dict(resources.values())

    def function(context: Any, **given: Any) -> Any:
        checked = (checked_resource(given[key], key, kind) for key, kind in by_key.items())
        return body(context, *checked)

    function.__name__ = body.__name__
    function.__doc__ = body.__doc__
    function.__annotations__ = {"context": context_type, **by_key}
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # functions may have it
        [
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind)
            for name, kind in function.__annotations__.items()
        ]
    )
    return function


def _check_keys(key_by_setting: Mapping[str, str]) -> None:
    setting_by_key: dict[str, str] = {}
    for setting, key in key_by_setting.items():
        check_resource_key(setting, key)
        if key == "context":
            raise ConfigurationError(f"{setting} must not be context, which Dagster gives itself.")
        other = setting_by_key.setdefault(key, setting)
        if other != setting:
            raise ConfigurationError(
                f"{other} and {setting} must be two resources, and both are {key!r}."
            )

"""What all our resources have in common: fields that are checked where they are written, and variables.

The value of a `dagster.EnvVar` is known in a run only. Dagster makes the resource again there with the values, so
that the same checks see them; outside a run `without_variables` does what a run would do.
"""

import contextlib
import difflib
import os
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

import dagster as dg
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

import roboto_dagster.registration  # noqa: F401 -- registers the package
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.setting_checks import check_text

ResourceT = TypeVar("ResourceT", bound=dg.ConfigurableResource[Any])

_METHODS = ("get_client", "open_store")


class CheckedResource(dg.ConfigurableResource[Any]):
    """Refuses fields that do not exist and values that cannot work where they are written.

    The value of an `EnvVar` is known in a run only: Dagster makes the resource again there, with the value, which
    is checked then.
    """

    def __init__(self, **data: Any) -> None:
        with checked_fields(type(self), data):
            super().__init__(**data)
        self._check({name: value for name, value in dict(self).items() if not is_variable(value)})

    def _check(self, known: Mapping[str, Any]) -> None:
        """Check the values that are known; nothing by default.

        Args:
            known: The fields whose values are no variables.
        """


@contextlib.contextmanager
def checked_fields(kind: type[BaseModel], data: Mapping[str, Any]) -> Iterator[None]:
    """Check the fields that are given before pydantic reads them, and word its errors as ours.

    Args:
        kind: The resource or IO manager.
        data: Its fields, as they were given.

    Raises:
        ConfigurationError: A field does not exist, or has a value that cannot work; the message names it.
    """
    check_field_names(kind, data)
    check_field_types(kind, data)
    try:
        yield
    except ValidationError as error:
        raise ConfigurationError(_problems(kind.__name__, error)) from None


def check_field_names(kind: type[BaseModel], data: Mapping[str, Any]) -> None:
    """Check that all fields exist, since Dagster ignores others.

    Args:
        kind: The resource or IO manager.
        data: Its fields, as they were given.

    Raises:
        ConfigurationError: There is another field; the message names one of a similar name.
    """
    for name in data:
        if name not in kind.model_fields:
            similar = difflib.get_close_matches(name, kind.model_fields, 1)
            hint = (
                f"did you mean {similar[0]}?"
                if similar
                else f"it has {', '.join(kind.model_fields)}."
            )
            raise ConfigurationError(f"{kind.__name__} has no field {name!r}: {hint}")


def check_field_types(kind: type[BaseModel], data: Mapping[str, Any]) -> None:
    """Check what pydantic would convert: a bool or a text is no number, and a text says something.

    Args:
        kind: The resource or IO manager.
        data: Its fields, as they were given.

    Raises:
        ConfigurationError: A value is of another type, or an empty text; the message names the field.
    """
    for name, value in data.items():
        _check_field_type(f"{kind.__name__}: {name}", kind.model_fields[name], value)


def _check_field_type(setting: str, field: FieldInfo, value: Any) -> None:
    accepted = set(get_args(field.annotation) or [field.annotation]) - {type(None)}
    if accepted <= {int, float}:
        if isinstance(value, dg.EnvVar):
            name = value.env_var_name
            raise ConfigurationError(f"{setting} is a number: read it with EnvVar.int({name!r}).")
        if isinstance(value, (bool, str)):
            raise ConfigurationError(f"{setting} must be a number, not {value!r}.")
    # A secret is checked by what uses it, which knows where else to look for it.
    is_plain_text = accepted == {str} and isinstance(value, str) and not is_variable(value)
    if is_plain_text and field.repr:
        check_text(setting, value, optional=not field.is_required())


def _problems(kind: str, error: ValidationError) -> str:
    """Return a message without the values: one of them may be a secret."""
    problems = {
        f"{each['loc'][0] if each['loc'] else 'it'} {each['msg'].replace('Input should', 'must')}": None
        for each in error.errors()
    }
    return f"{kind}: {'; '.join(problems)}."


def is_variable(value: object) -> bool:
    """Return whether a value is an environment variable, which is read in a run only."""
    return isinstance(value, (dg.EnvVar, _INT_VARIABLE))


_INT_VARIABLE = type(dg.EnvVar.int("_"))  # Dagster gives this class no public name


def without_variables(resource: ResourceT) -> ResourceT:
    """Return a resource with the values of its variables, as a run would.

    Raises:
        ConfigurationError: A variable is not set.
    """
    values = {name: value for name, value in dict(resource).items() if is_variable(value)}
    if not values:
        return resource
    found: dict[str, Any] = {}
    for name, variable in values.items():
        found[name] = _value_of(f"{type(resource).__name__}.{name}", variable)
    return type(resource)(**{**dict(resource), **found})


def _value_of(field: str, variable: Any) -> str | int:
    text = os.environ.get(variable.env_var_name)
    if text is None:
        raise ConfigurationError(
            f"{field} is the variable {variable.env_var_name}, which is not set."
        )
    if not isinstance(variable, _INT_VARIABLE):
        return text
    try:
        return int(text)
    except ValueError:
        raise ConfigurationError(
            f"{field} is the variable {variable.env_var_name}, which is not an integer: {text!r}."
        ) from None


def checked_resource(resource: Any, key: str, kind: type[ResourceT]) -> ResourceT:
    """Return a resource if it is of a kind; Dagster hands over whatever stands under a key.

    Args:
        resource: What Dagster handed over.
        key: The key that it was asked for by.
        kind: The class that is needed; an object with its methods will do.

    Raises:
        ConfigurationError: It is something else; two resources may be swapped.
    """
    if all(hasattr(resource, name) for name in _METHODS if hasattr(kind, name)):
        return resource  # type: ignore[no-any-return]  # a stand-in with the method is welcome
    swapped = " Are the resources swapped?" if isinstance(resource, CheckedResource) else ""
    raise ConfigurationError(
        f"The resource {key!r} is {type(resource).__name__}, but {kind.__name__} is needed.{swapped}"
    )

"""Fields of the component whose default and description are typed elsewhere, once.

Every setting belongs to a dataclass, a resource or a function of this package. A field of the
component takes both from there, so that the function, the resource and YAML cannot differ:

```python
class SyncSchedule(SettingsModel):
    timezone: str | None = setting(build_roboto_sync_schedule, "execution_timezone")
```
"""

import dataclasses
import datetime as dt
import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, get_args

import dagster as dg
from pydantic import BaseModel, BeforeValidator, Field
from pydantic.fields import FieldInfo

from roboto_dagster.errors import ConfigurationError

_SECTION = re.compile(r"^(?:Args|Attributes):\n((?:(?: .*)?\n)*)", re.MULTILINE)
_ENTRY = re.compile(r"^ {4}(\w+): (.*(?:\n {6,}\S.*)*)", re.MULTILINE)

Source = Callable[..., Any]
"""A dataclass, a pydantic model or a function: whatever has named settings."""


class SettingsModel(dg.Model, dg.Resolvable):
    """Base of the component and of its parts: each field's description reaches `dg` and the UI.

    Dagster derives another model from this one for YAML and drops `Field(description=…)` on the way;
    only the description of a resolver survives.
    """

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Give every field that has a description a resolver with the same one."""
        super().__pydantic_init_subclass__(**kwargs)
        for field in cls.model_fields.values():
            if field.description and not any(isinstance(x, dg.Resolver) for x in field.metadata):
                field.metadata.append(dg.Resolver.default(description=field.description))
            if set(get_args(field.annotation) or [field.annotation]) - {type(None)} <= {int, float}:
                # YAML reads `yes` and `on` as a bool, which pydantic would convert to 1.
                field.metadata.append(BeforeValidator(_no_bool))


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {value}")  # noqa: TRY004 -- pydantic reports only this one
    return value


def setting(source: Source, name: str) -> Any:
    """Return a field with the default and the description that a setting has elsewhere; required, if it is so there.

    Args:
        source: The dataclass, pydantic model or function that the setting belongs to.
        name: The setting's name there.
    """
    return Field(default=_default(source, name), description=description_of(source, name))


def description_of(source: Source, name: str) -> str | None:
    """Return what is written about a setting; None where Python has stripped docstrings (`-OO`).

    Args:
        source: As in `setting`.
        name: As in `setting`.
    """
    field = _pydantic_fields(source).get(name)
    return field.description if field else _entries(source).get(name)


def _default(source: Source, name: str) -> Any:
    field = _pydantic_fields(source).get(name)
    if field is not None:
        return field.get_default(call_default_factory=True)
    if dataclasses.is_dataclass(source):
        (found,) = (each for each in dataclasses.fields(source) if each.name == name)
        return found.default
    default = inspect.signature(source).parameters[name].default
    return ... if default is inspect.Parameter.empty else default


def _pydantic_fields(source: Source) -> Mapping[str, FieldInfo]:
    if isinstance(source, type) and issubclass(source, BaseModel):
        return source.model_fields
    return {}


@functools.cache
def _entries(source: Source) -> Mapping[str, str]:
    """Return the entries of the section `Args:` or `Attributes:` of a docstring in Google's form."""
    found = _SECTION.search(f"{inspect.getdoc(source) or ''}\n")
    entries = _ENTRY.findall(found[1]) if found else []
    return {name: " ".join(text.split()) for name, text in entries}


def hours(setting_name: str, number: float) -> dt.timedelta:
    """Return a number of hours as a length of time.

    Args:
        setting_name: Where it was set; the message starts with it.
        number: As YAML gives it.

    Raises:
        ConfigurationError: It is none that a length of time can have.
    """
    try:
        return dt.timedelta(hours=number)
    except (ValueError, OverflowError) as error:
        raise no_hours(setting_name, number) from error


def key_of_name(name: str) -> dg.AssetKey:
    """Return the key that a name stands for.

    Args:
        name: As YAML gives it.

    Raises:
        ConfigurationError: A part of it is empty.
    """
    parts = name.split("/")
    if not all(map(str.strip, parts)):
        raise ConfigurationError(
            f"name must be the asset's name, or several separated by single slashes, not {name!r}."
        )
    return dg.AssetKey(parts)


def no_hours(setting_name: str, number: object) -> ConfigurationError:
    """Return what is raised for a number of hours that cannot work.

    Args:
        setting_name: Where it was set.
        number: As YAML gives it.
    """
    return ConfigurationError(f"{setting_name} must be a number of hours above 0, not {number!r}.")

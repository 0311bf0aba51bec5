"""Settings as pydantic models, whose errors read like the rest of this package's."""

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from roboto_dagster.errors import ConfigurationError

_Settings = TypeVar("_Settings", bound="CheckedSettings")


class CheckedSettings(BaseModel):
    """Base of settings that are checked together when something is defined.

    Nothing is converted: the text `"100"` is not a number, and `48` is not a `timedelta`.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


def checked(model: type[_Settings], **settings: Any) -> _Settings:
    """Return settings that can work.

    Args:
        model: What they are.
        **settings: The values that a user has set.

    Raises:
        ConfigurationError: One or more of them cannot work; the message names each.
    """
    try:
        return model(**settings)
    except ValidationError as error:
        problems = [_problem(each["loc"], each["msg"], each["input"]) for each in error.errors()]
        raise ConfigurationError(f"{'; '.join(problems)}.") from None


def _problem(place: Sequence[int | str], message: str, value: object) -> str:
    name = ".".join(map(str, place))
    if message == "Extra inputs are not permitted":
        return f"{name} is no setting"
    return f"{name} {message.replace('Input should', 'must')}, not {value!r}"

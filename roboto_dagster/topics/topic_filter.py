"""Which topics of a log are decoded, and which fields of them."""

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping, Sequence

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.setting_checks import check_flag

_TOKENS = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^\]]+\]|.", re.DOTALL)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopicFilter:
    """What a decoder is asked for.

    Args:
        topics: Patterns of topics, the last one that matches decides; `!` in front excludes. `*` stands for
            any characters but `/`, `**` for any at all; a pattern without `/` matches a name at any level.
            If all patterns exclude, the rest is included. Default empty: all topics.
        fields: By pattern of topic, the fields to keep, nested ones with dots. Default empty: all fields.
        raw: Whether topics that cannot be decoded are delivered as they are, with the bytes of each message in
            the column `data`, instead of being reported as failures. Default False.
        ros_definitions: By type name, definitions of ROS messages that logs do not carry themselves. Default
            empty.
    """

    topics: Sequence[str] = ()
    fields: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    raw: bool = False
    ros_definitions: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_flag("raw", self.raw)
        if not _is_texts(self.topics):
            raise ConfigurationError(
                f"topics must be a list of patterns such as ['/imu*', '!/camera/**'], not {self.topics!r}."
            )
        if not _is_by_text(self.fields, _is_texts):
            raise ConfigurationError(
                f"fields must map topics to lists of field names, such as {{'/odom': ['pose.pose']}}, not {self.fields!r}."
            )
        if not _is_by_text(self.ros_definitions, lambda given: isinstance(given, str)):
            raise ConfigurationError(
                "ros_definitions must map type names to the texts of their definitions, such as "
                "{'my_msgs/msg/Level': 'float64 level'}, or name a ROS 2 distribution, such as 'humble'."
            )
        for pattern in (*self.topics, *self.fields):
            _expression(pattern.removeprefix("!"))

    def includes(self, topic: str) -> bool:
        """Return whether a topic is to be decoded."""
        included = all(pattern.startswith("!") for pattern in self.topics)
        for pattern in self.topics:
            if pattern_matches(pattern.removeprefix("!"), topic):
                included = not pattern.startswith("!")
        return included

    def fields_of(self, topic: str) -> tuple[str, ...] | None:
        """Return the fields of a topic to keep, nested ones with dots; None keeps all."""
        found = [names for pattern, names in self.fields.items() if pattern_matches(pattern, topic)]
        return tuple(dict.fromkeys(name for names in found for name in names)) if found else None


def _is_texts(given: object) -> bool:
    is_list = isinstance(given, Sequence) and not isinstance(given, str | bytes)
    return is_list and all(isinstance(each, str) for each in given)  # type: ignore[attr-defined]  # it is a list


def _is_by_text(given: object, is_value: Callable[[object], bool]) -> bool:
    is_mapping = isinstance(given, Mapping)
    return is_mapping and all(
        isinstance(name, str) and is_value(value)
        for name, value in given.items()  # type: ignore[attr-defined]  # it is a mapping
    )


def pattern_matches(pattern: str, topic: str) -> bool:
    """Return whether a pattern of topics matches a name.

    Args:
        pattern: Without `!`.
        topic: Verbatim.
    """
    expression = _expression(pattern)
    if "/" in pattern or "**" in pattern:
        return expression.fullmatch(topic) is not None
    return any(expression.fullmatch(name) for name in topic.split("/") if name)


@functools.lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern[str]:
    if not pattern:
        raise ConfigurationError("A topic pattern is empty: name a topic in it, or remove it.")
    try:
        return re.compile("".join(map(_translated, _TOKENS.findall(pattern))), re.DOTALL)
    except re.error as error:
        raise ConfigurationError(
            f"The topic pattern {pattern!r} is not valid: {error}. Correct the pattern."
        ) from None


def _translated(token: str) -> str:
    if token.startswith("["):
        return "[^" + token[2:] if token.startswith("[!") else token
    return {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(token, re.escape(token))

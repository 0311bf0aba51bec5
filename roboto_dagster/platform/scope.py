"""What one sync is about: a dataset, and which of its files."""

import dataclasses
import datetime as dt
import re
from collections.abc import Sequence

import pathspec

from roboto_dagster.errors import ConfigurationError

# Ids go into URLs and folder names, so nothing else than this is let through.
_DATASET_ID = re.compile(r"ds_[A-Za-z0-9_-]+")


def is_dataset_id(text: str) -> bool:
    """Tells whether a text looks like the id of a dataset, such as `ds_0123456789ab`."""
    return _DATASET_ID.fullmatch(text) is not None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The files of one dataset that match patterns.

    Attributes:
        dataset_id: Such as `ds_0123456789ab`.
        include_patterns: Gitignore-style patterns (https://git-scm.com/docs/gitignore); none means
            all files.
        exclude_patterns: The same; they win over the included.
        created_from: Only files that were created then or later.
        created_before: Only files that were created earlier.
    """

    dataset_id: str
    include_patterns: tuple[str, ...] = ()
    exclude_patterns: tuple[str, ...] = ()
    created_from: dt.datetime | None = None
    created_before: dt.datetime | None = None

    def __post_init__(self) -> None:
        if not is_dataset_id(self.dataset_id):
            msg = (
                f"{self.dataset_id!r} is no dataset id; those look like ds_0123456789ab. "
                "A partition key of this asset has to be the id of a dataset."
            )
            raise ConfigurationError(msg)

    def matcher(self) -> "Matcher":
        """Compiles the patterns."""
        return Matcher(self.include_patterns, self.exclude_patterns)

    @property
    def has_window(self) -> bool:
        """Whether it matters when a file was created."""
        return self.created_from is not None or self.created_before is not None

    def holds_time(self, created: dt.datetime) -> bool:
        """Tells whether a file that was created then is wanted."""
        if self.created_from is not None and created < self.created_from:
            return False
        return self.created_before is None or created < self.created_before


class Matcher:
    """Tells whether a path is in a scope; the platform's own matching may be looser than
    gitignore's.
    """

    def __init__(self, include_patterns: Sequence[str], exclude_patterns: Sequence[str]) -> None:
        self._include = _compiled(include_patterns)
        self._exclude = _compiled(exclude_patterns)

    def matches(self, relative_path: str) -> bool:
        """Tells whether a file of this path is wanted."""
        if self._include is not None and not self._include.match_file(relative_path):
            return False
        return self._exclude is None or not self._exclude.match_file(relative_path)


def _compiled(patterns: Sequence[str]) -> pathspec.GitIgnoreSpec | None:
    """Compiles patterns; none at all match nothing and exclude nothing.

    Raises:
        ConfigurationError: One of them is no pattern.
    """
    if isinstance(patterns, str):  # or every character would be a pattern
        raise ConfigurationError(f"Patterns are a list such as [{patterns!r}], not one text.")
    try:
        return pathspec.GitIgnoreSpec.from_lines(patterns) if patterns else None
    except (ValueError, TypeError, re.error) as error:  # re.error: a range such as [z-a]
        raise ConfigurationError(
            f"A pattern is none that Git knows (https://git-scm.com/docs/gitignore): {error}."
        ) from error

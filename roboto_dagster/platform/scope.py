"""What one sync is about: a dataset, and which of its files."""

import dataclasses
import datetime as dt
import re
from collections.abc import Sequence

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.platform.patterns import Patterns

# Ids go into URLs and folder names, so nothing else than this is let through.
_DATASET_ID = re.compile(r"ds_[A-Za-z0-9_-]+")


def is_dataset_id(text: str) -> bool:
    """Return whether a text looks like the id of a dataset, such as `ds_0123456789ab`."""
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
        dataset_name: The dataset's name, if it is known; for messages alone.
    """

    dataset_id: str
    include_patterns: tuple[str, ...] = ()
    exclude_patterns: tuple[str, ...] = ()
    created_from: dt.datetime | None = None
    created_before: dt.datetime | None = None
    dataset_name: str | None = None

    def __post_init__(self) -> None:
        if not is_dataset_id(self.dataset_id):
            msg = (
                f"{self.dataset_id!r} is no dataset id; those look like ds_0123456789ab. "
                "A partition key of this asset has to be the id of a dataset."
            )
            raise ConfigurationError(msg)

    def matcher(self) -> "Matcher":
        """Compile the patterns."""
        return Matcher(self.include_patterns, self.exclude_patterns)

    @property
    def has_patterns(self) -> bool:
        """Whether it matters how a file is named."""
        return bool(self.include_patterns or self.exclude_patterns)

    @property
    def has_window(self) -> bool:
        """Whether it matters when a file was created."""
        return self.created_from is not None or self.created_before is not None

    def holds_time(self, created: dt.datetime) -> bool:
        """Return whether a file that was created then is wanted."""
        if self.created_from is not None and created < self.created_from:
            return False
        return self.created_before is None or created < self.created_before


class Matcher:
    """Finds out whether a path is in a scope; the platform's own matching may be looser than
    gitignore's.

    Args:
        include_patterns: What is wanted; none means everything.
        exclude_patterns: What is not wanted; they win.

    Raises:
        ConfigurationError: One of them is not a pattern.
    """

    def __init__(self, include_patterns: Sequence[str], exclude_patterns: Sequence[str]) -> None:
        self._include = _compiled("include_patterns", include_patterns)
        self._exclude = _compiled("exclude_patterns", exclude_patterns)

    def matches(self, relative_path: str) -> bool:
        """Return whether a file of this path is wanted."""
        if self._include is not None and not self._include.match(relative_path):
            return False
        return self._exclude is None or not self._exclude.match(relative_path)


def covering_patterns(
    patterns: Sequence[tuple[Sequence[str], Sequence[str]]],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return patterns of all files that any of the given ones let through, and of few others.

    Args:
        patterns: Include and exclude patterns of each.

    Returns:
        Include and exclude patterns.
    """
    includes = [include for include, _ in patterns]
    excludes = {tuple(exclude) for _, exclude in patterns}
    # The last pattern that matches a path decides: a negated one of one sync would take files from another.
    include = dict.fromkeys(
        each for include in includes for each in include if not each.lstrip().startswith("!")
    )
    exclude = excludes.pop() if len(excludes) == 1 else ()
    return (tuple(include) if all(includes) else ()), exclude


def _compiled(setting: str, patterns: Sequence[str]) -> Patterns | None:
    """Compile patterns; none at all match nothing and exclude nothing."""
    if isinstance(patterns, str) or not all(isinstance(each, str) for each in patterns):
        raise ConfigurationError(
            f'{setting} must be a list of strings such as ["*.mcap"], not {patterns!r}.'
        )
    if not patterns:
        return None
    try:
        compiled = Patterns(patterns)
    except ValueError as error:
        raise ConfigurationError(
            f"{setting} has a pattern that Git does not know (https://git-scm.com/docs/gitignore): {error}."
        ) from error
    if not compiled:
        raise ConfigurationError(
            f"{setting} holds no pattern, only blank lines, comments or lines that Git ignores: {list(patterns)!r}."
        )
    return compiled

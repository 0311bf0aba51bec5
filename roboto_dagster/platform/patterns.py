"""Gitignore patterns (https://git-scm.com/docs/gitignore) whose cost is bounded, whatever the pattern and the path.

One regular expression for a path, as the library pathspec makes it, backtracks: a usual pattern such as
`*_*_*_*.bag` takes cubic time on a hostile name, and `**` more. Here a path is matched segment by segment: the
positions in the pattern that can be reached are kept as a set, and within a segment each `*` takes the nearest match of
what follows. What matches is what pathspec's `GitIgnoreSpec` matches; a test compares them.
"""

import operator
import re
from collections.abc import Callable, Iterable

_ANY_FOLDERS = "**"
_AS_FOLDER, _AS_FILE = 1, 2
"""How a pattern matches: one of the path's folders, or the path itself, which counts more."""

_SPECIAL = re.compile(r"[*?\[\\]")
_MatchSegment = Callable[[str], object]


class Patterns:
    """A list of patterns, of which the last one that matches best decides.

    Args:
        lines: The patterns; blank lines and comments are none.

    Raises:
        ValueError: A line is no pattern.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        found = (_Pattern.parse(line) for line in lines)
        self._patterns = [pattern for pattern in found if pattern is not None][::-1]

    def __len__(self) -> int:
        """Return how many of the lines are patterns."""
        return len(self._patterns)

    def match(self, path: str) -> bool:
        """Return whether the patterns include a path.

        Args:
            path: Its segments are separated by `/`.
        """
        segments = path.split("/")
        best, includes = 0, False
        for pattern in self._patterns:
            matched = pattern.match(segments)
            if matched > best:
                best, includes = matched, pattern.includes
            if best == _AS_FILE:
                break
        return includes


class _Pattern:
    """One pattern: its segments, `**` among them."""

    def __init__(self, tokens: list[str], *, includes: bool, only_folders: bool) -> None:
        self.includes = includes
        self._last = len(tokens)
        # A `**` at the end takes one segment or more, so it is no segment but a condition on what is left.
        self._needs_more = tokens[-1] == _ANY_FOLDERS
        if self._needs_more:
            self._last -= 1
        self._value = _AS_FOLDER if only_folders else _AS_FILE
        self._least = (
            2 if only_folders and not self._last else 1
        )  # `**/` alone: anything in a folder
        self._tokens: list[_MatchSegment | None] = [
            None if token == _ANY_FOLDERS else _segment_matcher(token)
            for token in tokens[: self._last]
        ]
        is_name = (
            self._last == 2 and self._tokens[0] is None
        )  # most patterns: one name, at any depth
        self._name = self._tokens[1] if is_name else None

    @classmethod
    def parse(cls, line: str) -> "_Pattern | None":
        """Parse a line; None if it is blank, a comment, or one of the forms that Git ignores.

        Raises:
            ValueError: It is no pattern.
        """
        if any("\ud800" <= character <= "\udfff" for character in line):  # cannot be sent
            raise ValueError(f"{line!r} is not valid: it holds a lone surrogate")
        text = line if line.endswith("\\ ") else line.rstrip()
        if not text or text.startswith("#") or text == "/":
            return None
        includes = not text.startswith("!")
        parts = (text if includes else text[1:]).split("/")
        only_folders = not parts[-1]
        try:
            return cls(_tokens(parts), includes=includes, only_folders=only_folders)
        except _OpenBracketError:
            return None
        except (re.error, ValueError) as error:
            raise ValueError(f"{line!r} is not valid: {error}") from error

    def match(self, segments: list[str]) -> int:
        """Return how the pattern matches a path: not at all (0), one of its folders, or itself."""
        if self._name is not None:
            return self._match_name(self._name, segments)
        reached = self._closure({0})
        best, length = self._result(reached, 0, len(segments)), len(segments)
        for index, segment in enumerate(segments, 1):
            reached = self._closure(self._step(reached, segment))
            if not reached:
                break
            best = max(best, self._result(reached, index, length))
        return best

    def _match_name(self, matches: _MatchSegment, segments: list[str]) -> int:
        if not self._needs_more and matches(segments[-1]):
            return _AS_FILE
        is_in_folder = len(segments) > 1 and any(map(matches, segments[:-1]))
        if not is_in_folder:
            return 0
        return self._value if self._needs_more else _AS_FOLDER

    def _step(self, reached: set[int], segment: str) -> set[int]:
        after = set()
        for position in reached:
            if position == self._last:
                continue
            matches = self._tokens[position]
            if matches is None:
                after.add(position)
            elif matches(segment):
                after.add(position + 1)
        return after

    def _closure(self, reached: set[int]) -> set[int]:
        """Add what is reached without a segment: a `**` may match no folder."""
        for position in sorted(reached):
            at = position
            while at < self._last and self._tokens[at] is None:
                at += 1
                reached.add(at)
        return reached

    def _result(self, reached: set[int], index: int, length: int) -> int:
        if self._last not in reached:
            return 0
        if self._needs_more:
            return self._value if index < length >= self._least else 0
        if index == 0:
            return 0
        return _AS_FILE if index == length else _AS_FOLDER


class _OpenBracketError(ValueError):
    """A bracket is not closed: Git ignores such a pattern."""


def _tokens(parts: list[str]) -> list[str]:
    """Normalize the segments of a pattern.

    Raises:
        ValueError: Nothing is left.
    """
    if not parts[0]:  # a slash at the beginning: relative to the root
        parts = parts[1:]
    elif len(parts) == 1 or (len(parts) == 2 and not parts[1]):  # one name: at any depth
        parts = [_ANY_FOLDERS, *parts]
    if not parts:
        raise ValueError("nothing is left of it")
    if not parts[-1]:  # a slash at the end: what is in that folder
        parts = [*parts[:-1], _ANY_FOLDERS]
    return [
        part
        for index, part in enumerate(parts)
        if part != _ANY_FOLDERS or index == 0 or parts[index - 1] != _ANY_FOLDERS
    ]


def _segment_matcher(glob: str) -> _MatchSegment:
    """Translate one segment: `*`, `?`, brackets and escapes.

    Each `*` takes the nearest match of the characters up to the next one, and does not give it back: a lookahead with a
    back reference, since atomic groups came with Python 3.11.
    """
    if glob == "*":
        return bool
    if not _SPECIAL.search(glob):
        return glob.__eq__
    if glob[0] == "*" and not _SPECIAL.search(glob, 1):
        return operator.methodcaller("endswith", glob[1:])
    first, *others = _pieces(glob)
    middle = "".join(f"(?=(.*?{piece}))\\{number}" for number, piece in enumerate(others[:-1], 1))
    last = f".*{others[-1]}" if others else ""
    return re.compile(f"{first}{middle}{last}", re.DOTALL).fullmatch


def _pieces(glob: str) -> list[str]:
    """Return the regular expressions of what is between the `*` of a segment; each matches a fixed number of characters.

    Raises:
        ValueError: A backslash escapes nothing.
    """
    pieces, index = [""], 0
    while index < len(glob):
        char, index = glob[index], index + 1
        if char == "*":
            pieces.append("")
        elif char == "?":
            pieces[-1] += "."
        elif char == "[":
            expression, index = _bracket(glob, index)
            pieces[-1] += expression
        elif char == "\\":
            if index == len(glob):
                raise ValueError("a backslash at the end escapes nothing")
            pieces[-1] += re.escape(glob[index])
            index += 1
        else:
            pieces[-1] += re.escape(char)
    return [pieces[0], *filter(None, pieces[1:-1]), *pieces[1:][-1:]]


def _bracket(glob: str, start: int) -> tuple[str, int]:
    """Return the regular expression of a bracket expression whose bracket is before `start`, and where it ends."""
    end = start
    if glob[end : end + 1] in ("!", "^"):
        end += 1
    if glob[end : end + 1] == "]":  # the first one is a character
        end += 1
    end = glob.find("]", end)
    if end < 0:
        raise _OpenBracketError
    content = glob[start:end]
    negation = "^" if content[:1] in ("!", "^") else ""
    content = content[len(negation) :].replace("\\", "\\\\").replace("[", "\\[")
    return f"[{negation}{content}]", end + 1

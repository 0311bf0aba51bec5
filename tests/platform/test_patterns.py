"""Gitignore patterns: they match what pathspec matches, and no pattern and no path make them slow."""

import random
import time

import pathspec
import pytest

from roboto_dagster.platform.patterns import Patterns

_PARTS = [
    *("**", "*", "a", "b", "ab", "*a", "a*", "*a*b", "?", "a?", "[ab]", "[!a]", "[^a]b"),
    *("a[a-c]*", "[]a]", "[a", "\\*", "a\\b", "*.b", "a**b", "**a", "***"),
]


def random_pattern(dice: random.Random) -> str:
    """Draw a pattern of few characters, so that many match."""
    pattern = "/".join(dice.choices(_PARTS, k=dice.choice([1, 1, 1, 2, 3, 4])))
    for text, share in (("/", 0.2), ("!", 0.2), ("#", 0.03)):
        pattern = f"{text}{pattern}" if dice.random() < share else pattern
    return f"{pattern}/" if dice.random() < 0.2 else pattern


def random_path(dice: random.Random) -> str:
    """Draw a path of few characters."""
    names = ("".join(dice.choices("ab*c]", k=dice.choice([1, 1, 2, 3]))) for _ in range(4))
    return "/".join(list(names)[: dice.choice([1, 2, 3, 4])])


@pytest.mark.parametrize("seed", range(20))
def test_they_match_what_pathspec_matches(seed: int) -> None:
    """The library has no bound on its time, and is the reference for everything else."""
    dice = random.Random(seed)  # noqa: S311 - dice, not a secret
    for _ in range(150):
        lines = [random_pattern(dice) for _ in range(dice.choice([1, 1, 2, 3]))]
        paths = [random_path(dice) for _ in range(5)]
        reference = pathspec.GitIgnoreSpec.from_lines(lines)
        ours = Patterns(lines)
        expected = [bool(reference.match_file(path)) for path in paths]
        assert [ours.match(path) for path in paths] == expected, (lines, paths)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        pytest.param("*_*_*_*.bag", "_" * 250, id="stars"),
        pytest.param("*_" * 60 + ".bag", "_" * 250, id="many-stars"),
        pytest.param("**/*_*_*/*.mcap", "_" * 250, id="stars-in-a-folder"),
        pytest.param("*a*b*c*.bag", "abc" * 80, id="stars-and-letters"),
        pytest.param("**/a/**/b/**/c/*.bag", "a/b/" * 1000 + "x", id="double-stars"),
        pytest.param("**/a/" * 30 + "c", "a/" * 2000 + "b", id="many-double-stars"),
        pytest.param("*" * 200 + "x", "a" * 250, id="only-stars"),
        pytest.param("[a-z]*" * 40 + "0", "a" * 250, id="brackets"),
    ],
)
def test_no_pattern_is_slow(pattern: str, path: str) -> None:
    """A dataset's names are not ours to choose, and one must not hold up a run."""
    patterns = Patterns([pattern])
    started = time.process_time()
    patterns.match(path)
    assert time.process_time() - started < 0.3


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("a?c", "a/c", False),
        ("a[!b]c", "a/c", False),
        ("a*c", "ab/c", False),
        ("*.mcap", "x.MCAP", False),
        ("a\nb", "a\nb", True),
        ("日本*", "logs/日本語", True),
        ("\\#a", "#a", True),
        ("\\!a", "!a", True),
        ("a\\ ", "a ", True),
        ("a  ", "a", True),
        ("[[]a", "[a", True),
        ("[\\]]a", "\\]a", True),
    ],
    ids=ascii,
)
def test_single_patterns(pattern: str, path: str, *, expected: bool) -> None:
    """No wildcard matches a slash, whatever a regular expression would do; case and escapes count."""
    assert Patterns([pattern]).match(path) is expected


@pytest.mark.parametrize("pattern", ["!", "[z-a]", "a\\", "x/[b-a]*", "a\udcff"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    """It never matches nothing in silence, and never fails later with a bare error of the library."""
    with pytest.raises(ValueError, match="not valid"):
        Patterns(["*.mcap", pattern])

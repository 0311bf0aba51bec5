"""What a scope may be, and which paths are in it."""

import pytest

from roboto_dagster import ConfigurationError
from roboto_dagster.platform.scope import Matcher, Scope, covering_patterns


@pytest.mark.parametrize(
    "dataset_id",
    ["", "ds_", "fl_1", "flight 1", "ds_1/../..", "ds_1\n", "DS_1", "ds_1?x=1", "2026-01-02"],
)
def test_what_is_no_dataset_id_is_refused(dataset_id: str) -> None:
    """An id goes into URLs and folder names: what is none is named, with how one looks."""
    with pytest.raises(ConfigurationError) as caught:
        Scope(dataset_id=dataset_id)
    assert str(caught.value).startswith(f"{dataset_id!r} is no dataset id; those look like ds_")


@pytest.mark.parametrize("dataset_id", ["ds_0123456789ab", "ds_local-1", "ds_A_b"])
def test_dataset_ids_are_taken(dataset_id: str) -> None:
    """Letters, digits, dashes and underscores make an id."""
    assert Scope(dataset_id=dataset_id).dataset_id == dataset_id


@pytest.mark.parametrize("patterns", [("!",), ("*.mcap", "!")], ids=["alone", "among-others"])
def test_a_pattern_that_git_does_not_know_is_refused(patterns: tuple[str, ...]) -> None:
    """A bad pattern is named where it is set; it never matches nothing in silence."""
    with pytest.raises(
        ConfigurationError, match=r"include_patterns has a pattern .*'!' is not valid"
    ):
        Scope(dataset_id="ds_1", include_patterns=patterns).matcher()


def test_patterns_are_a_list() -> None:
    """One text instead of a list would make every character a pattern."""
    with pytest.raises(
        ConfigurationError, match=r'must be a list of strings such as \["\*\.mcap"\]'
    ):
        Matcher("*.mcap", ())


@pytest.mark.parametrize(
    ("include", "exclude", "path", "expected"),
    [
        pytest.param([], [], "a/b.mcap", True, id="no-patterns"),
        pytest.param(["*.mcap"], [], "a/b.mcap", True, id="by-name-at-any-depth"),
        pytest.param(["*.mcap"], [], "a/b.bag", False, id="not-included"),
        pytest.param(["/a/"], [], "a/deep/b.bag", True, id="a-folder"),
        pytest.param(["a_b"], [], "axb", False, id="an-underscore-is-itself"),
        pytest.param(["a?b"], [], "axb", True, id="a-question-mark-is-one-character"),
        pytest.param(["*.mcap", "!c.mcap"], [], "c.mcap", False, id="negated"),
        pytest.param([], ["*.bag"], "a/b.bag", False, id="excluded"),
        pytest.param(["*.bag"], ["a/"], "a/b.bag", False, id="excluded-wins"),
        pytest.param([], ["**/tmp/**"], "a/tmp/b", False, id="double-star"),
    ],
)
def test_patterns_are_gitignores(
    include: list[str], exclude: list[str], path: str, *, expected: bool
) -> None:
    """Patterns mean here what they mean to Git."""
    assert Matcher(include, exclude).matches(path) is expected


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([(["*.a"], []), (["*.b", "*.a"], [])], (("*.a", "*.b"), ())),
        ([(["*.a"], []), ([], [])], ((), ())),
        ([(["*.a", "!x.a"], []), (["x.a"], [])], (("*.a", "x.a"), ())),
        ([(["*"], ["*.a"]), (["*.b"], ["*.a"])], (("*", "*.b"), ("*.a",))),
        ([(["*"], ["*.a"]), (["*"], [])], (("*",), ())),
    ],
    ids=["joined", "one takes all", "negated", "same excluded", "excluded by one"],
)
def test_patterns_that_cover_several(
    patterns: list[tuple[list[str], list[str]]],
    expected: tuple[tuple[str, ...], tuple[str, ...]],
) -> None:
    """They let through whatever one of them does."""
    assert covering_patterns(patterns) == expected

"""The README's blocks run as they stand, one after the other, as a reader would run them."""

import pathlib
import re
from typing import Any

import pytest

README = pathlib.Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
MAX_LINES = 120


def test_the_readme_is_short() -> None:
    """The README fits on two screens."""
    assert len(TEXT.splitlines()) <= MAX_LINES


def test_each_block_runs_in_an_empty_folder(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The asset and its test run in a row; the test writes nothing into the asset's folder."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv(
        "ROBOTO_DAGSTER_DESTINATION_ROOT", ""
    )  # the block sets it; undone afterwards
    names: dict[str, Any] = {"__name__": "pipeline"}
    for block in BLOCKS:
        exec(compile(block, str(README), "exec"), names)  # noqa: S102 -- our own text
    assert len(BLOCKS) == 2
    assert list(pathlib.Path().iterdir()) == []
    delivered = [path for path in (tmp_path / "tmp").rglob("a.mcap") if "data" in path.parts]
    assert [path.read_bytes() for path in delivered] == [b"..."]


def test_the_readme_names_what_a_reader_needs() -> None:
    """The clone, the extra for tests, and what `make test` takes are named before they are used."""
    for words in ("In a clone of this repository", '".[local]"', "sample robot logs", "minutes"):
        assert words in TEXT


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https?:)([^)]+)\)", TEXT))))
def test_each_relative_link_leads_somewhere(link: str) -> None:
    """A file that the README links to is there."""
    assert (README.parent / link).exists()

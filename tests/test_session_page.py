"""The example in docs/session.md works as it stands."""

import pathlib
import re

import pytest

PAGE = (pathlib.Path(__file__).parents[1] / "docs" / "session.md").read_text(encoding="utf-8")


def test_the_session_runs_in_an_empty_folder(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It delivers the file that it names, and nothing else."""
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(program, "docs/session.md", "exec"), {"__name__": "page"})  # noqa: S102 -- our own page
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["b.mcap"]
    assert (tmp_path / "out" / "b.mcap").read_bytes() == b"..."

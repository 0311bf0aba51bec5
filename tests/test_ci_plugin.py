"""The rule that a skipped test fails in CI."""

import pathlib

import pytest

from tests.pytest_runs import run_pytest


@pytest.mark.parametrize("ci", [False, True], ids=["here", "in CI"])
def test_skipped_test_fails_in_ci(tmp_path: pathlib.Path, *, ci: bool) -> None:
    """A test or a file that CI cannot run is a failure there, and only there."""
    texts = {
        "test_skip": "def test(): pytest.skip('no browser')",
        "test_file": "pytest.importorskip('no_such_package')",
        "test_other": "def test(): pass",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(f"import pytest\n{text}\n")
    passed, output = run_pytest(tmp_path, "tests.ci_plugin", ci=ci)
    assert passed != ci, output
    assert output.count("(CI is set, so a skipped test is a failure)") == (2 if ci else 0)

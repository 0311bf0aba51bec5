"""`.ci/run`, with stand-ins for make and for the programs that it would install."""

import os
import pathlib
import shutil
import subprocess

import pytest

from tests.waiting import GUARD_SECONDS

ROOT = pathlib.Path(__file__).parents[1]
PROGRAMS = ("chromium", "nginx", "redis-server", "apt-get")
OUTPUTS = {
    "test": """\
[gw3] node down: Not properly terminated
worker 'gw3' crashed while running 'tests/test_c.py::test_crash'
gw1 took more than 1024 MiB: a failure in CI
ERROR    dagster:log.py:1 what a test has logged
FAILED tests/test_a.py::test_one - AssertionError: assert 1 == 2
ERROR tests/test_b.py - ImportError: no module
====== 1 failed, 1 error in 3.00s ======
""",
    "types": "roboto_dagster/uri.py:3: error: Name is not defined\n",
    "demo": "Traceback:\nValueError: what went wrong\n",
}

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")


def run(folder: pathlib.Path, *failing: str) -> tuple[int, str]:
    """Run it in a repository of its own, where some targets fail; return its exit code and what it printed."""
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", folder / ".ci")
    outputs = folder / ".git" / "outputs"  # where Git does not look
    subprocess.run(["git", "init", "-q", folder], check=True)
    (folder / ".git" / "info").mkdir(exist_ok=True)
    (folder / ".git" / "info" / "exclude").write_text("*\n")
    outputs.mkdir()
    for name in failing:
        (outputs / name).write_text(OUTPUTS[name])
    make = f'#!/bin/sh\n[ -e "{outputs}/$1" ] || exit 0\ncat "{outputs}/$1"\nexit 2\n'
    for name, script in {"make": make, **dict.fromkeys(PROGRAMS, "#!/bin/sh\n")}.items():
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(script)
        program.chmod(0o755)
    done = subprocess.run(
        ["bash", folder / ".ci" / "run"],
        env={**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=GUARD_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout


def test_the_end_has_every_reason_again(tmp_path: pathlib.Path) -> None:
    """Failed tests, crashed workers, memory, types; of what has no such lines the last ones."""
    code, output = run(tmp_path, "test", "types", "demo")
    assert code == 1
    end = output.partition("== why make test failed\n")[2]
    for line in OUTPUTS["test"].splitlines()[:3] + OUTPUTS["test"].splitlines()[4:6]:
        assert f"   {line}\n" in end
    assert "what a test has logged" not in end
    assert "   roboto_dagster/uri.py:3: error: Name is not defined\n" in end
    assert "   ValueError: what went wrong\n" in end
    last = output.splitlines()[-1]
    assert last.startswith("== failed in ")
    assert "[make test]" in last
    assert "[make types] [make demo]" in last


def test_what_passes_is_said_in_one_line(tmp_path: pathlib.Path) -> None:
    """No reason is given where nothing has failed."""
    code, output = run(tmp_path)
    assert (code, "why" in output) == (0, False), output
    assert output.splitlines()[-1].startswith("== passed in ")

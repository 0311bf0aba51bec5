"""`python -m roboto_dagster.testing`."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from roboto import Dataset
from roboto.http import BearerTokenDecorator, RobotoClient

from roboto_dagster.testing.__main__ import main


def test_serves_a_folder_until_interrupted(tmp_path: Path) -> None:
    """It prints how to reach it and what there is, serves it, and ends at Ctrl-C."""
    (tmp_path / "flight").mkdir()
    (tmp_path / "flight/a.log").write_text("hello")
    command = [sys.executable, "-m", "roboto_dagster.testing", str(tmp_path), "--api-key", "key"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while "Ctrl-C" not in "".join(lines):
            lines.append(process.stdout.readline())
        exported = dict(re.findall(r"export (\w+)=(\S+)", "".join(lines)))
        dataset_id = re.findall(r"# (ds_\w+)  flight", "".join(lines))[0]
        decorator = BearerTokenDecorator(exported["ROBOTO_API_KEY"])
        client = RobotoClient(exported["ROBOTO_SERVICE_ENDPOINT"], decorator)
        files = [file.relative_path for file in Dataset.from_id(dataset_id, client).list_files()]
        process.send_signal(signal.SIGINT)
    assert (files, process.returncode) == (["a.log"], 0)


def test_folder_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong folder is one line on standard error."""
    assert main(["/nowhere/at/all"]) == 1
    assert "/nowhere/at/all is not a folder" in capsys.readouterr().err

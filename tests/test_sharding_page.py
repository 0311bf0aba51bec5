"""The examples in docs/sharding.md: what can run here runs, the others are valid Python."""

import ast
import pathlib
import re
from typing import Any

import dagster as dg
import pytest

PAGE = (pathlib.Path(__file__).parents[1] / "docs" / "sharding.md").read_text(encoding="utf-8")
FIRST, PROCESSES, CELERY, *OTHERS = re.findall(
    r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL
)


def run(program: str, **names: Any) -> dict[str, Any]:
    """Run one example, and return its names."""
    exec(compile(program, "docs/sharding.md", "exec"), names)  # noqa: S102 -- our own page
    return names


def test_the_first_example_loads() -> None:
    """Asset and job."""
    names = run(FIRST)
    definitions = dg.Definitions(
        assets=[names["logs"]],
        jobs=[names["job"]],
        resources=dict.fromkeys(("roboto", "object_store"), dg.ResourceDefinition.none_resource()),
    )
    assert definitions.resolve_job_def("robot_logs_job").executor_def is dg.multiprocess_executor


def test_the_example_of_processes_loads() -> None:
    """Its settings are those that the executor has."""
    job = run(f"{FIRST}\n{PROCESSES}\njob = build_roboto_dataset_job(logs, executor_def=executor)")[
        "job"
    ]
    assert job.executor_def.name == "multiprocess"


def test_the_example_of_celery_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the broker of the environment."""
    monkeypatch.setenv("BROKER_URL", "redis://127.0.0.1:1/0")
    assert run(CELERY, **run(FIRST))["job"].executor_def.name == "celery"


@pytest.mark.parametrize("program", OTHERS)
def test_the_others_are_valid(program: str) -> None:
    """Their executors are not installed here."""
    assert ast.parse(program).body

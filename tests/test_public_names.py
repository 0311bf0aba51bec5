"""What users may import."""

import ast
import importlib
import inspect
import pathlib
import pickle
import subprocess
import sys

import pytest

import roboto_dagster
from roboto_dagster import testing
from tests.source_trees import source_tree
from tests.waiting import GUARD_SECONDS

# architecture.md, section 4.
DOCUMENTED = {
    "AwsCredentialsResource",
    "CredentialProvider",
    "CredentialProviderResource",
    "Credentials",
    "DownloadSession",
    "DownloadableFile",
    "FutureLike",
    "ObjectStore",
    "ObjectStoreResource",
    "OnProgress",
    "RetryConfig",
    "RobotoCredentialsResource",
    "RobotoDatasetComponent",
    "RobotoFilesIOManager",
    "RobotoResource",
    "StoreRegistry",
    "build_roboto_dataset_asset",
    "build_roboto_dataset_checks",
    "build_roboto_dataset_sensor",
    "build_roboto_sync_schedule",
}


@pytest.mark.parametrize("module", [roboto_dagster, testing], ids=lambda module: module.__name__)
def test_all_is_sorted_and_importable(module: object) -> None:
    """`__all__` is in order, without doubles, and every name of it is there."""
    names = list(getattr(module, "__all__"))  # noqa: B009 -- of any module
    assert names == sorted(set(names))
    assert [name for name in names if not hasattr(module, name)] == []


def test_the_names_for_type_checkers_are_those_at_run_time() -> None:
    """What the package imports for type checkers is what it resolves on first use, and declares."""
    source = source_tree(pathlib.Path(roboto_dagster.__file__))
    seen_by_checkers = {
        alias.name: str(node.module).removeprefix("roboto_dagster.")
        for block in source.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen_by_checkers == roboto_dagster._MODULE_OF  # noqa: SLF001 -- the table is tested
    assert {*seen_by_checkers, "__version__"} == set(roboto_dagster.__all__)


def test_documented_names_are_there() -> None:
    """The names that were promised are public."""
    assert DOCUMENTED - set(roboto_dagster.__all__) == set()


def test_session_module_has_the_file_type_and_the_logger() -> None:
    """`roboto_dagster.fs.download_session` has what the SDK's module of that name has."""
    module = importlib.import_module("roboto_dagster.fs.download_session")
    assert module.DownloadSession is roboto_dagster.DownloadSession
    assert module.DownloadableFile is roboto_dagster.DownloadableFile
    assert module.logger.name == "roboto_dagster.fs.download_session"


def in_a_fresh_process(program: str, *options: str) -> str:
    """Run a program in an interpreter that has imported nothing yet; return what it prints."""
    result = subprocess.run(
        [sys.executable, *options, "-c", program],
        capture_output=True,
        text=True,
        timeout=GUARD_SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["RobotoResource", "failures_of_run", "build_roboto_sync_schedule"]
)
def test_the_library_is_registered_with_dagster(name: str) -> None:
    """Dagster knows the library and its version, whatever a code location imports of it."""
    program = f"""
from roboto_dagster import {name}
from dagster_shared.libraries import DagsterLibraryRegistry
print(DagsterLibraryRegistry.get()["roboto-dagster"])
"""
    assert in_a_fresh_process(program).strip() == roboto_dagster.__version__


def test_a_wrong_name_is_refused() -> None:
    """A name that does not exist is an `AttributeError`, and an `ImportError` where it is imported."""
    with pytest.raises(AttributeError, match="has no attribute 'DownloadSesion'"):
        roboto_dagster.DownloadSesion  # type: ignore[attr-defined]  # noqa: B018 -- misspelt
    with pytest.raises(ImportError, match="cannot import name 'DownloadSesion'"):
        exec("from roboto_dagster import DownloadSesion", {})  # noqa: S102 -- as a user writes it
    assert not hasattr(roboto_dagster, "__wrapped__")


@pytest.mark.slow
def test_every_name_is_listed_before_it_is_used() -> None:
    """`dir()` shows all public names, from which `dg` and completion take them."""
    program = "import roboto_dagster; print(*dir(roboto_dagster))"
    assert set(roboto_dagster.__all__) <= set(in_a_fresh_process(program).split())


@pytest.mark.slow
def test_a_star_imports_all() -> None:
    """`from roboto_dagster import *` binds every public name, without a warning."""
    program = "from roboto_dagster import *; print(*dir())"
    quiet = ("-W", "error", "-W", "ignore::DeprecationWarning:roboto")
    names = in_a_fresh_process(program, *quiet).split()
    assert set(roboto_dagster.__all__) <= set(names)


@pytest.mark.slow
def test_a_submodule_is_an_attribute() -> None:
    """`import roboto_dagster` alone is enough for `roboto_dagster.errors.DownloadError`."""
    program = "import roboto_dagster; print(roboto_dagster.errors.DownloadError.__module__)"
    assert in_a_fresh_process(program).strip() == "roboto_dagster.errors"


@pytest.mark.slow
def test_threads_may_race_for_the_first_use() -> None:
    """Threads that use names for the first time at once get the same classes, and none waits for ever."""
    program = """
import concurrent.futures, threading, roboto_dagster
names = roboto_dagster.__all__ * 4
together = threading.Barrier(16)
def use(offset):
    together.wait()
    return {n: id(getattr(roboto_dagster, n)) for n in names[offset:] + names[:offset]}
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    print(all(found == use for found, use in zip(*[iter(pool.map(use, range(16)))] * 2)))
"""
    assert in_a_fresh_process(program).strip() == "True"


@pytest.mark.parametrize("name", sorted(set(roboto_dagster.__all__) - {"__version__"}))
def test_classes_and_functions_know_where_they_are_defined(name: str) -> None:
    """Pickle, `inspect` and `help` find each public class and function."""
    value = getattr(roboto_dagster, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert pickle.loads(pickle.dumps(value)) is value  # noqa: S301 -- our own
        assert inspect.getsource(value)


@pytest.mark.slow
def test_help_shows_the_public_names() -> None:
    """`help(roboto_dagster)` describes what has not been used before, too."""
    program = "import pydoc, roboto_dagster; print(pydoc.render_doc(roboto_dagster, renderer=pydoc.plaintext))"
    text = in_a_fresh_process(program)
    assert "class DownloadSession" in text
    assert "build_roboto_dataset_asset(" in text

"""What a user gets who installs the package, and what a contributor gets who clones the project."""

import ast
import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import zipfile

import pytest
import yaml

import roboto_dagster
from tests.source_trees import source_tree
from tests.waiting import GUARD_SECONDS

ROOT = pathlib.Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
HEAVY_IMPORTS = {
    *("awscrt", "boto3", "botocore", "moto", "pyarrow", "pycurl", "roboto", "s3transfer"),
    *("mcap", "mcap_codec", "mcap_protobuf", "rosbags", "pyulog"),
}
TARGETS = {
    *("bench", "clean", "demo", "help", "images", "lint", "lock", "types", "ui"),
    *("test", "test-bounds", "test-fast", "test-programs"),
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("packaging"),  # wheel and sdist are built once
]

TOPICS = {"topics", "topics-ros", "topics-px4"}
# What a declared dependency is made of, or in step with: import name of the part, and of the complete one.
PARTS = {
    "awscrt": "boto3",
    "botocore": "boto3",
    "dagster_shared": "dagster",
    "google": "protobuf",
    "lz4": "mcap",
    "mcap_codec": "roboto_mcap_codec",
    "mcap_protobuf": "mcap_protobuf_support",
    "numpy": "pyulog",
    "s3transfer": "boto3",
    "werkzeug": "flask",
    "zstandard": "mcap",
}


def run(*command: str | pathlib.Path, **environment: str) -> str:
    """Run *command* in the project's folder and return its words; if it fails, the test does."""
    result = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GUARD_SECONDS,
        check=False,
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """The wheel of the working tree, built without network."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    (path,) = folder.glob("*.whl")
    return zipfile.Path(path)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The sdist of the working tree: the content of its files by their paths."""
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder)
    (path,) = folder.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        return {
            member.name.partition("/")[2]: content.read()
            for member in archive
            if (content := archive.extractfile(member)) is not None
        }


def imported_by(folder: pathlib.Path) -> set[str]:
    """The packages that the modules in *folder* import at run time, anywhere in their text."""
    names: set[str] = set()
    nodes: list[ast.AST] = [source_tree(path) for path in folder.rglob("*.py")]
    while nodes:
        match nodes.pop():
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=otherwise):
                nodes += otherwise
            case ast.Import(names=aliases):
                names |= {alias.name for alias in aliases}
            case ast.ImportFrom(module=str(module), level=0):
                names.add(module)
            case node:
                nodes += ast.iter_child_nodes(node)
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"roboto_dagster"}


def test_version_is_the_distributions() -> None:
    """`roboto_dagster.__version__` is the version that pip shows."""
    assert importlib.metadata.version("roboto-dagster") == roboto_dagster.__version__


def test_wheel_ships_type_information(wheel: zipfile.Path) -> None:
    """Users' type checkers see the annotations."""
    assert (wheel / "roboto_dagster" / "py.typed").exists()


def test_wheel_holds_the_package_alone(wheel: zipfile.Path) -> None:
    """Tests, examples and benchmarks do not land in a user's environment."""
    names = {entry.name for entry in wheel.iterdir()}
    assert names == {"roboto_dagster", f"roboto_dagster-{roboto_dagster.__version__}.dist-info"}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="an unpacked sdist knows no Git")
def test_sdist_holds_the_repository(sdist: dict[str, bytes]) -> None:
    """The tests of an unpacked sdist find every document, lock and benchmark that they read."""
    tracked = set(run("git", "ls-files").splitlines())
    assert {name for name in tracked if (ROOT / name).exists()} - sdist.keys() == set()


def test_the_page_on_the_index_has_no_broken_link(sdist: dict[str, bytes]) -> None:
    """Relative links and pictures lead nowhere on a package index: their text stays."""
    page = sdist["PKG-INFO"].decode()
    assert "`docs/dagster.md`: partitions" in page
    assert "![" not in page
    links = re.findall(r"\]\(([^)]*)\)", page)
    assert links
    assert [link for link in links if not link.startswith("https://")] == []


def test_the_metadata_is_complete(sdist: dict[str, bytes]) -> None:
    """An author, links and a licence stand on the package's page."""
    page = sdist["PKG-INFO"].decode()
    for field in ("Author: ", "Project-URL: ", "License-Expression: Apache-2.0", "Summary: "):
        assert f"\n{field}" in page


def test_components_are_registered_with_dg() -> None:
    """`dg list components` finds the package by its entry point."""
    entry_points = importlib.metadata.entry_points(group="dagster_dg_cli.registry_modules")
    assert entry_points["roboto_dagster"].load() is roboto_dagster


def declared(extras: set[str]) -> set[str]:
    """The import names of the dependencies that everybody gets, and of those of *extras*."""
    names = set()
    for requirement in importlib.metadata.requires("roboto-dagster") or []:
        _, _, needed_by = requirement.partition("extra == ")
        if not needed_by or needed_by.strip("'\"") in extras:
            names.add(re.split(r"[^\w.-]", requirement)[0].replace("-", "_").lower())
    return names


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("", {"local", *TOPICS}),
        ("fs", set()),
        ("sync", set()),
        ("testing", {"local"}),
        ("topics", TOPICS),
        ("topics/mcap", {"topics"}),
        ("topics/ros", {"topics", "topics-ros"}),
        ("topics/ulog", {"topics", "topics-px4"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_import_is_a_declared_dependency(folder: str, extras: set[str]) -> None:
    """Nothing works only because some dependency happens to install something."""
    imports = imported_by(ROOT / "roboto_dagster" / folder)
    assert {PARTS.get(name, name) for name in imports} - declared(extras) == set()


def test_import_is_light() -> None:
    """A code location that imports the package pays for dagster, not for the SDK or an engine."""
    program = (
        "import dagster, sys; before = set(sys.modules); import roboto_dagster;"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    assert set(run(sys.executable, "-c", program).split()) & HEAVY_IMPORTS == set()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_lock_names_no_host_and_hashes_all(lock: pathlib.Path) -> None:
    """Each lock installs from whatever registry or mirror a user has, and only what was meant."""
    text = lock.read_text(encoding="utf-8")
    requirements = re.findall(r"^[^\s#].*?(?:\\\n.*?)*$", text, flags=re.MULTILINE)
    assert requirements
    assert [r for r in requirements if not re.match(r"[\w.-]+==[\w.]+ ", r)] == []
    assert [r for r in requirements if "--hash=sha256:" not in r] == []
    assert re.findall(r"://|index-url|find-links", text) == []


def test_locks_agree() -> None:
    """One version of each package, so that one environment does for demo, tests and benchmarks."""
    pins = {
        lock.stem: set(re.findall(r"^\S+==\S+", lock.read_text(encoding="utf-8"), re.MULTILINE))
        for lock in LOCKS
    }
    assert pins.keys() == {"bench", "demo", "dev", "uv"}
    assert pins["demo"] < pins["dev"] < pins["bench"]


def test_workspace_loads_each_location_it_lists(tmp_path: pathlib.Path) -> None:
    """`workspace.yaml` works as it is, and nothing in pyproject.toml overrides it."""
    listed = yaml.safe_load((ROOT / "workspace.yaml").read_text(encoding="utf-8"))["load_from"]
    names = [entry["python_file"]["location_name"] for entry in listed]
    # The command exits 0 when it loads nothing, so its words count. Without -w, it looks for the
    # file as `dagster dev` does, and would take pyproject.toml first.
    output = run(
        sys.executable,
        *("-m", "dagster", "definitions", "validate", "--log-format", "json"),
        DAGSTER_HOME=str(tmp_path),
    )
    assert re.findall(r"Validation successful for code location ([\w-]+)", output) == names
    assert len(names) >= 1


def test_make_help_lists_each_target() -> None:
    """`make` alone lists the targets."""
    output = run("make", "--no-print-directory", MAKEFLAGS="")
    assert set(re.findall(r"^  ([\w-]+) +\S", output, flags=re.MULTILINE)) == TARGETS

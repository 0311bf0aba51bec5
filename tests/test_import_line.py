"""Which part of the package may import which: read from the source, not run.

Imports under `TYPE_CHECKING` and deferred ones count. A module belongs to the longest of the names
below that fits; what is left is the surface, where Dagster is met.

```
errors, types, uri … ◄── disk
                     ◄── platform ◄── fs ◄── fs/core ◄── fs/engine ◄┬─ fs/curl ─┐ (fallback)
                                                                    └─ fs/boto ◄┘
                                      ◄────── sync ◄── surface ◄── component ◄── the package itself
                                                         └── sensor
surface: assets, jobs, sensors, schedules, io_managers, resources …, and their rooms step, checks, inputs, run_requests
```
"""

import ast
import functools
import pathlib
from collections.abc import Iterator

import pytest

import roboto_dagster
from tests.source_trees import source_tree

pytestmark = pytest.mark.slow

PACKAGE = pathlib.Path(roboto_dagster.__file__).parent

LEAVES = {"errors", "types", "uri", "text", "redaction", "setting_checks", "throttling", "version"}
STORES = {"fs.s3_store"}
ENGINE = {"fs", "fs.core"} | STORES
SURFACE = {"surface", "sync", "topics", "platform", "disk"} | ENGINE | LEAVES
SERVER = {"testing.server"}
ALLOWED: dict[str, set[str]] = {
    "text": set(),
    "types": set(),
    "version": set(),
    "redaction": set(),
    "errors": {"text", "types", "redaction"},
    "uri": {"errors"},
    "setting_checks": {"errors"},
    "throttling": set(),
    "disk": {"disk", "errors"},
    "platform": {"platform"} | LEAVES,
    "fs": {"fs", "platform"} | LEAVES,
    "fs.core": {"fs.core", "fs", "disk"} | LEAVES,
    "fs.engine": {"fs.engine", "fs.core", "fs", "disk"} | LEAVES,
    "fs.curl": {"fs.curl", "fs.engine", "fs.core", "fs", "disk"} | LEAVES,
    "fs.boto": {"fs.boto", "fs.engine", "fs.core", "fs", "disk"} | LEAVES,
    "fs.s3_store": {"fs.curl", "fs.boto", "fs"} | LEAVES,
    "sync": {"sync", "platform", "disk"} | ENGINE | LEAVES,
    "topics": {"topics", "sync", "disk"} | LEAVES,
    "surface": SURFACE,
    "sensors": {"sensor"} | SURFACE,
    "sensor": {"sensor"} | SURFACE,
    "component": {"component", "sensors"} | SURFACE,
    "package": {"component", "sensors"} | SURFACE,
    "testing": {"testing", "package", "platform"} | SERVER,
    "testing.server": SERVER,
}
# What is allowed besides, module by module, each for a reason.
EXCEPTIONS = {
    # What libcurl cannot sign or read is done by the other engine.
    ("fs.curl.store", "fs.boto.store"),
    # A foreign store may raise botocore's errors, which are translated where they are known.
    ("fs.download_errors", "fs.boto.errors"),
    # The team's own AWS identity is botocore's matter.
    ("resources", "fs.boto.aws_credentials"),
}
# What may be imported where Dagster is not installed.
WITHOUT_DAGSTER = sorted(
    LEAVES | ENGINE | {"disk", "platform", "fs.boto", "fs.curl", "sync", "topics"}
)


def _name_of(path: pathlib.Path) -> str:
    """Name of a module below the package; empty for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts).removesuffix("__init__").removesuffix(".")


MODULES = {_name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def _imports(path: pathlib.Path) -> Iterator[str]:
    """Full names of every imported module or name, deferred and type-only ones included."""
    for node in ast.walk(source_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _first_part(name: str) -> str:
    return name.partition(".")[0]


@functools.cache  # when a test asks: each worker imports this file, and one runs it
def _imported_modules(module: str) -> set[str]:
    """The modules of the package that one imports; `from package import name` is its `__init__`."""
    found = set()
    for name in _imports(MODULES[module]):
        root, _, inner = name.partition(".")
        if root == "roboto_dagster":
            found.add(inner if inner in MODULES else inner.rpartition(".")[0])
    return found - {module}


def room_of(module: str) -> str:
    """The longest name in `ALLOWED` that the module's starts with."""
    if module == "":
        return "package"
    parts = module.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in ALLOWED), "surface")


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_imports_only_what_it_may(room: str) -> None:
    """Each part of the package knows only the parts below it."""
    wrong = [
        f"{module or 'roboto_dagster'} imports {there or 'roboto_dagster'}"
        for module in MODULES
        if room_of(module) == room
        for there in _imported_modules(module)
        if room_of(there) not in ALLOWED[room] and (module, there) not in EXCEPTIONS
    ]
    assert wrong == []


def test_every_exception_is_needed() -> None:
    """An exception that no import uses is taken off the list."""
    unused = [pair for pair in EXCEPTIONS if pair[1] not in _imported_modules(pair[0])]
    assert unused == []


def test_every_room_exists() -> None:
    """A rule whose modules have moved would hold for nothing."""
    assert set(ALLOWED) == {room_of(module) for module in MODULES}


def _reachable(module: str) -> set[str]:
    found: set[str] = set()
    pending = list(_imported_modules(module))
    while pending:
        there = pending.pop()
        if there not in found:
            found.add(there)
            pending.extend(_imported_modules(there))
    return found


def test_whatever_is_made_for_dagster_registers_the_package() -> None:
    """Dagster knows of the package whichever public name of the surface a code location imports."""
    made_for_dagster = {
        module
        for module in _imported_modules("")
        if any(
            "dagster" in map(_first_part, _imports(MODULES[m]))
            for m in (module, *_reachable(module))
        )
    }
    assert "resources" in made_for_dagster
    assert {m for m in made_for_dagster if "registration" not in _reachable(m)} == set()


def test_no_module_imports_itself_by_a_detour() -> None:
    """Imports form no cycle, counting those for types only and deferred ones."""
    assert [module for module in MODULES if module in _reachable(module)] == []


@pytest.mark.parametrize("room", WITHOUT_DAGSTER)
def test_neither_engine_nor_sync_knows_dagster(room: str) -> None:
    """Both can be used, and tested, without Dagster."""
    wrong = [
        f"{module} imports {name}"
        for module, path in MODULES.items()
        if room_of(module) == room
        for name in _imports(path)
        if name.split(".")[0].startswith("dagster")
    ]
    assert wrong == []


@pytest.mark.parametrize("library", ["boto3", "pycurl", "selectors", "socket", "urllib3"])
def test_the_core_decides_without_a_socket(library: str) -> None:
    """What happens to one file is decided in `fs/core`; the drivers carry it out."""
    wrong = [
        module
        for module, path in MODULES.items()
        if room_of(module) == "fs.core"
        if any(name.split(".")[0] == library for name in _imports(path))
    ]
    assert wrong == []


def test_the_core_starts_no_thread() -> None:
    """It guards what drivers share by locks, and starts nothing itself."""
    used = {
        (module, node.attr)
        for module, path in MODULES.items()
        if room_of(module) == "fs.core"
        for node in ast.walk(source_tree(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if node.value.id == "threading"
    }
    assert {name for _, name in used} <= {"Lock"}, used


def test_the_surface_does_not_need_testing() -> None:
    """`LocalRoboto` is for tests and demos: nothing that runs in production imports it."""
    wrong = [
        f"{module} imports {there}"
        for module in MODULES
        if not room_of(module).startswith("testing")
        for there in _imported_modules(module)
        if room_of(there).startswith("testing")
    ]
    assert wrong == []


def test_no_private_name_is_imported() -> None:
    """What another module needs has a name without an underscore."""
    wrong = [
        f"{module} imports {name}"
        for module, path in MODULES.items()
        for name in _imports(path)
        if name.startswith("roboto_dagster.")
        if any(part.startswith("_") and part != "__version__" for part in name.split("."))
    ]
    assert wrong == []


def test_no_module_postpones_its_annotations() -> None:
    """Dagster and pydantic read annotations at run time (dagster-conventions.md)."""
    wrong = [
        module for module, path in MODULES.items() if "__future__.annotations" in _imports(path)
    ]
    assert wrong == []

"""The line between the engine, the sync and the surface: read from the source, not run."""

import ast
import pathlib
from collections.abc import Iterator

import pytest

import roboto_dagster

PACKAGE = pathlib.Path(roboto_dagster.__file__).parent
ROOMS = ("disk", "platform", "fs", "sync", "testing")
SURFACE = "surface"

LEAVES = {"errors", "types", "uri", "text", "redaction", "setting_checks"}
ALLOWED: dict[str, set[str]] = {
    "errors": {"text", "types", "redaction"},
    "text": set(),
    "redaction": set(),
    "setting_checks": {"errors"},
    "platform": {"platform"} | LEAVES,
    "disk": {"disk", "errors"},
    "fs": {"fs", "platform", "disk", "version"} | LEAVES,
    "sync": {"sync", "fs", "platform", "disk", "version"} | LEAVES,
}


def _modules(room: str) -> list[pathlib.Path]:
    module = PACKAGE / f"{room}.py"
    return [module] if module.exists() else sorted((PACKAGE / room).rglob("*.py"))


def _imports(path: pathlib.Path) -> Iterator[str]:
    """Names of every imported module, deferred and type-only ones included."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _room_of(name: str) -> str | None:
    """Which room of ours a module belongs to; None for others' modules and for names in ours."""
    parts = name.split(".")
    if parts[0] != "roboto_dagster":
        return None
    if len(parts) == 1:
        return SURFACE
    if parts[1] in ROOMS or parts[1] in {"version", *LEAVES}:
        return parts[1]
    return SURFACE


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_imports_only_what_stands_to_its_left(room: str) -> None:
    """The engine knows only errors; the sync knows the engine; neither knows the surface."""
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in _modules(room)
        for name in _imports(path)
        if (there := _room_of(name)) is not None and there not in ALLOWED[room]
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ["disk", "platform", "fs", "sync"])
def test_neither_engine_nor_sync_knows_dagster(room: str) -> None:
    """Both can be used, and tested, without Dagster."""
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in _modules(room)
        for name in _imports(path)
        if name.split(".")[0].startswith("dagster")
    ]
    assert wrong == []


def test_the_surface_does_not_need_testing() -> None:
    """`LocalRoboto` is for tests and demos: nothing that runs in production imports it."""
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] != "testing"
        for name in _imports(path)
        if _room_of(name) == "testing"
    ]
    assert wrong == []


def test_testing_imports_only_public_names() -> None:
    """What users get for their tests stands on the same door as they do."""
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in _modules("testing")
        for name in _imports(path)
        if any(part.startswith("_") and part != "__main__" for part in name.split("."))
        and name.startswith("roboto_dagster")
    ]
    assert wrong == []


def test_no_module_postpones_its_annotations() -> None:
    """Dagster and pydantic read annotations at run time (dagster-conventions.md)."""
    wrong = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        if "__future__.annotations" in set(_imports(path))
    ]
    assert wrong == []

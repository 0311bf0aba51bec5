"""The sizes and names that keep the package readable: read from the source, not run."""

import ast
import collections
import pathlib
import re
from collections.abc import Iterator

import roboto_dagster
from tests.source_trees import source_tree

PACKAGE = pathlib.Path(roboto_dagster.__file__).parent
MODULES = {
    path.relative_to(PACKAGE).as_posix(): path.read_text("utf-8")
    for path in sorted(PACKAGE.rglob("*.py"))
}

MAX_LINES = 300
MAX_METHODS = 20
# Modules that may have up to 350 lines, each with the reason.
LONG = {
    "disk/temp_file.py": "one class, whose states are drawn at its top",
    "fs/core/download.py": "one state machine, which is read as one",
    "fs/curl/request.py": "one class around one handle of libcurl, most of it callbacks",
    "sensor/tick.py": "one evaluation of the sensor, step by step",
    "testing/contents.py": "the public methods of LocalRoboto, most of it their arguments",
}
# Words of this project's past for which there are standard terms (the glossary of CONTRIBUTING).
DIALECT = r"(?i)\b(whole|tells?|told|mend(?:ed)?|anew|begun|became|heals?|healed)\b(?! numbers)"

FunctionNode = (ast.FunctionDef, ast.AsyncFunctionDef)


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Yield the modules' names and syntax trees one by one: together they would take 60 MiB of each process of the tests."""
    for name in MODULES:
        yield name, source_tree(PACKAGE / name)


def test_modules_are_short() -> None:
    """A module has one idea, on at most 300 lines; the exceptions are listed, and are needed."""
    long = {name for name, text in MODULES.items() if len(text.splitlines()) > MAX_LINES}
    assert long - set(LONG) == set()
    assert {name for name in long if len(MODULES[name].splitlines()) > 350} == set()


def test_classes_have_few_methods() -> None:
    """A class of more than twenty methods does several things."""
    wrong = [
        f"{name}: {node.name}"
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        if sum(isinstance(each, FunctionNode) for each in node.body) > MAX_METHODS
    ]
    assert wrong == []


def _public_functions(tree: ast.Module) -> list[ast.FunctionDef]:
    bodies = [tree.body] + [
        node.body
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    return [
        node
        for body in bodies
        for node in body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]


def test_arguments_are_documented() -> None:
    """A public function of two or more arguments has a section `Args:`."""
    wrong = []
    for name, tree in trees():
        for node in _public_functions(tree):
            given = [each.arg for each in (*node.args.args, *node.args.kwonlyargs)]
            arguments = [each for each in given if each not in ("self", "cls", "context")]
            is_overload = any(ast.unparse(each) == "overload" for each in node.decorator_list)
            if (
                not is_overload
                and len(arguments) > 1
                and "Args:" not in (ast.get_docstring(node) or "")
            ):
                wrong.append(f"{name}:{node.lineno} {node.name}")
    assert wrong == []


def test_a_public_name_stands_in_one_module() -> None:
    """Two things of one name are taken for each other."""
    modules = collections.defaultdict(set)  # overloads of one function stand in one module
    for name, tree in trees():
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                modules[node.name].add(name)
    assert {name: found for name, found in modules.items() if len(found) > 1} == {}


def test_the_language_is_plain() -> None:
    """Names, docstrings, comments and messages use the terms of the glossary."""
    root = PACKAGE.parent
    folders = (PACKAGE, root / "benchmarks", root / "docs", root / "examples", root / "tests")
    paths = [path for folder in folders for path in folder.rglob("*.*")]
    wrong = [
        f"{path.relative_to(root)}:{number} {found[0]}"
        for path in paths
        if path.suffix in {".py", ".md", ".yaml"} and path != pathlib.Path(__file__)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if (found := re.search(DIALECT, line))
    ]
    assert wrong == []

"""Parses the project's sources for the tests that look at them."""

import ast
import gc
import pathlib


def source_tree(path: pathlib.Path) -> ast.Module:
    """Return the syntax tree of a file.

    The garbage collector waits meanwhile: Python 3.11's parser fails (`AST constructor recursion depth mismatch`, see
    https://github.com/python/cpython/issues/106905) where what is collected logs a traceback, which is parsed, too.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(path.read_text("utf-8"))
    finally:
        if was_enabled:
            gc.enable()

"""Finds what is installed."""

import importlib.util
import os
import shutil
import sys


def has_module(name: str) -> bool:
    """Report whether a module is installed, without importing it."""
    return importlib.util.find_spec(name) is not None


def find_nginx() -> str | None:
    """Finds nginx; Debian keeps it where the PATH of a plain user does not look."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def find_tool(name: str) -> str | None:
    """Finds a command on the PATH or beside the interpreter."""
    beside = os.path.dirname(sys.executable)  # noqa: PTH120 - `resolve` would leave the environment
    return shutil.which(name, path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")

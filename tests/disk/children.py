"""Processes that are killed in the middle of what they do; forked, since to import the package takes seconds."""

import os
import signal
import warnings
from collections.abc import Callable
from typing import NoReturn


def killed_in(function: Callable[[], object]) -> None:
    """Run a function in a child that is killed at its end, or where it calls `die`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the child runs Python code only
        child = os.fork()
    if child == 0:
        try:
            function()
        finally:
            die()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def die() -> NoReturn:
    """End this process at once, as a kill from outside does."""
    os.kill(os.getpid(), signal.SIGKILL)
    os._exit(1)  # never reached

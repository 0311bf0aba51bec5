"""Functions of pyulog, bound to this package: they print to the log, and report what is damaged."""

import logging
import struct
import types
from collections.abc import Callable
from typing import Any

from pyulog import core

from roboto_dagster.text import one_line

_log = logging.getLogger(__name__)


def _print_to_log(*values: object, **_: object) -> None:
    _log.info("pyulog: %s", one_line(" ".join(map(str, values))))


def printing_to_log(function: Any) -> Any:
    """Return pyulog's function, its `print` bound to the log: standard output is the program's own."""
    return types.FunctionType(
        function.__code__,
        {**vars(core), "print": _print_to_log},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )


def raising_value_error(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose `struct.error` is a ValueError: pyulog takes the first for the file's end."""

    def read(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except struct.error as error:
            raise ValueError(str(error)) from None

    return read

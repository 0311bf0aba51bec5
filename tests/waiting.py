"""Waiting for what another thread or process does: for a condition, and never for a time alone."""

import time
from collections.abc import Callable

# A deadline that only ends what hangs: ten times what the slowest takes alone, since machines are slow or busy. A test has
# 600 s (pyproject.toml).
GUARD_SECONDS = 240.0
_PAUSE_SECONDS = 0.01


def wait_until(
    condition: Callable[[], object],
    seconds: float = GUARD_SECONDS,
    why: Callable[[], str] = lambda: "",
    *,
    pause_seconds: float = _PAUSE_SECONDS,
) -> None:
    """Wait until something is so.

    Args:
        condition: Returns something true when it is so.
        seconds: For how long at most. Default 240: a busy machine is slow, and who waits is done as
            soon as it is so.
        why: Returns what the failure shows besides, such as the log of a process. Default: nothing.
        pause_seconds: Between two looks. Default 0.01; more where a look costs something.

    Raises:
        AssertionError: It was not so in time.
    """
    if not eventually(condition, seconds, pause_seconds=pause_seconds):
        raise AssertionError(f"not so within {seconds:g} s\n{why()}")


def eventually(
    condition: Callable[[], object], seconds: float = 5.0, *, pause_seconds: float = _PAUSE_SECONDS
) -> bool:
    """Wait for something that may not come, and report whether it is so.

    Args:
        condition: Returns something true when it is so.
        seconds: For how long at most. Default 5.
        pause_seconds: Between two looks. Default 0.01.

    Returns:
        Whether it was so in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_seconds)
    return True

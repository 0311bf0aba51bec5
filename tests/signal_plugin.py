"""Lets the tests be interrupted, and what they start, wherever they are started from.

pytest loads this as a plugin (`-p tests.signal_plugin`, in pyproject.toml). A shell that starts a job in the background
has it ignore SIGINT, each process of the job inherits that, and Python then installs no handler: what the tests
interrupt would go on.
"""

import signal


def pytest_configure() -> None:
    """Handle SIGINT as a process of the foreground does."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)

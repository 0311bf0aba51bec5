"""The process in which logs are decoded beside others."""

import subprocess
import sys

import pytest

resource = pytest.importorskip("resource", reason="Windows has no such limits")

_PROGRAM = """
from roboto_dagster.topics.worker import spare_addresses
spare_addresses()
import pyarrow
print(pyarrow.default_memory_pool().backend_name)
"""


def test_where_addresses_are_limited_none_are_reserved() -> None:
    """Arrow's own allocator would take a gigabyte of them, and the codec ends the process if none are left."""
    limit = 1500 * 2**20
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "system"

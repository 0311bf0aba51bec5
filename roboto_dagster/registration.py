"""Registers this package with Dagster, which reports its version among those of its libraries.

Imported by each module that everything made for Dagster is built on, since the package itself does not
import Dagster.
"""

from dagster_shared.libraries import DagsterLibraryRegistry

from roboto_dagster.version import __version__

DagsterLibraryRegistry.register("roboto-dagster", __version__, is_dagster_package=False)

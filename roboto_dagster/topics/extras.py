"""Which extra of the package a decoder needs, and how to install it."""

import importlib

from roboto_dagster.topics.decoder import TopicFault


def missing_extra(extra: str, *modules: str) -> TopicFault | None:
    """Return the fault of a log whose decoder is not installed; None if it is.

    Args:
        extra: Name of the extra, such as `topics`.
        *modules: What it brings, by the names to import.
    """
    try:
        for module in modules:
            importlib.import_module(module)
    except ImportError as error:
        install = f"pip install 'roboto-dagster[{extra}]'"
        return TopicFault(topic=None, code="EXTRA_MISSING", reason=f"{error}: {install}")
    return None

"""The names of datasets in a manifest: kept in its metadata, so that a later run need not ask the platform for them."""

import json
import os
import pathlib
from collections.abc import Mapping

from roboto_dagster.errors import ManifestError
from roboto_dagster.sync.manifest import read_file_metadata

_NAMES_KEY = b"roboto_dagster.dataset_names"


def names_metadata(names: Mapping[str, str]) -> dict[bytes, bytes]:
    """Return names as metadata of a manifest.

    Args:
        names: The names by the id of the dataset.
    """
    return {_NAMES_KEY: json.dumps(dict(names)).encode()} if names else {}


def read_dataset_names(
    path: str | os.PathLike[str], *, within: pathlib.Path | None = None
) -> dict[str, str]:
    """Return the names in a manifest by the id of the dataset; none of a manifest that is not there or cannot be read.

    Args:
        path: From `manifest_path`.
        within: A parent of `path` below which no link is followed; None trusts its folder.
    """
    try:
        names = json.loads(read_file_metadata(path, within).get(_NAMES_KEY, b"{}"))
    except (ManifestError, ValueError):
        return {}
    plain = names.items() if isinstance(names, dict) else ()
    return {key: name for key, name in plain if isinstance(name, str) and name}

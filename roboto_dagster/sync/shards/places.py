"""Where a run of shards keeps its plan and its manifests.

```
<destination>/.roboto/.shards/<asset key>/<partition key>/<run id>/plan.parquet
                                                                  /shard-00001.parquet
                                                                  /.publish-logs/…
```

The names start with a dot, so that the folder of an asset's manifests still reads as one dataset.
"""

import contextlib
import pathlib
import time

from roboto_dagster.disk.folder import Folder
from roboto_dagster.sync.manifest import file_name
from roboto_dagster.sync.publish_log import LOGS_FOLDER

_SHARDS = ".shards"
_UNUSED_AGE_SECONDS = 24 * 3600.0  # another run of the partition may be at work in its own folder


def shards_folder(manifest: pathlib.Path) -> pathlib.Path:
    """Return the folder of all runs of shards of one partition.

    Args:
        manifest: The partition's manifest.
    """
    return manifest.parent.parent / _SHARDS / manifest.parent.name / manifest.stem


def run_folder(manifest: pathlib.Path, run_id: str) -> pathlib.Path:
    """Return the folder of one run of shards.

    Args:
        manifest: The partition's manifest.
        run_id: Of the run, or of the first of those that repeat one another.
    """
    return shards_folder(manifest) / file_name(run_id)


def shard_manifest(folder: pathlib.Path, shard: int) -> pathlib.Path:
    """Return the manifest of one shard.

    Args:
        folder: Of the run.
        shard: Its number, from 1.
    """
    return folder / f"shard-{shard:05}.parquet"


def run_folders(manifest: pathlib.Path) -> list[pathlib.Path]:
    """Return the folder of every run of shards of one partition that is under way or was not completed.

    Args:
        manifest: The partition's manifest.
    """
    try:
        return sorted(shards_folder(manifest).glob("[!.]*"))
    except OSError:
        return []


def shard_manifests(manifest: pathlib.Path) -> list[pathlib.Path]:
    """Return every shard's manifest in those folders.

    Args:
        manifest: The partition's manifest.
    """
    return [path for folder in run_folders(manifest) for path in manifests_of_run(folder)]


def manifests_of_run(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return the manifests of the shards of one run.

    Args:
        folder: Of the run.
    """
    try:
        return sorted(folder.glob("shard-*.parquet"))
    except OSError:
        return []


def remove_run(
    manifest: pathlib.Path, folder: pathlib.Path, within: pathlib.Path, *, now: float | None = None
) -> None:
    """Remove the folder of a run that is complete, and those of the partition's earlier runs that nobody uses any more.

    Args:
        manifest: The partition's manifest, which has all that they have.
        folder: Of the run.
        within: The destination; below it no link is followed.
        now: The time in seconds since the epoch. Default: now.
    """
    now = time.time() if now is None else now
    parent = shards_folder(manifest)
    with contextlib.suppress(OSError):
        names = sorted(each.name for each in parent.iterdir())
        for name in names:
            if name == folder.name or _is_unused(parent / name, now):
                for path in (parent / name / LOGS_FOLDER, parent / name):
                    _remove_folder(path, within)
    for path in (parent, parent.parent, parent.parent.parent):
        with contextlib.suppress(OSError), _opened(path.parent, within) as above:
            above.remove_folder(path.name)


def _is_unused(folder: pathlib.Path, now: float) -> bool:
    logs = (folder / LOGS_FOLDER).glob("*")  # touched while a run is alive
    times = [each.lstat().st_mtime for each in (folder, *folder.iterdir(), *logs)]
    return max(times) < now - _UNUSED_AGE_SECONDS


def plan_path(folder: pathlib.Path) -> pathlib.Path:
    """Return where the plan of a run is.

    Args:
        folder: Of the run.
    """
    return folder / "plan.parquet"


def _remove_folder(path: pathlib.Path, within: pathlib.Path) -> None:
    """Remove what is ours in a folder of a run, and the folder if nothing else is in it."""
    with contextlib.suppress(OSError):
        with _opened(path, within) as folder:
            for name in folder.names():
                if name.lstrip(".").startswith(("plan.parquet", "shard-")):
                    folder.remove(name)
        with _opened(path.parent, within) as above:
            above.remove_folder(path.name)


def _opened(path: pathlib.Path, within: pathlib.Path) -> Folder:
    return Folder.open(path, within, create=False)

"""Runs a sync and checks what it did to the disk and to the manifest."""

import collections
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from roboto_dagster.errors import RobotoDagsterError
from roboto_dagster.sync.manifest import read_manifest
from roboto_dagster.sync.report import SyncReport
from tests.simulation.world import World

EDITED = b"edited by a user"
"""What a user writes over what was delivered."""

_EDITED = 0.2
"""How often that happens while a run is between two steps."""

_INTERRUPTED = 0.1
"""How many runs are interrupted."""


def overwrite(place: pathlib.Path) -> None:
    """Does what a user may do to a delivered file; its time differs, however coarse the clock of the filesystem is.

    Args:
        place: The file.
    """
    before = place.stat().st_mtime_ns
    place.write_bytes(EDITED)
    os.utime(place, ns=(before, before + 1))


def clashes(path: str, paths: Iterable[str]) -> bool:
    """Returns whether a path cannot exist beside others.

    Args:
        path: The path.
        paths: The others.
    """
    return any(
        path == other or path.startswith(f"{other}/") or other.startswith(f"{path}/")
        for other in paths
    )


def checked_run(
    world: World,
    *,
    include: tuple[str, ...] = (),
    hidden: frozenset[str] = frozenset(),
    is_quiet: bool = False,
    **options: Any,
) -> SyncReport | None:
    """Runs once, alone.

    Args:
        world: The dataset.
        include: Its patterns.
        hidden: Paths that the listing lacks although the platform has them.
        is_quiet: Whether nobody else touches the disk meanwhile. Default False.
        options: Of the sync.

    Returns:
        Its report; None if it was refused by name.
    """
    before = world.on_disk()
    turn, is_interrupted = world.take_turn, not is_quiet and world.dice.random() < _INTERRUPTED

    def disturb() -> None:
        turn()
        unlisted = ours - set(world.paths())
        if ours and world.dice.random() < _EDITED:
            path = world.dice.choice(sorted(unlisted or ours))
            if world.place(path).is_file():
                ours.discard(path)
                before[path] = EDITED
                overwrite(world.place(path))
        if is_interrupted and world.dice.random() < 0.3:
            raise KeyboardInterrupt

    records = {path: world.record_of(path) for path in before}
    ours = {path for path, record in records.items() if record is not None}
    world.client.hidden = frozenset(world.id_of(path) for path in hidden)
    world.take_turn = turn if is_quiet else disturb
    try:
        report = world.run(include=include, **options)
        is_cut = False
    except (RobotoDagsterError, KeyboardInterrupt) as error:
        report, is_cut = None, isinstance(error, KeyboardInterrupt)
    finally:
        world.client.hidden = frozenset()
        world.take_turn = turn
    scope = [path for path in world.paths() if not include or path.startswith("c/")]
    _check_removals(
        world,
        before,
        ours,
        records,
        {**options, "include": include},
        is_whole=report is not None and not report.failures,
    )
    _check_foreign(world, before, ours, scope)
    if not is_cut:  # what it has published since is in its publish log
        check_no_row_is_lost(world)
    check_claims(world)
    if report is not None:
        _check_outcomes(world, report, [path for path in scope if path not in hidden])
    return report


def _check_removals(
    world: World,
    before: Mapping[str, bytes],
    ours: set[str],
    records: Mapping[str, str | None],
    options: Mapping[str, Any],
    *,
    is_whole: bool,
) -> None:
    removed = before.keys() - world.on_disk().keys()
    assert removed <= ours, f"what no run delivered was removed: {removed - ours}"
    # A file that was removed there and added again is another one, which a listing may lack as any.
    on_platform = {
        path for path in removed & set(world.paths()) if world.id_of(path) == records[path]
    }
    assert not removed & on_platform, "what the platform has was removed"
    if options["include"]:
        out_of_scope = {path for path in removed if not path.startswith("c/")}
        assert not out_of_scope, "removed although the patterns leave it out"
    assert not removed or options.get("on_missing") == "remove", "removed without being asked"
    assert len(removed) <= options.get("max_removals", 100), "more was removed than allowed"
    if not is_whole:
        in_the_way = {path for path in removed if clashes(path, world.paths())}
        assert removed == in_the_way, "removed by a run that failed"


def _check_foreign(
    world: World, before: Mapping[str, bytes], ours: set[str], scope: Iterable[str]
) -> None:
    after = world.on_disk()
    changed = {path for path, data in before.items() if path in after and after[path] != data}
    assert changed <= set(scope), "what is not in the scope was changed"
    kept = {path: data for path, data in before.items() if path not in ours}
    lost = {path for path in kept if path not in after and path not in scope}
    assert not lost, "a user's file was removed"


def check_no_row_is_lost(world: World) -> None:
    """Checks that the manifest describes every file that runs delivered, as it lies on disk.

    Args:
        world: The dataset, after one run, or after two.
    """
    rows = _rows(world)
    for path in world.on_disk():
        if world.object_of(path) is not None and path not in world.forgotten:
            assert path in rows, f"the row of {path} is lost"
            status = world.place(path).lstat()
            facts = rows[path]["size_bytes"], rows[path]["mtime_ns"]
            assert facts == (status.st_size, status.st_mtime_ns), f"the row of {path} is of another"


def check_claims(world: World) -> None:
    """Checks that what the manifest calls complete is the content that its row names, or was edited since.

    Args:
        world: The dataset, after one run, or after two.
    """
    for path, row in _rows(world).items():
        if row["status"] in ("fetched", "unchanged") and path not in world.forgotten:
            content = world.object_of(path)
            is_edited = world.place(path).exists() and world.place(path).read_bytes() == EDITED
            is_right = content is not None and content.startswith(f"{row['uri']}#")
            assert is_edited or is_right, f"{path} is not what its row claims"


def _rows(world: World) -> dict[str, Any]:
    if not world.manifest.exists():
        return {}
    rows = read_manifest(world.manifest).to_pylist()
    counted = collections.Counter(row["relative_path"] for row in rows)
    assert all(number == 1 for number in counted.values()), "two outcomes for one file"
    return {row["relative_path"]: row for row in rows}


def _check_outcomes(world: World, report: SyncReport, scope: list[str]) -> None:
    """Checks the outcome of every file, when the platform did not change meanwhile."""
    rows, complete = _rows(world), 0
    for path in scope:
        assert path in rows, f"{path} has no outcome"
        if rows[path]["status"] in ("fetched", "unchanged"):
            complete += 1
            data = world.place(path).read_bytes()
            assert data in (world.latest(path), EDITED), "not the latest version"
        else:
            assert rows[path]["status"] == "failed"
            assert rows[path]["error_code"] not in (None, "CANCELLED"), "a failure without a cause"
    assert report.files_fetched + report.files_unchanged == complete
    assert report.files_failed == len(scope) - complete
    assert report.files_total == len(scope)

"""Seeded histories of a sync: changes on the platform, edits on the disk, kills, and two runs at once.

After each history two quiet runs check the promises: the latest versions are on disk, nothing foreign was
touched, the manifest reports what lies there, and nothing is asked for twice. `ROBOTO_HISTORIES` sets how many;
`.ci/run` plays more than `make test`.
"""

import functools
import os
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from roboto_dagster.errors import RobotoDagsterError
from roboto_dagster.sync.manifest import read_manifest
from roboto_dagster.testing.server.s3 import LocalS3
from tests.simulation.deliveries import (
    EDITED,
    check_claims,
    check_no_row_is_lost,
    checked_run,
    clashes,
    overwrite,
)
from tests.simulation.world import Clock, Scheduler, World

HISTORIES = int(os.environ.get("ROBOTO_HISTORIES", "60"))
LATE = (94, 95, 131, 132, 134, 135, 139, 140, 142, 143)
"""Histories that alone, of a hundred and fifty, found a fault that was put into the code."""
MODEL = (516, 1091, 1421, 1431, 1513, 1715, 3048, 3376, 3780)
"""Histories that the model judged wrongly once."""
FOUND = (218, 749, 850, 1696, 3138, 3309, 3906)
"""Histories that found a fault of the code, among several thousand."""
SEEDS = sorted({*range(HISTORIES), *LATE, *MODEL, *FOUND})
BLOCKS = 5
NAMES = ("a", "b", "c/d", "c/e", "c/k", "f", "g/h/i", "l")
SHAPES = ("f", "f/x", "g/h", "a/b")
"""Paths that stand in each other's way: a file now, a folder later."""


@pytest.fixture(scope="module")
def s3() -> LocalS3:
    """The store behind the API, for credentials that nobody uses; to make one takes a second."""
    return LocalS3(clock=Clock())


def change_the_platform(world: World) -> None:
    """Does one to three random things to the platform."""
    for _ in range(world.dice.randrange(1, 4)):
        paths = world.paths()
        free = [path for path in (*NAMES, *SHAPES) if not clashes(path, paths)]
        actions: list[Callable[[], None]] = []
        if free:
            actions.append(functools.partial(world.add, world.dice.choice(free)))
        if paths:
            path = world.dice.choice(paths)
            changes = (world.replace, world.edit, world.overwrite, world.remove)
            actions += [functools.partial(change, path) for change in changes]
            actions.append(functools.partial(turn_into_a_folder, world, path))
        world.dice.choice(actions)()


def turn_into_a_folder(world: World, path: str) -> None:
    """Puts a file in the place of another into a folder of its name, or the reverse."""
    world.remove(path)
    other = path.rpartition("/")[0] if "/" in path else f"{path}/x"
    if not clashes(other, world.paths()):
        world.add(other)


def edit_the_disk(world: World) -> None:
    """Does what a user may do to delivered files."""
    files = [path for path in world.on_disk() if path != "mine.txt"]
    if files:
        place = world.place(world.dice.choice(files))
        if world.dice.random() < 0.5:
            place.unlink()
        else:
            overwrite(place)


def damage_the_manifest(world: World) -> None:
    """Damages the manifest, or deletes it: nobody knows any more whose the files are."""
    if world.manifest.exists():
        if world.dice.random() < 0.7:
            world.manifest.write_bytes(world.dice.randbytes(20))
            world.damaged.update(world.on_disk())
        else:
            world.manifest.unlink()
            world.damaged.clear()
        world.forgotten.update(world.on_disk())


def _options(world: World) -> dict[str, Any]:
    """Draws how one run goes."""
    return {
        "include": world.dice.choice([(), (), ("c/**",)]),
        "on_missing": world.dice.choice(["keep", "remove"]),
        "max_removals": world.dice.choice([0, 1, 3, 3]),
    }


def run_once(world: World) -> None:
    """Runs with random options; a refusal by name is a fine answer."""
    paths, dice = world.paths(), world.dice
    world.broken = {
        path: dice.choice(["NOT_FOUND", "SERVER_ERROR"]) for path in paths if dice.random() < 0.2
    }
    checked_run(
        world,
        hidden=frozenset(path for path in paths if dice.random() < 0.05),
        **_options(world),
    )
    world.damaged.clear()
    world.broken = {}


def change_and_run(world: World) -> None:
    """Changes the platform, and runs."""
    change_the_platform(world)
    run_once(world)


def run_twice_at_once(world: World) -> None:
    """Runs twice, interleaved at every publish, while the platform changes."""
    _run_at_once(world, world)
    check_no_row_is_lost(world)
    check_claims(world)


def run_side_by_side(world: World) -> None:
    """Runs two partitions of one destination, interleaved in the same way."""
    assert world.neighbour is not None
    change_the_platform(world.neighbour)
    _run_at_once(world, world.neighbour)
    for each in (world, world.neighbour):
        check_no_row_is_lost(each)
        check_claims(each)


def _run_at_once(*worlds: World) -> None:
    scheduler = Scheduler(worlds[0].dice)

    def turn() -> None:
        scheduler.take_turn()
        if worlds[0].dice.random() < 0.2:
            change_the_platform(worlds[0])

    for world in worlds:
        world.take_turn, world.is_alone = turn, False
    try:
        runs = [functools.partial(world.run, **_options(world)) for world in worlds]
        for outcome in scheduler.run(*runs):
            assert not isinstance(outcome, Exception) or isinstance(outcome, RobotoDagsterError)
    finally:
        for world in worlds:
            world.take_turn, world.is_alone = (lambda: None), True
            world.damaged.clear()


def kill(world: World) -> None:
    """Runs until a random turn."""
    with world.killed():
        run_once(world)


STEPS: tuple[Callable[[World], None], ...] = (
    change_the_platform,
    change_the_platform,
    edit_the_disk,
    damage_the_manifest,
    change_and_run,
    change_and_run,
    run_once,
    run_twice_at_once,
    run_side_by_side,
    kill,
)


def check(world: World) -> None:
    """Checks that only versions, user edits and foreign files are on disk."""
    assert not world.complaints, world.complaints
    assert world.place("mine.txt").read_bytes() == b"mine", "a user's file was touched"
    for path, data in world.on_disk().items():
        known = [*world.contents.get(path, []), EDITED, b"mine"]
        assert data in known, f"{path} holds other bytes than any version of it"


def check_after_quiet_runs(world: World) -> None:
    """Runs twice without any disturbance and checks the promises."""
    report = checked_run(world, is_quiet=True, on_missing="remove")
    assert report is not None
    assert not world.complaints, world.complaints
    disk = world.on_disk()
    assert disk.pop("mine.txt", b"mine") == b"mine"
    edited = {path for path, data in disk.items() if data == EDITED}
    blocked = {path for path in world.paths() if clashes(path, (edited | world.forgotten) - {path})}
    failed = {
        failure.file["destination_path"].relative_to(world.place("")).as_posix()
        for failure in report.failures
    }
    assert failed <= blocked, report.failures
    listed = {path: world.latest(path) for path in world.paths() if path not in failed}
    assert {path: disk[path] for path in listed} == listed
    left = set(disk) - set(listed) - edited - world.forgotten
    assert failed or not left, "removed on the platform, and still on disk"
    rows = {row["relative_path"]: row for row in read_manifest(world.manifest).to_pylist()}
    for path, data in listed.items():
        status = world.place(path).stat()
        assert rows[path]["status"] in ("fetched", "unchanged")
        assert (rows[path]["size_bytes"], rows[path]["mtime_ns"]) == (len(data), status.st_mtime_ns)
    world.gets.clear()
    assert len(world.run(on_missing="remove").failures) == len(failed)
    assert world.gets == [], f"asked for again: {world.gets}"


def draw_steps(world: World) -> list[Callable[[World], None]]:
    """Draws what happens: most of what can go wrong needs files that were delivered."""
    steps = [world.dice.choice(STEPS) for _ in range(world.dice.randrange(3, 10))]
    return [change_the_platform, change_the_platform, run_once, *steps]


@pytest.mark.parametrize(
    "block", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, BLOCKS))]
)
def test_histories_keep_the_promises(block: int, tmp_path: pathlib.Path, s3: LocalS3) -> None:
    """Whatever happened before, two quiet runs deliver everything, once."""
    for seed in SEEDS[block::BLOCKS]:
        folder = tmp_path / str(seed)
        world = World(seed, folder, s3)
        world.neighbour = World(seed, folder, s3, beside=world)
        world.place("").mkdir()
        world.place("mine.txt").write_bytes(b"mine")
        history = draw_steps(world)
        try:
            for step in history:
                step(world)
                check(world)
            check_after_quiet_runs(world)
            check_after_quiet_runs(world.neighbour)
        except BaseException:
            print(f"seed {seed}: {[step.__name__ for step in history]}")  # noqa: T201 - to repeat it
            raise
        shutil.rmtree(folder)

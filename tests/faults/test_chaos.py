"""Random faults over complete runs, by seed: whatever happens, the promises of `docs/promises.md` hold.

`ROBOTO_FAULTS=long` takes 200 seeds of `test_chaos` and 50 of each other kind for each engine; without it
the engines take turns over a few seeds, to be quick. Each test prints its seed, so that it can be repeated.
"""

import json
import os
import pathlib
import random
from collections.abc import Callable

import pyarrow.parquet as pq
import pytest

from roboto_dagster.sync.manifest import read_manifest
from roboto_dagster.testing import faults
from roboto_dagster.testing.faults import Fault
from tests.faults.invariants import leftovers
from tests.faults.lab import PART, Lab, noise
from tests.faults.matrix import covers
from tests.faults.processes import started

LONG = os.environ.get("ROBOTO_FAULTS") == "long"


def seeds(short: int, long: int) -> list[tuple[str, int]]:
    """Returns engines and seeds: in the long mode each engine with every seed, else they take turns."""
    if LONG:
        return [(engine, seed) for seed in range(long) for engine in ("curl", "boto3")]
    return [(("curl", "boto3")[seed % 2], seed) for seed in range(short)]


def dice_of(seed: int) -> random.Random:
    """Returns the dice of a seed, and prints it, to be shown with a failure."""
    print(f"seed {seed}")  # noqa: T201 - shown with a failure, to repeat it
    return random.Random(seed)  # noqa: S311 - dice, not a secret


def a_fault(dice: random.Random, *, flips_bits: bool = True) -> Fault:
    """Draws a fault; a wrong bit only where a checksum detects it."""
    at = dice.randrange(2 * PART)
    drawn: list[Fault] = [
        faults.refuse(),
        faults.truncate(after_bytes=at),
        faults.reset(after_bytes=at),
        faults.short_body(size_bytes=at),
        faults.content_length(at + 1),
        faults.chunked(),
        faults.no_content_length(),
        faults.close_idle(),
        faults.flip_bit(at=at % 200) if flips_bits else faults.status(500),
        faults.status(500),
        faults.status(503, "SlowDown"),
        faults.status(404, "NoSuchKey"),
        faults.status(403, "AccessDenied"),
        faults.status(400, "ExpiredToken"),
        faults.ok_with_error_body(),
        faults.ignore_range(),
        faults.ignore_if_match(),
        faults.shorter_range(by=1 + at % 100),
        faults.offset_range(by=1 + at % 100),
        faults.drop_headers("etag"),
        faults.drop_headers("content-range"),
        faults.drop_headers("x-amz-checksum-*"),
        faults.set_headers({"Content-Encoding": "gzip"}),
        faults.set_headers({"ETag": f'W/"{at}"'}),
        faults.answer("<html>", status=502),
        faults.delay(dice.random() / 50),
        faults.stall(after_bytes=at % 1000, seconds=dice.choice([0.01, 2.0])),
    ]
    return dice.choice(drawn)


def add_files(lab: Lab, dice: random.Random, count: int) -> None:
    """Adds files of all the sizes at which something changes, and a big one."""
    for number in range(count):
        size = dice.choice([0, 1, 200, 1_000, PART, PART + 1])
        lab.add(f"{number % 7}/{number}.bin", noise(size, dice.randrange(10**9)))
    lab.add("big.bin", noise(dice.randrange(PART, 5 * PART), dice.randrange(10**9)))


def add_faults(lab: Lab, dice: random.Random, at_most: int, *, flips_bits: bool = True) -> None:
    """Lets some random faults strike some of the requests."""
    for _ in range(dice.randrange(1, at_most + 1)):
        lab.fault(
            a_fault(dice, flips_bits=flips_bits),
            "*",
            probability=dice.choice([0.02, 0.1, 0.4]),
            seed=dice.randrange(10**6),
        )


@pytest.mark.parametrize(("engine", "seed"), seeds(16, 200))
def test_random_faults(lab: Lab, seed: int) -> None:
    """Many files, random faults: the promises hold, and the next run completes everything."""
    dice = dice_of(seed)
    add_files(lab, dice, 200 if LONG or seed % 8 < 2 else 40)
    add_faults(lab, dice, 5)
    lab.converge(lab.run())


@covers("D12")
@pytest.mark.parametrize(("engine", "seed"), seeds(4, 50))
def test_two_runs_on_one_destination(lab: Lab, seed: int) -> None:
    """Two runs of one partition at once, while files are replaced: no stale bytes stay."""
    dice = dice_of(seed)
    add_files(lab, dice, 30)
    add_faults(lab, dice, 2)
    replaced = dice.sample(sorted(lab.versions), 6)
    for number, path in enumerate(replaced):
        old = lab.versions[path][-1]
        new = noise(max(len(old), 1) if dice.random() < 0.5 else dice.randrange(1, 2 * PART), seed)
        lab.fault(
            faults.call(lambda path=path, new=new: lab.replace(path, new)),  # type: ignore[misc] # bound
            after=dice.randrange(40) + number,
            times=1,
            service="s3",
        )
    with started(lab, stall_timeout_seconds=1.0) as other:
        run = lab.run_unchecked()
        other.end()
    assert run.rows is not None, run.description
    for path, versions in lab.versions.items():
        place = lab.local_path(path)
        assert not place.exists() or place.read_bytes() in versions, f"I1: {path} is a mixture"
    lab.local.faults.clear()
    repaired = lab.run()
    assert repaired.success, repaired.description
    lab.expect_latest()
    assert not leftovers(lab.destination)


@covers("O1", "O2", "O7")
@pytest.mark.parametrize(("engine", "seed"), seeds(6, 50))
def test_objects_replaced_while_they_are_read_without_etags(lab: Lab, seed: int) -> None:
    """A store that cannot distinguish versions, and objects replaced at any request: never a mixture."""
    dice = dice_of(seed)
    add_files(lab, dice, 12)
    hidden: list[Callable[[], Fault]] = [
        lambda: faults.drop_headers("etag"),
        lambda: faults.drop_headers("etag", "x-amz-checksum-*", "x-amz-version-id"),
        lambda: faults.set_headers({"ETag": '""'}),
        lambda: faults.set_headers({"ETag": 'W/"same"'}),
        lambda: faults.set_headers({"ETag": '"same"'}),
    ]
    which = dice.randrange(len(hidden) - 1)
    lab.fault(hidden[which](), "*")
    lab.fault(faults.ignore_if_match(), "*")
    for _ in range(4):
        path = dice.choice(["big.bin", "big.bin", *lab.versions])
        data = noise(len(lab.versions[path][0]), dice.randrange(10**9))
        lab.versions[path].append(data)
        lab.fault(faults.swap(data), path, after=dice.randrange(4), times=1)
    add_faults(lab, dice, 2, flips_bits=False)
    run = lab.run()
    lab.local.faults.clear()
    after = lab.run()
    assert after.success, after.description
    assert {row["relative_path"] for row in after.rows or []} == set(lab.versions)
    assert run.rows is not None


@covers("C1", "C4", "C5")
@pytest.mark.parametrize(("engine", "seed"), seeds(4, 50))
def test_credentials_that_expire_during_bursts_of_503(lab: Lab, seed: int) -> None:
    """Credentials end at random moments while the store asks to slow down: every file is named or right."""
    dice = dice_of(seed)
    add_files(lab, dice, 40)
    for _ in range(dice.randrange(1, 4)):
        lab.fault(
            faults.call(lab.local.expire_credentials),
            service="s3",
            after=dice.randrange(60),
            times=dice.randrange(1, 3),
        )
        lab.fault(
            faults.status(503, "SlowDown"), "*", after=dice.randrange(60), times=dice.randrange(20)
        )
    lab.converge(lab.run())


def damage(dice: random.Random, path: pathlib.Path) -> str:
    """Damages one file of our own in a random way; returns how.

    In the place of a temporary file nothing else is put: that would be nobody's we know, and would stay.
    """
    data = path.read_bytes()
    contents: dict[str, bytes] = {
        "emptied": b"",
        "cut": data[: dice.randrange(len(data) + 1)],
        "overwritten": dice.randbytes(dice.randrange(1, 4_000)),
        "a bit flipped": flipped(dice, data),
        "text": b'{"not": ["ours", 1e999, null]}\n',
    }
    instead: dict[str, Callable[[], None]] = {
        "gone": lambda: None,
        "a FIFO": lambda: os.mkfifo(path),
        "a folder": path.mkdir,
        "a dangling link": lambda: path.symlink_to("nowhere"),
    }
    if path.name.endswith(".part"):
        instead = {"gone": instead["gone"]}
    kind = dice.choice([*contents, *instead])
    if kind in contents:
        path.write_bytes(contents[kind])
    else:
        path.unlink()
        instead[kind]()
    return kind


def flipped(dice: random.Random, data: bytes) -> bytes:
    """Returns the bytes with one bit flipped."""
    if not data:
        return data
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]


@covers("D10", "D11")
@pytest.mark.parametrize(("engine", "seed"), seeds(8, 50))
def test_damaged_local_state(lab: Lab, seed: int) -> None:
    """Manifest, publish log and resume logs are damaged between two runs: never fatal, never trusted."""
    dice = dice_of(seed)
    add_files(lab, dice, 15)
    lab.fault(faults.status(500), "big.bin", after=2)
    lab.run()
    lab.local.faults.clear()
    plant_rows(lab, dice)
    # Records of runs aside: without its record a temporary file is nobody's, and stays.
    state = lab.destination / ".roboto"
    ours = [path for path in state.rglob("*") if path.is_file() and ".runs" not in path.parts]
    ours += leftovers(lab.destination)
    for path in dice.sample(sorted(ours), min(len(ours), dice.randrange(1, 4))):
        print(damage(dice, path), path.name)  # noqa: T201 - shown with a failure
    run = lab.run()
    assert run.success, run.description
    lab.expect_latest()
    assert lab.run().success
    rows = read_manifest(lab.manifest).to_pylist()
    assert {row["relative_path"] for row in rows} >= set(lab.versions)


def plant_rows(lab: Lab, dice: random.Random) -> None:
    """Adds rows to the manifest, and lines to the publish log, that lead out of the destination."""
    if dice.random() < 0.5:
        table = pq.read_table(lab.manifest)
        rows = table.to_pylist()
        path = dice.choice(["../../neighbour/diary.txt", "/etc/hosts", "a/../../b", "", "a\x00b"])
        rows.append({**rows[0], "relative_path": path, "path": path, "dataset_id": lab.dataset_id})
        pq.write_table(table.from_pylist(rows, schema=table.schema), lab.manifest)
    if dice.random() < 0.5:
        log = lab.manifest.with_name(f".{lab.manifest.stem}.journal")
        lines = [[1, 2, 3], [lab.dataset_id, "../../neighbour/diary.txt", *[None] * 9], {"a": 1}]
        log.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")

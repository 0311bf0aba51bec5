"""Parts that an earlier run left are taken over by one run only, and a kill at any step costs nothing but time."""

import json
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from roboto_dagster.disk import owner
from roboto_dagster.disk.adoption import LeftParts
from roboto_dagster.disk.cleanup import leftovers_of, reclaim
from roboto_dagster.disk.resume_log import Identity, Part
from roboto_dagster.disk.run_record import acquire, hold
from roboto_dagster.disk.temp_file import PartialFile, open_partial
from tests.disk.children import die, killed_in

IDENTITY = Identity("s3://b/big", 8, "etag")
PARTS = [Part(0, 3, "crc32", "a"), Part(5, 8, "crc32", "b")]
BYTES = b"123" + bytes(2) + b"678"


def half_written(root: pathlib.Path) -> PartialFile:
    """Return a big file with two of its parts."""
    file = open_partial(root / "big.bin", root)
    file.keep_parts(IDENTITY)
    for part in PARTS:
        os.pwrite(file.fd, BYTES[part.start : part.stop], part.start)
        file.note_part(part)
    return file


def killed_run(root: pathlib.Path) -> None:
    """Leave a big file with two of its parts, as a kill does."""
    killed_in(lambda: (half_written(root), die()))


def leave_elsewhere(root: pathlib.Path) -> None:
    """The same, by a run of another container that was silent for minutes."""
    killed_run(root)
    (record,) = (root / ".roboto" / ".runs").iterdir()
    first, rest = record.read_text().split("\n", 1)
    record.write_text(json.dumps({**json.loads(first), "pid_namespace": "another"}) + "\n" + rest)
    silence(record)


def silence(record: pathlib.Path) -> None:
    """Make a record look as if nobody had touched it for minutes."""
    os.utime(record, (time.time() - owner.SILENT_AFTER_SECONDS - 60,) * 2)


def temporaries(root: pathlib.Path) -> list[str]:
    """Return the names of the temporary files."""
    return sorted(path.name for path in root.iterdir() if owner.parse_name(path.name))


def take_all(left: LeftParts | None) -> list[Part]:
    """Do what checks parts whose checksums all match."""
    assert left is not None
    taken = [part for part in left.parts if left.take(part)]
    for part in taken:
        left.confirm(part)
    left.close()
    return taken


@pytest.mark.parametrize("leave", [killed_run, leave_elsewhere])
def test_parts_of_a_killed_run_are_taken_over(
    tmp_path: pathlib.Path, leave: Callable[[pathlib.Path], None]
) -> None:
    """Whether in place or copied, they are in the new file, and nothing else is left."""
    leave(tmp_path)
    file = open_partial(tmp_path / "big.bin", tmp_path)
    assert take_all(file.keep_parts(IDENTITY)) == PARTS
    file.publish()
    assert (tmp_path / "big.bin").read_bytes() == BYTES
    assert [path.name for path in tmp_path.iterdir()] == ["big.bin"]


@pytest.mark.parametrize("leave", [killed_run, leave_elsewhere])
def test_what_lies_behind_the_object_is_not_published(
    tmp_path: pathlib.Path, leave: Callable[[pathlib.Path], None]
) -> None:
    """A damaged file that is longer than the object is cut to its size."""
    leave(tmp_path)
    (left,) = [path for path in tmp_path.glob(".*.part") if ".parts" not in path.name]
    with left.open("ab") as damaged:
        damaged.write(b"garbage")
    file = open_partial(tmp_path / "big.bin", tmp_path)
    assert take_all(file.keep_parts(IDENTITY)) == PARTS
    file.publish()
    assert (tmp_path / "big.bin").read_bytes() == BYTES


@pytest.mark.parametrize("leave", [killed_run, leave_elsewhere])
def test_parts_that_were_taken_over_are_left_again(
    tmp_path: pathlib.Path, leave: Callable[[pathlib.Path], None]
) -> None:
    """A second interrupt loses nothing either."""
    leave(tmp_path)
    file = open_partial(tmp_path / "big.bin", tmp_path)
    take_all(file.keep_parts(IDENTITY))
    file.release()
    again = open_partial(tmp_path / "big.bin", tmp_path)
    assert take_all(again.keep_parts(IDENTITY)) == PARTS
    again.discard()


def test_a_file_that_may_still_be_open_is_not_shared(tmp_path: pathlib.Path) -> None:
    """Bytes that its writer writes after that do not reach the new file."""
    leave_elsewhere(tmp_path)
    (name,) = (name for name in temporaries(tmp_path) if ".parts." not in name)
    with (tmp_path / name).open("r+b", buffering=0) as its_writer:
        file = open_partial(tmp_path / "big.bin", tmp_path)
        take_all(file.keep_parts(IDENTITY))
        its_writer.write(b"XXXXXXXX")
        file.publish()
    assert (tmp_path / "big.bin").read_bytes() == BYTES


def test_a_file_that_is_emptied_takes_no_more_parts(tmp_path: pathlib.Path) -> None:
    """Copying stops when the file is started again, since its object was replaced."""
    leave_elsewhere(tmp_path)
    file = open_partial(tmp_path / "big.bin", tmp_path)
    left = file.keep_parts(IDENTITY)
    file.forget_parts()
    assert take_all(left) == []
    assert os.fstat(file.fd).st_size == 0
    file.discard()


def test_bytes_that_changed_while_they_were_copied_are_not_published(
    tmp_path: pathlib.Path,
) -> None:
    """The file fails, and is fetched again."""
    leave_elsewhere(tmp_path)
    file = open_partial(tmp_path / "big.bin", tmp_path)
    left = file.keep_parts(IDENTITY)
    assert left is not None
    left.spoil()
    left.close()
    with pytest.raises(OSError, match="changed while they were copied"):
        file.publish()
    assert not (tmp_path / "big.bin").exists()


@pytest.mark.parametrize(
    "identity",
    [IDENTITY._replace(etag="other"), IDENTITY._replace(size_bytes=9), IDENTITY._replace(uri="x")],
    ids=["etag", "size", "uri"],
)
def test_another_version_is_removed(tmp_path: pathlib.Path, identity: Identity) -> None:
    """Parts of another object are of no use to anybody."""
    killed_run(tmp_path)
    file = open_partial(tmp_path / "big.bin", tmp_path)
    assert file.keep_parts(identity) is None
    file.publish()
    assert [path.name for path in tmp_path.iterdir()] == ["big.bin"]


LOGS: dict[str, bytes] = {
    "empty": b"",
    "garbage": b"\x00\xff garbage\n",
    "other types": json.dumps(IDENTITY).encode() + b'\n[[], {}, null, 1]\n{"a": 1}\n7\n',
    "beyond the end": json.dumps(IDENTITY).encode() + b'\n[5, 800, "crc32", "x"]\n',
    "negative": json.dumps(IDENTITY).encode() + b'\n[-5, 3, "crc32", "x"]\n',
    "deep": b"[" * 100_000 + b"\n",
}


@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
def test_a_damaged_log_costs_its_parts_and_nothing_else(tmp_path: pathlib.Path, log: bytes) -> None:
    """Whatever it holds, the file is started again."""
    killed_run(tmp_path)
    (name,) = (name for name in temporaries(tmp_path) if ".parts." in name)
    (tmp_path / name).write_bytes(log)
    file = open_partial(tmp_path / "big.bin", tmp_path)
    assert file.keep_parts(IDENTITY) is None
    assert len(temporaries(tmp_path)) == 2
    file.discard()


@pytest.mark.parametrize("kind", ["fifo", "folder", "link"])
def test_what_is_no_regular_file_is_not_taken_over(tmp_path: pathlib.Path, kind: str) -> None:
    """Nobody waits for a FIFO in the place of what a killed run left."""
    killed_run(tmp_path)
    for name in temporaries(tmp_path):
        (tmp_path / name).unlink()
        make: dict[str, Callable[[pathlib.Path], Any]] = {
            "fifo": os.mkfifo,
            "folder": os.mkdir,
            "link": lambda path: path.symlink_to("/dev/zero"),
        }
        make[kind](tmp_path / name)
    file = open_partial(tmp_path / "big.bin", tmp_path)
    assert file.keep_parts(IDENTITY) is None
    file.publish()


def test_only_one_of_two_takes_over(tmp_path: pathlib.Path) -> None:
    """Another run that had found the same parts starts the file again."""
    killed_run(tmp_path)
    target = owner.target_of("big.bin")
    with hold(tmp_path, "any") as record:
        (leftover,) = leftovers_of(record).take("", target)
        files = []
        for _ in range(2):
            leftovers_of(record).add(target, leftover)
            files.append(open_partial(tmp_path / "big.bin", tmp_path))
            files[-1].keep_parts(IDENTITY)
        inodes = {os.fstat(file.fd).st_ino for file in files}
        sizes = [os.fstat(file.fd).st_size for file in files]
        for file in files:
            file.discard()
    assert (len(inodes), sizes) == (2, [8, 0])


CALLS = ("open", "write", "replace", "unlink", "ftruncate")


def die_at(step: int) -> None:
    """Kill this process at its n-th system call that changes something."""
    steps = iter(range(10**6))

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*args: Any, **options: Any) -> Any:
            if next(steps) == step:
                die()
            return call(*args, **options)

        return counting

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))


@pytest.mark.slow
@pytest.mark.parametrize("leave", [killed_run, leave_elsewhere])
@pytest.mark.parametrize("step", range(30))
def test_a_kill_at_any_step_leaves_the_parts_to_the_next_run(
    tmp_path: pathlib.Path, step: int, leave: Callable[[pathlib.Path], None]
) -> None:
    """Taking over may be interrupted between any two system calls: the next run never fails, and still has the parts."""
    leave(tmp_path)

    def take_over() -> None:
        die_at(step)
        file = open_partial(tmp_path / "big.bin", tmp_path)
        take_all(file.keep_parts(IDENTITY))

    killed_in(take_over)
    with hold(tmp_path, "any") as record:
        reclaim(record)
        file = open_partial(tmp_path / "big.bin", tmp_path)
        assert take_all(file.keep_parts(IDENTITY)) == PARTS
        file.publish()
    assert (tmp_path / "big.bin").read_bytes() == BYTES
    for path in (tmp_path / ".roboto" / ".runs").glob("*"):
        silence(path)  # one that was killed before it could name its process
    with hold(tmp_path, "any") as record:
        reclaim(record, "any", names_wanted=lambda _: ())
    assert [path.name for path in tmp_path.iterdir()] == ["big.bin"]


def test_taking_over_leaves_no_descriptor_open(tmp_path: pathlib.Path) -> None:
    """Whether parts were used or not."""
    record = acquire(tmp_path)
    before = sum(1 for _ in pathlib.Path("/dev/fd").iterdir())
    for identity in (IDENTITY, IDENTITY._replace(etag="other"), IDENTITY):
        half_written(tmp_path).release()
        file = open_partial(tmp_path / "big.bin", tmp_path)
        left = file.keep_parts(identity)
        if left is not None:
            left.close()
        file.discard()
    assert sum(1 for _ in pathlib.Path("/dev/fd").iterdir()) == before
    record.release()

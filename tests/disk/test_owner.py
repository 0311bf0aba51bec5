"""Whether the process that wrote a file may still write: by kernel, namespace, start and heartbeat."""

import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any

import pytest

from roboto_dagster.disk import owner
from roboto_dagster.disk.owner import SILENT_AFTER_SECONDS, Owner, liveness, this_process

YOUNG = 1.0
OLD = SILENT_AFTER_SECONDS + 1
HERE = this_process()
linux = pytest.mark.skipif(not HERE.boot_id, reason="only Linux names kernels and namespaces")


def test_a_name_is_taken_apart() -> None:
    """Target, token and state stand in the name."""
    token = owner.new_token()
    name = owner.new_name("big.bin", token)
    released = owner.released_name(name)
    log = released.removesuffix(".part") + ".parts.part"
    target = owner.target_of("big.bin")
    assert [owner.parse_name(each) for each in (name, released, log)] == [
        (target, token, False, False),
        (target, token, True, False),
        (target, token, True, True),
    ]


@pytest.mark.parametrize(
    "name", ["", ".part", "a.part", ".mine.part", ".5f399b2ad4a9-deadbeef-0-349d-4baa0002.part"]
)
def test_other_names_are_not_ours(name: str) -> None:
    """A user's own `.part` file has no token."""
    assert owner.parse_name(name) is None


def test_names_are_unique() -> None:
    """Two files of one target in one run have two names."""
    assert owner.new_name("a", "0" * 16) != owner.new_name("a", "0" * 16)


@pytest.mark.parametrize("age", [YOUNG, OLD])
def test_this_process_is_alive(age: float) -> None:
    """A process that can be looked at needs no heartbeat."""
    assert liveness(HERE, age) == "alive"


@linux
@pytest.mark.parametrize("age", [YOUNG, OLD])
def test_a_number_that_was_used_again_is_dead(age: float) -> None:
    """A process of the same number that started at another time is another one."""
    assert liveness(HERE._replace(start=HERE.start + 1), age) == "dead"


def ended_process() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("age", [YOUNG, OLD])
def test_a_process_that_has_ended_is_dead(age: float) -> None:
    """However young its heartbeat is."""
    assert liveness(HERE._replace(pid=ended_process()), age) == "dead"


@linux
def test_a_process_that_nobody_has_waited_for_is_dead() -> None:
    """In a container without an init a killed run stays in the table of processes for ever."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = int(
        pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    )
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert liveness(HERE._replace(pid=process.pid, start=start), YOUNG) == "dead"
    process.communicate()


ELSEWHERE = {
    "another host": {"host": "another", "boot_id": "another"},
    "another kernel, same host name": {"boot_id": "another"},
    "another namespace": {"pid_namespace": "pid:[1]"},
    "no start reported": {"start": 0},
}


@linux
@pytest.mark.parametrize("changed", ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize(
    ("age", "expected"), [(YOUNG, "alive"), (OLD, "silent"), (-OLD, "silent"), (-YOUNG, "alive")]
)
def test_what_cannot_be_looked_at_is_judged_by_its_heartbeat(
    changed: dict[str, Any], age: float, expected: str
) -> None:
    """Alive for minutes after its last sign, then presumed dead; a sign from the future does not count."""
    assert liveness(HERE._replace(**changed), age) == expected


@linux
def test_a_process_behind_hidepid_is_judged_by_its_heartbeat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where /proc hides other users' processes, one that may be signalled or not is not called dead."""
    monkeypatch.setattr(owner, "_read_state", lambda _: None)
    other = HERE._replace(start=7)
    monkeypatch.setattr(owner, "this_process", lambda: HERE)
    assert [liveness(other, age) for age in (YOUNG, OLD)] == ["alive", "silent"]


def can_unshare(*options: str) -> bool:
    """Return whether namespaces can be made here."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    return (
        subprocess.run([unshare, *options, "true"], check=False, capture_output=True).returncode
        == 0
    )


HIDDEN = """
mount --make-rprivate /; mount -t proc -o hidepid=2 proc /proc
setpriv --reuid 65534 --regid 65534 --clear-groups sleep 60 & other=$!
setpriv --regid 1000 --clear-groups --inh-caps=-all --ambient-caps=-all --bounding-set=-all "$@" $other
"""
HIDDEN_CODE = f"""
import sys
from roboto_dagster.disk.owner import liveness, this_process
other = this_process()._replace(pid=int(sys.argv[1]), start=7)
print(liveness(other, {YOUNG}), liveness(other, {OLD}))
"""


@linux
def test_a_process_that_proc_hides_is_not_called_dead() -> None:
    """With hidepid another user's process exists, and nothing more is known of it."""
    if not can_unshare("-m", "-p", "-f") or shutil.which("setpriv") is None:
        pytest.skip("namespaces take root and Linux's unshare")
    arguments = ["unshare", "-m", "-p", "-f", "--kill-child", "sh", "-ec", HIDDEN, "sh"]
    done = subprocess.run(
        [*arguments, sys.executable, "-c", HIDDEN_CODE], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["alive", "silent"]


STALE_PROC_CODE = f"""
import subprocess, sys
from roboto_dagster.disk.owner import liveness, this_process
sibling = subprocess.Popen(["sleep", "60"])
other = this_process()._replace(pid=sibling.pid, start=7)
print(liveness(other, {YOUNG}), liveness(this_process(), {OLD}))
sibling.kill()
sibling.wait()
print(liveness(other, {YOUNG}))
"""


@linux
def test_a_proc_of_another_namespace_is_not_believed() -> None:
    """Without a /proc of its own a container reads other processes' states under its own numbers."""
    if not can_unshare("-p", "-f"):
        pytest.skip("namespaces take root and Linux's unshare")
    command = ["unshare", "-p", "-f", "--kill-child", sys.executable, "-c", STALE_PROC_CODE]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["alive", "silent", "dead"]


NAMESPACES = {
    "pid": ["--pid", "--fork", "--mount-proc"],
    "host": ["--uts"],
}


@linux
@pytest.mark.parametrize("kind", NAMESPACES)
def test_another_namespace_does_not_call_us_dead(kind: str) -> None:
    """A container with processes of its own cannot see ours; one with another host name can."""
    if not can_unshare(*NAMESPACES[kind]):
        pytest.skip("namespaces take root and Linux's unshare")
    code = (
        "import sys; from roboto_dagster.disk.owner import *; from roboto_dagster.disk import owner\n"
        f"him = Owner(*{tuple(HERE)!r})\n"
        f"print(liveness(him, {YOUNG}), liveness(him, {OLD}))"
    )
    script = 'test "$1" != host || hostname another; shift; exec "$@"'
    command = [
        "unshare",
        *NAMESPACES[kind],
        "sh",
        "-c",
        script,
        "sh",
        kind,
        sys.executable,
        "-c",
        code,
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["alive", "silent" if kind == "pid" else "alive"]


@pytest.mark.parametrize(
    "changed",
    [
        {"pid": 0},
        {"pid": -1},
        {"pid": 2**31},
        {"pid": 10**40},
        {"pid": "1"},
        {"pid": True},
        {"host": None},
        {"start": 1.5},
    ],
    ids=str,
)
def test_a_damaged_owner_is_none(changed: dict[str, object]) -> None:
    """A number that no system call takes, or another type, is refused before it is used."""
    assert owner.parse_owner({**HERE._asdict(), **changed}) is None


@pytest.mark.parametrize("fields", [None, [], "x", {}, 7])
def test_what_is_no_record_is_none(fields: object) -> None:
    """Whatever was read."""
    assert owner.parse_owner(fields) is None


def test_an_owner_survives_its_record() -> None:
    """What is written is what is read."""
    assert owner.parse_owner(HERE._asdict()) == HERE
    assert isinstance(HERE, Owner)

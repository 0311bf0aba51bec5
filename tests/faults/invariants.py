"""What holds after every run, whatever went wrong in it: the invariants of `docs/promises.md`.

- I1 A final path is absent, holds what it held before, or the complete right bytes.
- I2 Every planned file has exactly one outcome, the same in the manifest and in the report.
- I3 `verified` names an algorithm only if that checksum of the complete object matched.
- I4 Nothing outside the destination is touched, and nothing in it that is not ours.
- I5 The run failed if, and only if, a file failed.
- I6 A run without faults completes all files, and requests nothing for those that were complete already.
- I7 No thread, no open file, no temporary file is left behind, and requests are bounded.

I6 takes a second run: `Lab.converge`.
"""

import collections
import gc
import hashlib
import pathlib
import threading
from typing import TYPE_CHECKING, Any, cast

from roboto_dagster.disk import owner
from roboto_dagster.metadata import MAX_TABLE_ROWS
from roboto_dagster.testing.server.checksums import ChecksumAlgorithm, fingerprint
from roboto_dagster.testing.server.content import BytesContent
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.faults.lab import Lab, Run

_THREADS = ("roboto-", "ThreadPoolExecutor", "s3transfer")
_FD_SLACK = 2
_FD_SLACK_OF_FAILURES = (
    20  # botocore's errors hold their connections as long as somebody holds them
)
_ALGORITHMS = {"crc64nvme", "crc32c", "crc32", "sha256", "sha1"}


class Watch:
    """Remembers how things were before a run, to judge them after it."""

    def __init__(self, lab: "Lab") -> None:
        from tests.faults.lab import files_below

        self._lab = lab
        self._files_below = files_below
        self._before = files_below(lab.house)
        self._threads = set(threading.enumerate())
        self._fds = open_files()

    def check(self, run: "Run", *, on_refused: str = "fail", **_: object) -> None:
        """Checks I1 to I5 and I7."""
        after = self._files_below(self._lab.house)
        if run.rows is None:
            assert not run.success, "I5: a good run wrote no manifest"
            assert after == self._before or not self._lab.listed, "I4: nothing planned, but touched"
        else:
            self._check_files(after)
            self._check_outcomes(run, on_refused)
            self._check_verdicts(run)
        self._check_surroundings(after, run)
        self._check_leftovers(run)

    def _check_files(self, after: dict[str, Any]) -> None:
        lab = self._lab
        for path, versions in lab.versions.items():
            place = f"logs/{lab.dataset_id}/{path}"
            if place in after and after[place] != self._before.get(place):
                kind, data = after[place]
                assert kind == "file", f"I1: {path} is a {kind}"
                right = data in versions or path in lab.may_be_wrong
                assert right, f"I1: {path} holds other bytes than any version of it"

    def _check_outcomes(self, run: "Run", on_refused: str) -> None:
        rows = [row for row in run.rows or [] if row["status"] not in ("removed", "not_listed")]
        outcomes = collections.Counter(row["relative_path"] for row in rows)
        assert outcomes == self._lab.listed, "I2: not one outcome a file"
        logged = {
            name: table_of(run.metadata.get(f"roboto/{name}")) for name in ("failures", "skipped")
        }
        reported = collections.Counter(each for table in logged.values() for each in table)
        failed = collections.Counter(
            (row["relative_path"], row["error_code"]) for row in run.failed
        )
        assert not reported - failed, "I2: the report names what the manifest does not"
        if failed.total() <= MAX_TABLE_ROWS:  # a longer table is cut
            assert reported == failed, "I2: the report and the manifest disagree"
        counted = {
            name: run.metadata[f"roboto/files_{name}"].value
            for name in ("fetched", "unchanged", "failed")
        }
        by_status = collections.Counter(row["status"] for row in rows)
        assert counted == {name: by_status[name] for name in counted}, "I2: miscounted"
        may_pass = on_refused == "skip" and not logged["failures"]
        assert run.success == (not run.failed or may_pass), "I5: success and failures disagree"

    def _check_verdicts(self, run: "Run") -> None:
        for row in run.rows or []:
            if row["status"] not in ("fetched", "unchanged"):
                continue
            path = row["relative_path"]
            data = self._lab.local_path(path).read_bytes()
            assert row["size_bytes"] == len(data), f"I3: {path} is not of the size it claims"
            if row["verified"] != "size":
                assert data in self._lab.versions[path], f"I3: {path} is verified, and wrong"
                assert row_matches(row, data), f"I3: {path} does not match the checksum it names"

    def _check_surroundings(self, after: dict[str, Any], run: "Run") -> None:
        lab = self._lab
        ours = {f"logs/{lab.dataset_id}/{path}" for path in lab.listed}
        kept = {place: what for place, what in self._before.items() if place not in ours}
        removed = {
            f"logs/{lab.dataset_id}/{row['relative_path']}"
            for row in run.rows or []
            if row["status"] == "removed"
        }
        for place, what in kept.items():
            if _is_ours(place) or place in removed:
                continue
            assert after.get(place) == what, f"I4: {place} is not ours, and was touched"
        allowed = ours | {str(parent) for path in ours for parent in pathlib.PurePath(path).parents}
        new = {place for place in after.keys() - self._before.keys() if not _is_ours(place)}
        assert new <= allowed, f"I4: made what nobody planned: {sorted(new - allowed)}"

    def _check_leftovers(self, run: "Run") -> None:
        lab = self._lab
        left = leftovers(lab.destination)
        # What may be resumed next time is kept: big files that failed.
        resumable = {
            owner.target_of(pathlib.PurePath(row["relative_path"]).name)
            for row in run.failed
            if any(len(data) > 64 * 1024 for data in lab.versions.get(row["relative_path"], []))
        }
        lost = [path for path in left if not _is_for(path.name, resumable)]
        assert not lost, f"I7: temporary files were left: {lost}"
        assert eventually(lambda: not self._new_threads()), f"I7: threads: {self._new_threads()}"
        assert self._files_are_closed(run), (
            f"I7: {self._fds} open files before, {open_files()} after"
        )
        self._check_request_counts(run)

    def _files_are_closed(self, run: "Run") -> bool:
        bound = self._fds + (_FD_SLACK if run.success else _FD_SLACK_OF_FAILURES)
        if eventually(lambda: open_files() <= bound, 0.2):
            return True
        # urllib3's connections that broke are in cycles of botocore's, which the collector ends.
        gc.collect()
        return eventually(lambda: open_files() <= bound)

    def _new_threads(self) -> list[threading.Thread]:
        return [
            thread
            for thread in threading.enumerate()
            if thread not in self._threads and thread.name.startswith(_THREADS)
        ]

    def _check_request_counts(self, run: "Run") -> None:
        from tests.faults.lab import ATTEMPTS, PART

        # Without a key are botocore's own questions about a bucket's region.
        asked = collections.Counter(
            one.key for one in run.requests if one.service == "s3" and one.key
        )
        parts = max(
            (len(data) // PART + 2 for all_ in self._lab.versions.values() for data in all_),
            default=2,
        )
        # Every part and a HEAD in every attempt, and in each of three with fresh credentials.
        bound = parts * (ATTEMPTS + 3) * 2
        assert max(asked.values(), default=0) <= bound, f"I7: {asked.most_common(1)} > {bound}"


def table_of(value: Any) -> list[tuple[str, str]]:
    """Returns paths and codes of a table of failures, or nothing."""
    if value is None:
        return []
    records = [record.data for record in value.records]
    return [
        (str(one["relative_path"]), str(one["error_code"])) for one in records if one["error_code"]
    ]


def row_matches(row: dict[str, Any], data: bytes) -> bool:
    """Report whether a row's verdict is right about these bytes."""
    verified = row["verified"]
    if verified == "md5":
        return bool(row["etag"] == hashlib.md5(data).hexdigest())  # noqa: S324 - S3's choice
    assert verified in _ALGORITHMS, f"I3: a verdict nobody knows: {verified}"
    facts = fingerprint(
        BytesContent(data),
        algorithm=cast("ChecksumAlgorithm", verified.upper()),
        part_bytes=None,
        type="FULL_OBJECT",
    )
    return bool(row["checksum"] == f"{verified}:{facts.value}")


def leftovers(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the temporary files of this package below a folder."""
    return [path for path in folder.rglob(".*") if owner.parse_name(path.name) is not None]


def open_files() -> int:
    """Counts this process's open files; 0 where the system does not report it."""
    try:
        return len(list(pathlib.Path("/proc/self/fd").iterdir()))
    except OSError:
        return 0


def _is_ours(place: str) -> bool:
    """Report whether a path is a manifest or a temporary file of this package."""
    path = pathlib.PurePosixPath(place)
    return path.parts[:2] == ("logs", ".roboto") or owner.parse_name(path.name) is not None


def _is_for(name: str, targets: set[str]) -> bool:
    temporary = owner.parse_name(name)
    return temporary is not None and temporary.target in targets

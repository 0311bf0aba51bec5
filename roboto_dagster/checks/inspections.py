"""What the checks of a dataset asset look at, one function each; `roboto_dagster.checks` builds them.

Each compares what the manifests record with something else:

| inspection | compares with |
|---|---|
| `files_on_disk` | the files' presence and sizes |
| `checksums` | the files' bytes |
| `in_step_with_platform` | the platform's listing |
| `recently_synced` | the clock |

An inspection that cannot look, at a partition or at all, reports that as a violation: a check never
passes on what it has not seen.
"""

import datetime as dt
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from roboto_dagster.checks.findings import Findings, Subject, Violation
from roboto_dagster.delivered import (
    DeliveredFile,
    delivered_files,
    problem_on_disk,
    published_since,
    recorded_files,
)
from roboto_dagster.disk.tree import LocalTree
from roboto_dagster.errors import RobotoDagsterError
from roboto_dagster.platform.files import FileListing
from roboto_dagster.sync.report import duration_text
from roboto_dagster.text import count

if TYPE_CHECKING:  # the SDK costs about a second at import
    from roboto import RobotoClient


class _Rows:
    """Files of several partitions; a manifest that cannot be read is a violation, and hides no other."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.violations: list[Violation] = []
        self.since: Mapping[str, DeliveredFile] = {}
        """What was published in the partition of the last file since its manifest was written."""

    def __iter__(self) -> Iterator[DeliveredFile]:
        config, asset_key = self._subject.partitioning.config, self._subject.asset_key
        for key in self._subject.keys:
            self.since = published_since(config, asset_key, key)
            try:
                yield from delivered_files(config, asset_key, key)
            except RobotoDagsterError as error:
                self.violations.append(Violation(str(error), key))


def inspect_files_on_disk(subject: Subject) -> Findings:
    """Compare presence and size of every file with the manifest.

    Args:
        subject: What to inspect.
    """
    rows, checked, found = _Rows(subject), 0, list[Violation]()
    with subject.tree() as tree:
        for file in rows:
            checked += 1
            problem = problem_on_disk(tree, file, rows.since)
            if problem is not None:
                found.append(_violation(file, problem))
    return Findings(checked, [*rows.violations, *found], count(checked, "file"))


def inspect_checksums(subject: Subject) -> Findings:
    """Read files back and compare their checksums with those of the store.

    Args:
        subject: What to inspect.
    """
    chance = random.Random(subject.seed)  # noqa: S311 -- a sample, not a secret
    rows = _Rows(subject)
    with_checksum = (
        (file, rows.since.get(file.local_path))
        for file in rows
        if file.checksum and not file.error_code
    )
    size = subject.sample_files
    chosen = list(with_checksum) if size is None else _sample(with_checksum, size, chance)
    with subject.tree() as tree:
        found = [
            _violation(file, problem)
            for file, newer in chosen
            if subject.is_wanted()
            and (problem := _problem_of_bytes(tree, file, newer, subject.is_wanted)) is not None
        ]
    advice = "Delete the files that have other bytes, then materialize the partitions again."
    verified = f"the checksums of {count(len(chosen), 'file')}"
    return Findings(len(chosen), [*rows.violations, *found], verified, advice)


def inspect_in_step_with_platform(subject: Subject) -> Findings:
    """Compare the platform's listing with the manifests.

    Args:
        subject: What to inspect.
    """
    assert subject.platform is not None  # noqa: S101 -- required by the check
    client, org_id = subject.platform.client, subject.platform.org_id
    listed, found = 0, list[Violation]()
    for key in subject.keys:
        try:
            files, violations = _compare(subject, key, client, org_id)
        except RobotoDagsterError as error:  # a dataset that is gone must not hide the others
            files, violations = 0, [Violation(str(error), key)]
        listed += files
        found += violations
    return Findings(listed, found, f"{count(listed, 'file')} as the platform lists them")


def inspect_recently_synced(subject: Subject) -> Findings:
    """Compare the age of the manifests with `max_age`.

    Args:
        subject: What to inspect.
    """
    found: list[Violation] = []
    allowed = subject.max_age or dt.timedelta.max
    for key in subject.keys:
        manifest = subject.partitioning.config.manifest(subject.asset_key, key)
        try:
            synced_at = manifest.stat(follow_symlinks=False).st_mtime
        except OSError:
            found.append(Violation("was never synced here", key))
            continue
        seconds = max(time.time() - synced_at, 0.0)
        if seconds > allowed.total_seconds():
            limit = duration_text(allowed.total_seconds())
            problem = f"last synced {duration_text(seconds)} ago; {limit} is allowed"
            found.append(Violation(problem, key))
    return Findings(0, found, "a recent sync")


INSPECTIONS: Mapping[str, Callable[[Subject], Findings]] = {
    "files_on_disk": inspect_files_on_disk,
    "checksums": inspect_checksums,
    "in_step_with_platform": inspect_in_step_with_platform,
    "recently_synced": inspect_recently_synced,
}
"""Every inspection, by the name of its check."""


def _violation(file: DeliveredFile, problem: str) -> Violation:
    return Violation(problem, file.partition_key, file.relative_path)


_Candidate = tuple[DeliveredFile, DeliveredFile | None]


def _sample(files: Iterable[_Candidate], size: int, chance: random.Random) -> list[_Candidate]:
    """Draw some of them, each with the same chance, without holding all (algorithm R)."""
    drawn: list[_Candidate] = []
    for number, file in enumerate(files):
        if number < size:
            drawn.append(file)
        elif (place := chance.randrange(number + 1)) < size:
            drawn[place] = file
    return drawn


def _problem_of_bytes(
    tree: LocalTree,
    file: DeliveredFile,
    newer: DeliveredFile | None,
    is_wanted: Callable[[], bool],
) -> str | None:
    """Return what is wrong with the bytes of a file; those of a newer version are right, too."""
    # Imported here since it loads awscrt, which a code location need not load.
    from roboto_dagster.fs.core.checksums import ChecksumMismatchError, StoredChecksum, verify_file

    problem = None
    for each in (file, newer):
        algorithm, _, value = ((each and each.checksum) or "").partition(":")
        if each is None or not value:
            continue
        stored = StoredChecksum(algorithm=algorithm, value=value)  # type: ignore[arg-type]  # as written
        try:
            with tree.open(each.local_path) as opened:
                verify_file(opened.fileno(), stored, is_wanted)
        except ChecksumMismatchError as error:
            problem = str(error)
        except (OSError, ValueError) as error:
            return f"cannot be read: {getattr(error, 'strerror', None) or error}"
        else:
            return None
    return problem


def _compare(
    subject: Subject, key: str, client: "RobotoClient", org_id: str | None
) -> tuple[int, list[Violation]]:
    partitioning = subject.partitioning
    known = {
        (file.dataset_id, file.relative_path): (file.file_id, file.version)
        for file in recorded_files(partitioning.config, subject.asset_key, key)
    }
    since = published_since(partitioning.config, subject.asset_key, key)
    partition_key = key if partitioning.partitions_def is not None else None
    listed, found = 0, list[Violation]()
    for scope in partitioning.scopes(partition_key, client, org_id):
        for remote in FileListing(client, scope):
            listed += 1
            mine = known.pop((scope.dataset_id, remote.relative_path), None)
            newer = since.get(f"{scope.dataset_id}/{remote.relative_path}")
            is_newer = newer is not None and (newer.file_id, newer.version) == (
                remote.file_id,
                remote.version,
            )
            if mine == (remote.file_id, remote.version) or is_newer:
                continue
            if mine is not None:
                problem = f"version {remote.version} on the platform, {mine[1]} in the manifest"
                found.append(Violation(problem, key, remote.relative_path))
            elif remote.code is None:
                problem = "listed by the platform, not in the manifest"
                found.append(Violation(problem, key, remote.relative_path))
    found += [Violation("no longer listed by the platform", key, path) for _, path in known]
    return listed, found

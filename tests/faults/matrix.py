"""The fault matrix: what can go wrong, and what a user is promised then. The one source of the tests'
claims and of `docs/failures.md`.
"""

from dataclasses import dataclass
from typing import Literal

import pytest

from roboto_dagster.errors import ERROR_CODES

Area = Literal["Network", "Object", "Credentials", "Platform", "Disk", "Process", "Paths", "Scale"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault.

    Attributes:
        id: By which tests and issues name it.
        area: What it happens to.
        fault: What is wrong.
        injected: How the tests bring it about.
        promise: What the user gets.
        codes: What a failed file may be called; empty if the fault alone fails no file.
        advice: What to do; empty if nothing has to be done.
    """

    id: str
    area: Area
    fault: str
    injected: str
    promise: str
    codes: tuple[str, ...] = ()
    advice: str = ""

    def __post_init__(self) -> None:
        unknown = set(self.codes) - set(ERROR_CODES)
        if unknown:
            raise ValueError(f"{self.id}: no such codes: {unknown}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotInjected:
    """A fault that the tests cannot bring about, and why not."""

    id: str
    fault: str
    reason: str


_RUN_AGAIN = "Nothing. If it stays after all attempts, run it again later."


def _network() -> tuple[Row, ...]:
    def row(
        row_id: str, fault: str, injected: str, promise: str, *codes: str, advice: str = _RUN_AGAIN
    ) -> Row:
        return Row(
            id=row_id,
            area="Network",
            fault=fault,
            injected=injected,
            promise=promise,
            codes=codes,
            advice=advice,
        )

    return (
        row(
            "N1",
            "The connection closes in the middle of a body",
            "The store closes the socket after some bytes",
            "What is missing is asked again (by boto3: all of the file), of one version, and the whole file verified.",
            "CONNECTION",
        ),
        row(
            "N2",
            "A body is shorter than the object, and says so",
            "A Content-Length, and a body, that are too short",
            "Refused and asked again; never a hole in a file.",
            "SIZE_MISMATCH",
            "SERVER_ERROR",
        ),
        row(
            "N3",
            "A length that is wrong, missing, or told in chunks",
            "A Content-Length above the body's; none; chunked",
            "A body that ends early is asked again; one without a length counts if size and checksum match.",
            "CONNECTION",
        ),
        row(
            "N4",
            "A range answer holds other bytes than those asked for",
            "206 with a shorter or a shifted range",
            "Refused and asked again; never spliced in.",
            "SERVER_ERROR",
        ),
        row(
            "N5",
            "The store ignores ranges",
            "200 with the whole object to every range",
            "Never spliced in: the file comes in one stream instead.",
            advice="Nothing; big files are slower from such a store.",
        ),
        row(
            "N6",
            "A range answer does not say which range, or of which version, it is",
            "206 without Content-Range; answers without ETag",
            "Without a range: refused and asked again. Without an ETag: the file comes in one stream.",
            "SERVER_ERROR",
        ),
        row(
            "N7",
            "The connection is reset in the middle of a body",
            "RST after some bytes",
            "Asked again after a pause; bytes are counted once.",
            "CONNECTION",
        ),
        row(
            "N8",
            "A connection stays open and brings nothing",
            "The store stops in the middle of a body",
            "Dropped after stall_timeout_seconds (15) and asked again on another connection.",
            "STALLED",
            advice="Nothing. Raise stall_timeout_seconds if the network is known to pause.",
        ),
        row(
            "N9",
            "A connection brings next to nothing",
            "A body of a few hundred bytes a second",
            "Dropped like one that brings nothing, and asked again; the boto3 engine waits as long as anything comes.",
            "STALLED",
            advice="Nothing. Raise stall_timeout_seconds if the network is that slow.",
        ),
        row(
            "N10",
            "A bit flips on the way, at the right length",
            "One bit of the body changed, once or for ever",
            "The checksum tells; the file is fetched once more, and if it is wrong again nothing is published.",
            "CHECKSUM_MISMATCH",
            advice="Check the object, or upload the file again.",
        ),
        row(
            "N11",
            "A bit flips, and the store has no checksum of the object",
            "The same, on an object stored without a checksum",
            'Delivered, since nobody can know; the manifest says verified = size. verify="checksum" makes it a failure.',
            "CHECKSUM_MISMATCH",
            advice='Upload with a checksum (the default of every SDK since 2025), or set verify="checksum".',
        ),
        row(
            "N12",
            "The checksum is composite, unknown or wrong",
            "Checksum headers of other kinds, and a false one",
            "A composite or unknown one is no verdict (verified = size), not a failure; a false one is a mismatch.",
            "CHECKSUM_MISMATCH",
        ),
        row(
            "N13",
            "The store asks to slow down for a while",
            "503 SlowDown for the first requests",
            "Half the connections, pauses with jitter, success.",
            advice="Nothing.",
        ),
        row(
            "N14",
            "The store asks to slow down for ever",
            "503 SlowDown to every request",
            "Named after the retry policy's attempts; requests are bounded by files times attempts.",
            "THROTTLED",
            advice="Run it again later, or lower max_connections.",
        ),
        row(
            "N15",
            "The store fails, with or without a readable error",
            "500, 502, 504; an HTML page; broken XML",
            "Asked again, by the status alone.",
            "SERVER_ERROR",
        ),
        row(
            "N16",
            "429 with Retry-After",
            "429 with Retry-After: 1",
            "Waits at least so long.",
            "THROTTLED",
        ),
        row(
            "N17",
            "200 with an error document in place of the object",
            "200 with S3's InternalError as its body",
            "Size and checksum tell: asked again, never published.",
            "SIZE_MISMATCH",
            "SERVER_ERROR",
            "CHECKSUM_MISMATCH",
        ),
        row(
            "N18",
            "The bucket is in another region",
            "400 AuthorizationHeaderMalformed, 301, 307 that name it",
            "The region is learnt, and the request repeated there.",
            "CREDENTIALS_INVALID",
            advice="Nothing; if it fails, set the bucket's region with the platform.",
        ),
        row(
            "N19",
            "The store's name cannot be resolved",
            "An endpoint under .invalid (RFC 6761)",
            "Repeated as far as the policy goes, then named; not once more for every other file.",
            "CONNECTION",
            advice="Check the network, the endpoint and the proxy settings.",
        ),
        row(
            "N20",
            "Nobody listens; or the certificate is not trusted",
            "A closed port; a certificate signed by itself",
            "Refused connections are repeated; a bad certificate fails at once.",
            "CONNECTION",
            "TLS",
            advice="Check the endpoint; set AWS_CA_BUNDLE to your authority's certificates.",
        ),
        row(
            "N21",
            "A proxy says that it has compressed the body",
            "Content-Encoding: gzip on stored bytes",
            "The bytes of the object are stored as they are; nothing is unpacked.",
            advice="Nothing.",
        ),
        row(
            "N22",
            "An idle connection is dead when it is used again",
            "The store closes connections after an answer, without a word",
            "A new one is made, and the request repeated; it counts as no attempt.",
            advice="Nothing.",
        ),
    )


def _objects() -> tuple[Row, ...]:
    def row(
        row_id: str, fault: str, injected: str, promise: str, *codes: str, advice: str = _RUN_AGAIN
    ) -> Row:
        return Row(
            id=row_id,
            area="Object",
            fault=fault,
            injected=injected,
            promise=promise,
            codes=codes,
            advice=advice,
        )

    return (
        row(
            "O1",
            "An object is replaced between two ranges of it",
            "The store swaps it before a later request",
            "Begun anew on the new version, once; never a mixture of both.",
            "CHANGED",
            "SIZE_MISMATCH",
        ),
        row(
            "O2",
            "An object is replaced after it was listed",
            "Swapped between the listing and the download",
            "Of another size: a named failure. Of the same size: delivered whole, with its own ETag in the manifest.",
            "SIZE_MISMATCH",
            advice="Run it again once the platform's record is up to date.",
        ),
        row(
            "O3",
            "A listed object is gone",
            "404; 405 for a delete marker",
            "That file is named, asked for once; all others arrive.",
            "NOT_FOUND",
            advice="Upload the file again, or leave it out with exclude_patterns.",
        ),
        row(
            "O4",
            "An object shrinks while it is read",
            "Swapped for a shorter one; 416 to a range",
            "Never a success.",
            "CHANGED",
            "SIZE_MISMATCH",
        ),
        row(
            "O5",
            "The record's size is not the object's",
            "Records of too few and too many bytes",
            "A named failure that tells both numbers.",
            "SIZE_MISMATCH",
            advice="Upload the file again, so that the platform records its true size.",
        ),
        row(
            "O6",
            "The object is archived, or its key may not be used",
            "403 InvalidObjectState; 403 of KMS",
            "Named at once, with S3's own words; not repeated.",
            "ACCESS_DENIED",
            advice="Restore the object, or grant kms:Decrypt to the bucket's role.",
        ),
        row(
            "O7",
            "The store ignores If-Match",
            "The condition dropped, the object swapped",
            "Every answer's ETag is compared as well: never a mixture.",
            "CHANGED",
            "SIZE_MISMATCH",
        ),
    )


def _credentials() -> tuple[Row, ...]:
    def row(
        row_id: str, fault: str, injected: str, promise: str, *codes: str, advice: str = "Nothing."
    ) -> Row:
        return Row(
            id=row_id,
            area="Credentials",
            fault=fault,
            injected=injected,
            promise=promise,
            codes=codes,
            advice=advice,
        )

    return (
        row(
            "C1",
            "The credentials expire in the middle of a run",
            "All that was handed out ends; S3 answers ExpiredToken",
            "One refresh, and the request is repeated; no file fails, and it counts as no attempt.",
        ),
        row(
            "C2",
            "A clock is wrong",
            "Credentials that are over when they arrive; RequestTimeTooSkewed",
            "The store decides, not the clock: they are tried. A skew is measured and allowed for.",
            "CREDENTIALS_EXPIRED",
            advice="Correct this machine's clock.",
        ),
        row(
            "C3",
            "The platform's credentials make no sense",
            "An empty list, no token, another bucket, an HTML page",
            "Every file is named with one code; the message tells the shape, never a value.",
            "CREDENTIALS_INVALID",
            advice="Check ROBOTO_API_KEY and that the bucket is registered with the platform.",
        ),
        row(
            "C4",
            "The platform cannot hand out credentials for a while",
            "500 to credential requests while the present ones live",
            "The run goes on with the present ones.",
            "CREDENTIALS_INVALID",
        ),
        row(
            "C5",
            "Credentials that live for seconds",
            "A life of 2 seconds, a run that is longer",
            "Refreshed ahead of their end, by one request at a time, however many threads there are.",
        ),
        row(
            "C6",
            "One object may not be read",
            "403 AccessDenied for one key",
            "That file is named, asked for once; credentials are not asked for again.",
            "ACCESS_DENIED",
            advice="Check the bucket's policy.",
        ),
        row(
            "C7",
            "The credentials are revoked for good",
            "403 InvalidAccessKeyId to everything",
            "Ends soon: a few refreshes, not one for every file.",
            "CREDENTIALS_INVALID",
            "CREDENTIALS_EXPIRED",
            advice="Check ROBOTO_API_KEY and the bucket's registration.",
        ),
    )


def _platform() -> tuple[Row, ...]:
    def row(row_id: str, fault: str, injected: str, promise: str, *codes: str, advice: str) -> Row:
        return Row(
            id=row_id,
            area="Platform",
            fault=fault,
            injected=injected,
            promise=promise,
            codes=codes,
            advice=advice,
        )

    return (
        row(
            "A1",
            "A listing fails, or goes in circles",
            "500, a timeout, a page token that repeats",
            "Nothing is fetched, changed or removed on the word of half a listing; the run says why.",
            advice="Run it again later.",
        ),
        row(
            "A2",
            "A record makes no sense",
            "An unknown type, a negative size, no URI",
            "That file is named; all others arrive.",
            "BAD_RECORD",
            advice="Report the file's id to the platform's support, or set on_refused=\"skip\".",
        ),
        row(
            "A3",
            "A link leads nowhere",
            "A link to a version that is not there",
            "That link is named; all others arrive.",
            "NOT_FOUND",
            "BAD_RECORD",
            advice="Correct the link, or leave it out with exclude_patterns.",
        ),
    )


def _disk() -> tuple[Row, ...]:
    def row(row_id: str, fault: str, injected: str, promise: str, *codes: str, advice: str) -> Row:
        return Row(
            id=row_id,
            area="Disk",
            fault=fault,
            injected=injected,
            promise=promise,
            codes=codes,
            advice=advice,
        )

    return (
        row(
            "D1",
            "The disk fills up while files are fetched",
            "A tmpfs of a few hundred KiB, the check before switched off",
            "Nothing new is begun; what is whole stays, the rest is named, and nothing half is left.",
            "NO_SPACE",
            advice="Free space, then run it again: what is whole is kept.",
        ),
        row(
            "D2",
            "The plan does not fit on the disk",
            "The same, with the check",
            "Refused before the first byte, with need and have. free_space_reserve_bytes=None overrides.",
            advice="Free space, or choose another destination.",
        ),
        row(
            "D3",
            "The filesystem has no inodes left",
            "A tmpfs of 12 inodes",
            "Refused before the first byte; if it happens on the way, named.",
            "NO_SPACE",
            advice="Remove files, or choose another destination.",
        ),
        row(
            "D4",
            "A file may not become so big (quota, file size limit)",
            "RLIMIT_FSIZE",
            "A failure of that file; the process and the other files go on.",
            "LOCAL_IO",
            "NO_SPACE",
            advice="Raise the limit or the quota.",
        ),
        row(
            "D5",
            "The process may not open more files",
            "RLIMIT_NOFILE",
            "Fewer connections are used, and the run completes.",
            "LOCAL_IO",
            advice="Nothing; a higher limit is faster.",
        ),
        row(
            "D6",
            "The destination, or a folder in it, cannot be written",
            "A read-only mount; a plain file where a folder should be",
            "The destination: refused before anything is asked. A folder in it: its files are named, all others arrive.",
            "LOCAL_IO",
            advice="Correct the permissions, or what is in the way.",
        ),
        row(
            "D7",
            "The disk fails",
            "EIO from write, fsync and rename",
            "That file is named, its temporary file removed; never called whole.",
            "LOCAL_IO",
            advice="Check the disk.",
        ),
        row(
            "D8",
            "The final name is taken by a folder or another filesystem",
            "A folder, a mount point at the final path",
            "That file is named; what is there is untouched.",
            "LOCAL_IO",
            advice="Move away what is there.",
        ),
        row(
            "D9",
            "A file was edited, truncated or deleted between two runs",
            "Other size; other time; gone",
            "Fetched again. An edit that keeps size and modification time is not noticed.",
            advice="Nothing; to re-fetch everything delete the manifest.",
        ),
        row(
            "D10",
            "The manifest, or a journal, is garbage",
            "Truncated; other bytes; another version",
            "Never trusted. A manifest that is not ours fails the run with its path; a journal is ignored.",
            advice="Delete the file that is named.",
        ),
        row(
            "D11",
            "A temporary file is altered while no run is on",
            "A flipped byte in a partial file",
            "Checksums of its parts tell; what does not match is fetched again.",
            advice="Nothing.",
        ),
        row(
            "D12",
            "Two runs write to one destination at once",
            "Two runs of the same partition at the same time",
            "Both end right; bytes may be fetched twice. No lock is relied on.",
            advice="Nothing; to save bytes, give the asset a pool with a limit of one.",
        ),
    )


def _process() -> tuple[Row, ...]:
    def row(row_id: str, fault: str, injected: str, promise: str, *codes: str, advice: str) -> Row:
        return Row(
            id=row_id,
            area="Process",
            fault=fault,
            injected=injected,
            promise=promise,
            codes=codes,
            advice=advice,
        )

    return (
        row(
            "P1",
            "The run is cancelled, or gets SIGINT or SIGTERM",
            "Signals to a process in the middle of a transfer",
            "Ends within two seconds; what is whole is kept and known, the rest is CANCELLED.",
            "CANCELLED",
            advice="Run it again: what is whole is kept.",
        ),
        row(
            "P2",
            "The process is killed",
            "SIGKILL at random moments",
            "Every final path is absent or whole; the next run completes it and removes what was left behind.",
            advice="Run it again: what is whole is kept.",
        ),
        row(
            "P3",
            "Memory runs out in the middle of a file",
            "MemoryError when a file is opened or published",
            "That file is named; the others go on, and the run ends.",
            "UNEXPECTED",
            advice="Lower max_connections.",
        ),
        row(
            "P4",
            "The caller's progress callback raises",
            "A callback that raises",
            "Said once in the log; the transfer goes on.",
            advice="Mend the callback.",
        ),
        row(
            "P5",
            "The process forks while a store is open",
            "fork, then a use of the parent's store",
            "Refused in the child with an explanation; no connection is ever shared. The parent goes on.",
            advice="Make the store in the process that uses it.",
        ),
    )


def _paths() -> tuple[Row, ...]:
    def row(row_id: str, fault: str, injected: str, promise: str, *codes: str, advice: str) -> Row:
        return Row(
            id=row_id,
            area="Paths",
            fault=fault,
            injected=injected,
            promise=promise,
            codes=codes,
            advice=advice,
        )

    rename = 'Rename the file on the platform, or set on_refused="skip".'
    return (
        row(
            "X1",
            "A path that leads out of the destination",
            "Records with .., absolute, drive and backslash paths",
            "Refused in the plan and named; all others arrive.",
            "UNSAFE_PATH",
            advice=rename,
        ),
        row(
            "X2",
            "A symbolic link is planted in the destination, before or during a run",
            "A link for a folder or a file, and a thread that plants them",
            "Never followed: a linked folder is an error, a linked file is replaced, what it led to is untouched.",
            "UNSAFE_PATH",
            advice="Find out who planted it.",
        ),
        row(
            "X3",
            "Two files claim one place",
            "The same path twice; a beside a/b; other case; other Unicode form",
            "All that claim it are refused before any byte; all others arrive.",
            "COLLISION",
            advice="Rename one on the platform, or exclude one with exclude_patterns.",
        ),
        row(
            "X4",
            "A name that some filesystem cannot hold",
            "NUL, newline, 256 bytes, CON, a trailing dot, no Unicode",
            "Refused by one rule on every platform; a leading dash, spaces and emoji are stored exactly.",
            "UNSAFE_PATH",
            advice=rename,
        ),
        row(
            "X5",
            "A key that URLs would mangle",
            "Keys with ?, #, %, +, //, . and .. segments, a leading /",
            "Exactly that key is asked for.",
            advice="Nothing.",
        ),
        row(
            "X6",
            "The destination is a FIFO, a socket or a device",
            "mkfifo at the final path",
            "Refused and named, never opened and never replaced: no hang.",
            "LOCAL_IO",
            advice="Move it away, or choose another destination.",
        ),
        row(
            "X7",
            "A user's own file looks like one of our temporary files",
            "Such a file, before the run",
            "Another name is chosen; the user's file is kept.",
            advice="Nothing.",
        ),
    )


def _scale() -> tuple[Row, ...]:
    return (
        Row(
            id="S1",
            area="Scale",
            fault="A dataset of very many files, nearly all unchanged",
            injected="Tens of thousands of files, all known but a few",
            promise="No request for what is unchanged, and memory that stays flat.",
            advice="Nothing.",
        ),
    )


MATRIX: tuple[Row, ...] = (
    *_network(),
    *_objects(),
    *_credentials(),
    *_platform(),
    *_disk(),
    *_process(),
    *_paths(),
    *_scale(),
)

BY_ID = {row.id: row for row in MATRIX}

NOT_INJECTED: tuple[NotInjected, ...] = (
    NotInjected(
        id="D13",
        fault="The machine loses power after a file was published",
        reason='Takes a block device that drops unflushed writes. With durability="full" the file is flushed before '
        "its rename and its folder after it, which is as much as a program can do.",
    ),
    NotInjected(
        id="D12 on NFS",
        fault="Two runs on two hosts write to one network filesystem",
        reason="Takes two hosts. Nothing rests on locks, so that two runs on one host show the same interleavings.",
    ),
    NotInjected(
        id="N19, temporary",
        fault="The resolver fails for a moment",
        reason="The resolver belongs to libc, out of a test's reach without replacing it. It is told like a refused "
        "connection, which is tested.",
    ),
    NotInjected(
        id="D4, quota",
        fault="A disk quota is used up (EDQUOT)",
        reason="Takes a filesystem with quotas. EDQUOT and ENOSPC are one case in one place of the code.",
    ),
    NotInjected(
        id="S2",
        fault="One object of 5 TiB",
        reason="Takes a day. Files of many parts show that memory does not grow with the number of parts.",
    ),
    NotInjected(
        id="S3",
        fault="A run of 24 hours with credentials that change every two minutes",
        reason="Takes a day. Runs of seconds with credentials that live for seconds are the same in small.",
    ),
)


def covers(*ids: str) -> pytest.MarkDecorator:
    """Marks a test as one of these rows'."""
    missing = [each for each in ids if each not in BY_ID]
    if missing:
        raise ValueError(f"The matrix has no {missing}")
    return pytest.mark.covers(*ids)

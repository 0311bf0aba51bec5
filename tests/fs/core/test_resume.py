"""What an earlier run left of a file is counted in, whatever the initial stream does meanwhile."""

import pathlib

from roboto_dagster.disk.resume_log import Part
from roboto_dagster.disk.temp_file import open_partial
from roboto_dagster.fs.core.answers import validate_response
from roboto_dagster.fs.core.checksums import Algorithm, CrcDigest
from roboto_dagster.fs.core.download import Download, RangeRequest
from roboto_dagster.fs.core.response import Head
from roboto_dagster.fs.core.resume import check_part, resume_with
from roboto_dagster.fs.object_store import Transfer

PART = 100
DATA = bytes(range(250)) + bytes(150)


def _begin(folder: pathlib.Path) -> tuple[Download, RangeRequest]:
    """Begins a file whose initial stream was answered."""
    download = Download(
        Transfer(lambda _: None),
        "s3://bucket/key",
        "bucket",
        "key",
        folder / "a.bin",
        within=folder,
        before_publish=None,
        expected_size=len(DATA),
        on_progress=None,
        part_size=PART,
        verify="auto",
    )
    initial = download.first_request()
    head = Head(200, {"content-length": str(len(DATA)), "etag": '"parts-4"'})
    assert validate_response(download, initial, head) is None
    download.open(open_partial(download.destination, folder))
    return download, initial


def _part(start: int, stop: int, algorithm: Algorithm = "crc64nvme") -> tuple[Part, CrcDigest]:
    """Returns a part as it is logged, with its checksum."""
    digest = CrcDigest(algorithm)
    digest.update(DATA[start:stop])
    return Part(start, stop, algorithm, digest.text()), digest


def _taken(download: Download) -> list[tuple[int, int]]:
    """Takes all ranges that are left to request."""
    requests = iter(download.next_request, None)
    return [(request.start, request.stop) for request in requests]


def test_the_stream_that_is_cut_writes_nothing_behind_the_parts(tmp_path: pathlib.Path) -> None:
    """Its next bytes are those of where it was, not those after what the earlier run left."""
    download, initial = _begin(tmp_path)
    initial.write(DATA[:10])
    resume_with(download, dict([_part(0, 2 * PART)]))
    assert not initial.write(DATA[10:60])
    assert initial.is_complete
    assert _taken(download)[0] == (2 * PART, 3 * PART)
    download.discard()


def test_a_stream_that_has_come_further_is_not_cut(tmp_path: pathlib.Path) -> None:
    """What it has received meanwhile is not asked for again."""
    download, initial = _begin(tmp_path)
    initial.write(DATA[:50])
    resume_with(download, dict([_part(0, 35)]))
    assert (initial.position, initial.stop) == (50, PART)
    assert _taken(download)[0] == (PART, 2 * PART)
    download.discard()


def test_parts_without_a_gap_from_the_first_byte_count_together(tmp_path: pathlib.Path) -> None:
    """The second one counts, although the initial stream has come past its start."""
    download, initial = _begin(tmp_path)
    initial.write(DATA[:50])
    resume_with(download, dict([_part(0, 35), _part(35, 2 * PART)]))
    assert initial.stop == 2 * PART
    assert _taken(download)[0] == (2 * PART, 3 * PART)
    download.discard()


def test_a_part_logged_with_another_checksum_is_of_use(tmp_path: pathlib.Path) -> None:
    """The logged checksum proves the bytes, and the wanted one is computed of them."""
    (tmp_path / "left").write_bytes(DATA)
    part, _ = _part(PART, 2 * PART, "crc32")
    with (tmp_path / "left").open("rb") as file:
        checked = check_part(file.fileno(), part, "crc64nvme")
        assert check_part(file.fileno(), part._replace(checksum="AAAAAA=="), "crc64nvme") is None
    assert checked is not None
    assert (checked.algorithm, checked.text()) == ("crc64nvme", _part(PART, 2 * PART)[1].text())

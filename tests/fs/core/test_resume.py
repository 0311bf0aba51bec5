"""What an earlier run left of a file is counted in, whatever the initial stream does meanwhile."""

import pathlib

from roboto_dagster.disk.resume_log import Part
from roboto_dagster.disk.temp_file import open_partial
from roboto_dagster.fs.core.answers import validate_response
from roboto_dagster.fs.core.checksums import CrcDigest
from roboto_dagster.fs.core.download import Download
from roboto_dagster.fs.core.response import Head
from roboto_dagster.fs.core.resume import resume_with
from roboto_dagster.fs.object_store import Transfer

PART = 100
DATA = bytes(range(250)) + bytes(150)


def test_the_stream_that_is_cut_writes_nothing_behind_the_parts(tmp_path: pathlib.Path) -> None:
    """Its next bytes are those of where it was, not those after what the earlier run left."""
    download = Download(
        Transfer(lambda _: None),
        "s3://bucket/key",
        "bucket",
        "key",
        tmp_path / "a.bin",
        within=tmp_path,
        before_publish=None,
        expected_size=len(DATA),
        on_progress=None,
        part_size=PART,
        verify="auto",
    )
    initial = download.first_request()
    head = Head(200, {"content-length": str(len(DATA)), "etag": '"parts-4"'})
    assert validate_response(download, initial, head) is None
    download.open(open_partial(download.destination, tmp_path))
    initial.write(DATA[:10])
    digest = CrcDigest("crc64nvme")
    digest.update(DATA[: 2 * PART])
    resume_with(download, {Part(0, 2 * PART, "crc64nvme", digest.text()): digest})
    assert not initial.write(DATA[10:60])
    assert initial.is_complete
    following = download.next_request()
    assert following is not None
    assert (following.start, following.stop) == (2 * PART, 3 * PART)
    download.discard()

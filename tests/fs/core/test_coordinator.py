"""What is the same for every driver, where the order of events matters."""

import pathlib
from typing import Any

from roboto_dagster.disk.resume_log import Part
from roboto_dagster.fs.core.checksums import CrcDigest
from roboto_dagster.fs.core.connections import BytesInFlight
from roboto_dagster.fs.core.coordinator import Coordinator
from roboto_dagster.fs.core.download import Download
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.response import Head
from roboto_dagster.fs.core.resume import resume_with
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.core.store_state import StoreState
from roboto_dagster.fs.credential_cache import CredentialCache
from roboto_dagster.fs.object_store import Transfer

DATA = bytes(range(150))


class NoDriver:
    """A driver with nothing under way."""

    def abort(self, _: Download) -> None:
        """Ends nothing."""

    def run_in_worker(self, *_: Any) -> None:
        """Starts nothing."""


def test_a_request_whose_bytes_were_found_on_disk_is_not_sent(tmp_path: pathlib.Path) -> None:
    """It waited for its next attempt while they were read back: an empty range is no request."""
    keys = {"access_key": "a", "secret_key": "b", "token": "c", "region": "us-east-1"}
    provider: Any = lambda: {**keys, "expiry_time": None}  # noqa: E731 - of the SDK's type
    cache = CredentialCache(provider, in_background=lambda work: work())
    state = StoreState(S3Settings(part_size_bytes=100), cache, connections=4)
    core = Coordinator(state, NoDriver(), bytes_in_flight=BytesInFlight(1 << 20))
    transfer, place = Transfer(lambda _: None), tmp_path / "a.bin"
    download = Download(
        transfer,
        "s3://bucket/a.bin",
        "bucket",
        "a.bin",
        place,
        within=tmp_path,
        before_publish=None,
        expected_size=len(DATA),
        on_progress=None,
        part_size=100,
        verify="auto",
    )
    core.files.add(download)
    assert core.next(0.0) is None  # asks for credentials
    initial = core.next(1.0)
    assert initial is not None
    head = Head(200, {"content-length": str(len(DATA)), "etag": '"of-a-version"'})
    assert core.validate_response(initial, head) is None
    initial.write(DATA[:10])
    core.released(initial)
    core.failed(initial, Failure(code="CONNECTION", reason="it broke"), 2.0)
    assert download.content.partial is not None
    digest = CrcDigest("crc32c")
    digest.update(DATA)
    download.content.write(DATA[10:], 10)
    resume_with(download, {Part(0, len(DATA), "crc32c", digest.text()): digest})
    assert core.next(100.0) is None
    core.publish_waiting()
    assert transfer.done()
    assert place.read_bytes() == DATA
    core.close()

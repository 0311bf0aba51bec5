"""Thousands of files, and a store that is down: few requests, few log lines, and an end."""

import logging
import pathlib
import threading
from collections.abc import Iterable
from typing import Any

import pytest

from roboto_dagster.errors import DownloadError
from roboto_dagster.fs.download_session import DownloadSession
from roboto_dagster.fs.object_store import FutureLike, StoreRegistry
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.types import DownloadableFile
from tests.fs.scripted_server import Asked, ScriptedServer, StoredObject, credentials, error

FILES = 4000
REFUSALS = 80
DATA = b"data"
PATIENCE = RetryConfig(max_attempts=3, wait_initial_seconds=0.1, wait_max_seconds=0.1)


class Association:
    """Whose files they are."""

    association_id = "ds_1"
    is_dataset = True


def files(folder: pathlib.Path) -> list[DownloadableFile]:
    """Return many files."""
    return [
        DownloadableFile(
            bucket_name="bucket",
            source_uri=f"s3://bucket/{number}",
            destination_path=folder / str(number),
        )
        for number in range(FILES)
    ]


def store_of(engine: str, server: ScriptedServer, **options: Any) -> Any:
    """Make a store of few connections."""
    return StoreRegistry.get_store_for_uri(
        "s3://bucket/key",
        credentials,
        engine=engine,
        endpoint_url=server.url,
        max_connections=16,
        **{"retry": PATIENCE, **options},
    )


def test_a_store_that_is_down_is_left_alone(
    engine: str, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Every file fails, most of them without a request."""
    settled: list[DownloadError | None] = []

    def on_settled(_: DownloadableFile, __: FutureLike[None], failed: DownloadError | None) -> None:
        settled.append(failed)

    session = DownloadSession(files(tmp_path), Association(), on_settled=on_settled)  # type: ignore[arg-type]  # all of it that is used

    def fetch(store: Any) -> None:
        with store:
            for file in session:
                future = store.get(file["source_uri"], file["destination_path"])
                session.register_download(file, future)

    with (
        ScriptedServer(lambda _: error(500, "InternalError")) as server,
        caplog.at_level(logging.INFO),
        pytest.raises(Exception, match="4000 files"),
    ):
        fetch(store_of(engine, server))
    assert len(settled) == FILES
    assert {failed and failed.code for failed in settled} == {"SERVER_ERROR"}
    assert len(server.asked) < 400
    assert len(caplog.records) < 30


def test_files_wait_while_a_store_is_down_for_a_moment(engine: str, tmp_path: pathlib.Path) -> None:
    """What is queued then is not worn out: few files are tried again and again until the store is back."""
    lock = threading.Lock()
    refused: list[str] = []

    def answer(asked: Asked) -> Iterable[bytes]:
        with lock:
            if len(refused) < REFUSALS:
                refused.append(asked.path)
                return error(503, "SlowDown")
        return StoredObject(data=DATA).answer(asked)

    # No file can use up its attempts, however unevenly the refusals fall.
    retry = RetryConfig(max_attempts=REFUSALS + 1, wait_initial_seconds=0.5, wait_max_seconds=0.5)
    with ScriptedServer(answer) as server, store_of(engine, server, retry=retry) as store:
        transfers = [
            store.get(file["source_uri"], file["destination_path"], size_bytes=len(DATA))
            for file in files(tmp_path)[: 2 * REFUSALS]
        ]
        assert [transfer.exception(timeout=60) for transfer in transfers] == [None] * 2 * REFUSALS
    assert len(set(refused)) < REFUSALS / 2

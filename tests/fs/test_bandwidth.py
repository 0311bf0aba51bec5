"""The bound on bytes per second holds for real transfers, of one store and of several together."""

import pathlib
import time
from typing import Any

import pytest

from roboto_dagster.fs.object_store import StoreRegistry
from roboto_dagster.fs.shared_engine import SharedEngine
from tests.fs.scripted_server import ScriptedServer, StoredObject, credentials

MIB = 1024 * 1024
DATA = bytes(MIB)
RATE_MIB_S = 4.0


@pytest.mark.parametrize("stores", [1, 3])
def test_no_more_comes_than_is_allowed(engine: str, tmp_path: pathlib.Path, stores: int) -> None:
    """Six files of 1 MiB take a second and a half, and no connection is taken for one that hangs."""
    retried: list[object] = []
    with (
        ScriptedServer(StoredObject(data=DATA).answer) as server,
        SharedEngine() as shared,
    ):
        opened: list[Any] = [
            StoreRegistry.get_store_for_uri(
                "s3://bucket/key",
                credentials,
                engine=engine,
                endpoint_url=server.url,
                max_bandwidth_mib_s=RATE_MIB_S,
                stall_timeout_seconds=1.5,
                on_retry=lambda *failure: retried.append(failure),
                shared=shared,
            )
            for _ in range(stores)
        ]
        started = time.monotonic()
        transfers = [
            opened[number % stores].get(
                "s3://bucket/key", tmp_path / str(number), size_bytes=len(DATA)
            )
            for number in range(6)
        ]
        assert [transfer.exception(timeout=60) for transfer in transfers] == [None] * 6
        seconds = time.monotonic() - started
        for store in opened:
            store.__exit__(None, None, None)
    assert seconds > 0.75 * 6 / RATE_MIB_S
    assert retried == []

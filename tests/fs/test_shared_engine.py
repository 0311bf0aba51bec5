"""Stores that share an engine: its bounds are on all of them together, its troubles each store's own."""

import concurrent.futures
import contextlib
import pathlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from roboto_dagster.errors import ConfigurationError, DownloadError, PlatformError
from roboto_dagster.fs.core.settings import MIB
from roboto_dagster.fs.object_store import StoreRegistry
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.fs.shared_engine import SharedEngine
from tests.fs.scripted_server import Asked, ScriptedServer, StoredObject, credentials, error

pytestmark = pytest.mark.slow

CONNECTIONS = 8
DATA = b"data" * 100
PATIENT = RetryConfig(max_attempts=50, wait_initial_seconds=30.0, wait_max_seconds=60.0)
GOOD = StoredObject(data=DATA)

OpenStore = Callable[..., Any]


def hang(asked: Asked) -> Iterable[bytes]:
    """Answer nothing."""
    asked.closing.wait(60)
    return ()


def by_bucket(asked: Asked) -> Iterable[bytes]:
    """Answer as the bucket's name has it."""
    if asked.path.startswith("/hangs"):
        return hang(asked)
    if asked.path.startswith("/throttles"):
        return error(503, "SlowDown")
    return GOOD.answer(asked)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A store whose buckets answer differently."""
    with ScriptedServer(by_bucket) as running:
        yield running


@pytest.fixture
def shared() -> Iterator[SharedEngine]:
    """What the stores of a test share; whatever is under way at the end is cancelled."""
    with contextlib.suppress(_OverError), SharedEngine() as engine:
        yield engine
        raise _OverError


class _OverError(Exception):
    """The test is over."""


@pytest.fixture
def open_store(engine: str, server: ScriptedServer, shared: SharedEngine) -> OpenStore:
    """Makes stores of the engine in turn that share one engine."""

    def make(provider: Any = credentials, **options: Any) -> Any:
        defaults = {"max_connections": CONNECTIONS, "stall_timeout_seconds": 60.0}
        return StoreRegistry.get_store_for_uri(
            "s3://any/key",
            provider,
            engine=engine,
            endpoint_url=server.url,
            shared=shared,
            **{**defaults, **options},
        )

    return make


def fetch(
    store: Any, bucket: str, folder: pathlib.Path, count: int, size_bytes: int = len(DATA)
) -> list[Any]:
    """Start downloads."""
    return [
        store.get(f"s3://{bucket}/{number}", folder / bucket / str(number), size_bytes=size_bytes)
        for number in range(count)
    ]


def threads() -> list[str]:
    """Return the names of the engines' threads."""
    return [each.name for each in threading.enumerate() if each.name.startswith("roboto-")]


def test_stores_side_by_side_keep_one_bound(
    engine: str, shared: SharedEngine, tmp_path: pathlib.Path
) -> None:
    """Never more connections than one store may have, and no more threads."""
    lock, counts = threading.Lock(), [0, 0]

    def answer(asked: Asked) -> Iterable[bytes]:
        with lock:
            counts[0] += 1
            counts[1] = max(counts)
        yield from GOOD.answer(asked)
        with lock:
            counts[0] -= 1

    def run(name: str, url: str) -> None:
        options: dict[str, Any] = {"endpoint_url": url, "max_connections": CONNECTIONS}
        store: Any = StoreRegistry.get_store_for_uri(
            "s3://any/key", credentials, engine=engine, shared=shared, **options
        )
        with store:
            fetch(store, name, tmp_path, 25)

    with ScriptedServer(answer) as busy, concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(run, [f"bucket-{number}" for number in range(6)], [busy.url] * 6))
        started = threads()
    assert len(list(tmp_path.rglob("bucket-*/*"))) == 150
    assert 1 < counts[1] <= CONNECTIONS
    assert len(started) <= CONNECTIONS + 1


@pytest.mark.parametrize("trouble", ["hangs", "throttles"])
@pytest.mark.parametrize("size_bytes", [len(DATA), 200 * MIB], ids=["small", "big"])
def test_a_store_in_trouble_holds_no_other_up(
    open_store: OpenStore, tmp_path: pathlib.Path, trouble: str, size_bytes: int
) -> None:
    """However much of it is queued, and from before the others came."""
    bad = open_store(retry=PATIENT)
    stuck = fetch(bad, trouble, tmp_path, 60, size_bytes)
    with open_store(retry=PATIENT) as good:
        for transfer in fetch(good, "good", tmp_path, 40):
            transfer.result(timeout=60)
    assert not any(transfer.done() for transfer in stuck)


def test_a_server_that_throttles_several_stores_is_spared_by_all(
    engine: str, shared: SharedEngine, tmp_path: pathlib.Path
) -> None:
    """Small datasets, each of fewer files than it may have connections, use fewer of them together."""
    lock, now, most, asked_at_first = threading.Lock(), 0, 0, 0
    refused, calm = threading.Barrier(CONNECTIONS), threading.Event()

    def answer(asked: Asked) -> Iterable[bytes]:
        nonlocal now, most, asked_at_first
        if not calm.is_set():
            with lock:
                asked_at_first += 1
            if asked_at_first <= CONNECTIONS:
                refused.wait(30)  # all of them are under way
                yield from error(503, "SlowDown", **{"Retry-After": "1"})
                return
            calm.set()
        with lock:
            now += 1
            most = max(most, now)
        asked.closing.wait(0.05)
        with lock:
            now -= 1
        yield from GOOD.answer(asked)

    with ScriptedServer(answer) as busy, contextlib.ExitStack() as stack:
        options: dict[str, Any] = {"endpoint_url": busy.url, "max_connections": CONNECTIONS}
        stores = [
            stack.enter_context(
                StoreRegistry.get_store_for_uri(
                    "s3://any/key", credentials, engine=engine, shared=shared, **options
                )
            )
            for _ in range(CONNECTIONS)
        ]
        transfers = [
            each
            for number, store in enumerate(stores)
            for each in fetch(store, f"bucket-{number}", tmp_path, 2)
        ]
        assert [each.exception(timeout=30) for each in transfers] == [None] * len(transfers)
    assert 1 <= most <= CONNECTIONS // 2 + 1


def test_a_store_without_credentials_holds_no_other_up(
    open_store: OpenStore, tmp_path: pathlib.Path
) -> None:
    """Each store has credentials, and failures, of its own."""

    def refuse() -> Any:
        raise PlatformError("you may not read this", transient=False)

    with open_store(refuse) as bad, open_store() as good:
        denied = fetch(bad, "good", tmp_path / "bad", 3)
        granted = fetch(good, "good", tmp_path / "good", 10)
        assert [transfer.exception(timeout=60) for transfer in granted] == [None] * 10
        errors = [transfer.exception(timeout=60) for transfer in denied]
    assert {error.code for error in errors if isinstance(error, DownloadError)} == {
        "CREDENTIALS_INVALID"
    }


def test_a_store_that_is_left_ends_its_own_files_alone(
    open_store: OpenStore, tmp_path: pathlib.Path
) -> None:
    """Left with an error, its files are cancelled; those of the others go on."""
    other = open_store()
    others = fetch(other, "hangs", tmp_path / "other", 2)
    left = open_store()
    lefts: list[Any] = []

    def leave_with_error() -> None:
        with left:
            lefts.extend(fetch(left, "hangs", tmp_path / "left", 5))
            raise KeyError

    with pytest.raises(KeyError):
        leave_with_error()
    assert {transfer.exception(timeout=0).code for transfer in lefts} == {"CANCELLED"}
    assert not any(transfer.done() for transfer in others)
    with pytest.raises(ConfigurationError, match="closed"):
        fetch(left, "good", tmp_path, 1)


def test_connections_of_cancelled_stores_are_free_again(
    open_store: OpenStore, tmp_path: pathlib.Path
) -> None:
    """Stores that hold every connection and are cancelled leave nothing behind that counts as in use."""
    hanging = [open_store() for _ in range(CONNECTIONS)]
    stuck = [
        transfer
        for number, store in enumerate(hanging)
        for transfer in fetch(store, "hangs", tmp_path / str(number), CONNECTIONS)
    ]
    for store in hanging:
        store.cancel()
    assert {transfer.exception(timeout=60).code for transfer in stuck} == {"CANCELLED"}
    with open_store() as store:
        for transfer in fetch(store, "good", tmp_path, 3):
            transfer.result(timeout=60)


def test_the_engine_outlives_its_stores(open_store: OpenStore, tmp_path: pathlib.Path) -> None:
    """A store opened after all others have ended uses the same threads."""
    running = []
    for number in range(3):
        with open_store() as store:
            fetch(store, "good", tmp_path / str(number), 4)
        running.append({each.ident for each in threading.enumerate() if "roboto-" in each.name})
    assert running[0] & running[2]


def test_nothing_runs_after_the_engine(
    engine: str, server: ScriptedServer, tmp_path: pathlib.Path
) -> None:
    """Not even of a store that was never left; what it fetched is complete."""
    before = threads()
    with SharedEngine() as shared:
        store: Any = StoreRegistry.get_store_for_uri(
            "s3://any/key", credentials, engine=engine, endpoint_url=server.url, shared=shared
        )
        transfers = fetch(store, "good", tmp_path, 5)
    assert [transfer.exception(timeout=0) for transfer in transfers] == [None] * 5
    assert sorted(threads()) == sorted(before)
    with pytest.raises(ConfigurationError, match="SharedEngine is closed"):
        StoreRegistry.get_store_for_uri("s3://any/key", credentials, engine=engine, shared=shared)


def test_stores_take_turns(engine: str, shared: SharedEngine, tmp_path: pathlib.Path) -> None:
    """A store that comes late, with little, need not wait until a long queue is empty."""
    everything_is_queued = threading.Event()

    def answer(asked: Asked) -> Iterable[bytes]:
        everything_is_queued.wait(60)
        return GOOD.answer(asked)

    with ScriptedServer(answer) as server:
        early, late = (
            StoreRegistry.get_store_for_uri(
                "s3://any/key",
                credentials,
                engine=engine,
                endpoint_url=server.url,
                max_connections=1,
                shared=shared,
            )
            for _ in range(2)
        )
        with early, late:
            fetch(early, "early", tmp_path, 30)
            fetch(late, "late", tmp_path, 3)
            everything_is_queued.set()
        order = [asked.path.split("/")[1] for asked in server.asked]
    assert order[:8].count("late") == 3


def test_other_settings_are_another_engine(
    open_store: OpenStore, server: ScriptedServer, tmp_path: pathlib.Path
) -> None:
    """What is called for each store is no part of them, what bounds an engine is."""
    retried: list[object] = []
    with (
        open_store(on_retry=lambda *_: retried.append(1)) as one,
        open_store(on_retry=None) as same,
        open_store(max_connections=2) as different,
    ):
        for number, store in enumerate((one, same, different)):
            fetch(store, "good", tmp_path / str(number), 1)[0].result(timeout=60)
    assert len(server.asked) == 3
    assert retried == []

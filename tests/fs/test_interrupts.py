"""Whatever line a signal interrupts, no thread and no descriptor of a store is left."""

import dataclasses
import gc
import os
import pathlib
import sys
import threading
import types
from typing import Any

import pytest
from typing_extensions import Self

from roboto_dagster.fs.boto import download, monitor
from roboto_dagster.fs.boto import store as boto_store
from roboto_dagster.fs.boto.store import BotoStore
from roboto_dagster.fs.curl import engine, inbox, loop, poller
from roboto_dagster.fs.curl import store as curl_store
from roboto_dagster.fs.curl.store import CurlStore
from roboto_dagster.fs.engine import store as engine_store
from roboto_dagster.fs.engine import tenant
from tests.fs.scripted_server import ScriptedServer, StoredObject, credentials
from tests.waiting import eventually

pytestmark = pytest.mark.slow


@dataclasses.dataclass(frozen=True)
class Engine:
    """Where a store of one engine may be interrupted.

    Attributes:
        store: The class of the store.
        files: The modules.
        steps: The functions in them that start and that stop what runs.
    """

    store: type[BotoStore | CurlStore]
    files: set[str | None]
    steps: dict[str, set[str]]


ENGINES = {
    "boto3": Engine(
        BotoStore,
        {module.__file__ for module in (boto_store, download, monitor)},
        {
            "start": {"get", "_started", "start", "submit", "call", "_call", "__init__"},
            "stop": {"__exit__", "_end", "stop", "join", "cancel_all", "call", "_call", "close"},
        },
    ),
    "curl": Engine(
        CurlStore,
        {
            module.__file__
            for module in (engine_store, curl_store, engine, loop, inbox, poller, tenant)
        },
        {
            "start": {"get", "choose", "_start", "start", "open", "stop", "__init__"},
            "stop": {
                "__exit__",
                "close",
                "_end",
                "_close",
                "end",
                "_stop",
                "stop",
                "join",
                "cancel",
                "cancel_all",
                "call",
                "wake",
            },
        },
    ),
}


class _Interrupt(BaseException):
    """What a signal handler raises."""


class Interrupter:
    """Raises at the n-th line that this thread runs in some functions.

    Args:
        places: The modules' files.
        names: The functions.
        number: Which line; one more than there are only counts.
    """

    def __init__(self, places: set[str | None], names: set[str], number: int) -> None:
        self._places = places
        self._names = names
        self._left = number
        self.has_struck = False

    def __enter__(self) -> Self:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: types.FrameType, _: str, __: Any) -> Any:
        code = frame.f_code
        return (
            self._line if code.co_filename in self._places and code.co_name in self._names else None
        )

    def _line(self, _: types.FrameType, event: str, __: Any) -> Any:
        if event == "line" and not self.has_struck:
            self._left -= 1
            if self._left < 0:
                self.has_struck = True
                raise _Interrupt
        return self._line


def ours() -> list[str]:
    """Return the names of the engine's threads that run."""
    return [
        thread.name
        for thread in threading.enumerate()
        if thread.name.startswith("roboto-") and thread.is_alive()
    ]


def open_files() -> int:
    """Count this process's descriptors."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - iterdir holds one open


def have_ended() -> bool:
    """Report whether the engine's threads have ended; finalizers stop those that an interrupt left."""
    if ours():
        gc.collect()
    return not ours()


def are_closed(before: int) -> bool:
    """Report whether no more descriptors are open than *before*, likewise."""
    if open_files() > before:
        gc.collect()
    return open_files() <= before


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
@pytest.mark.filterwarnings(  # sockets that an interrupt left to the collector
    "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("step", ["start", "stop"])
@pytest.mark.parametrize("name", ENGINES)
def test_an_interrupt_at_any_line_leaves_nothing_running(
    name: str, step: str, tmp_path: pathlib.Path
) -> None:
    """Neither as the threads start nor as they end."""
    tried = ENGINES[name]

    def fetch(server: ScriptedServer, number: int) -> bool:
        interrupter = Interrupter(tried.files, tried.steps[step], number)
        made = tried.store.create(credentials, endpoint_url=server.url)
        try:
            with made:
                if step == "start":
                    with interrupter:
                        made.get("s3://bucket/key", tmp_path / "file", size_bytes=4).result(30)
                else:
                    made.get("s3://bucket/key", tmp_path / "file", size_bytes=4).result(30)
                    interrupter.__enter__()
        except _Interrupt:
            pass
        finally:
            interrupter.__exit__()
        return interrupter.has_struck

    with ScriptedServer(StoredObject(data=b"data").answer) as server:
        fetch(server, 10_000)
        before, lines = open_files(), 0
        while fetch(server, lines):
            lines += 1
            assert eventually(have_ended), f"line {lines}: {ours()}"
        assert lines > 5
        assert eventually(lambda: are_closed(before))

"""What a sync meets, without sockets: platform, store and disk, and a scheduler of two runs.

```
           ┌── run 1 ──┐                  every run stops at each of its turns (before a file is read,
Scheduler ─┤           ├─ turns           before and after it is published) until the scheduler lets
           └── run 2 ──┘                  it go on: so any interleaving can be drawn by the dice
```
"""

import contextlib
import datetime as dt
import os
import pathlib
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from typing_extensions import Self

from roboto_dagster.disk.temp_file import open_partial
from roboto_dagster.errors import DownloadError, from_os_error
from roboto_dagster.fs.object_store import BeforePublish, OnProgress, Receipt, Transfer
from roboto_dagster.fs.retry import RetryConfig
from roboto_dagster.platform.scope import Scope
from roboto_dagster.sync.manifest import manifest_path
from roboto_dagster.sync.options import SyncOptions, SyncSettings
from roboto_dagster.sync.report import SyncReport
from roboto_dagster.sync.run import sync
from roboto_dagster.testing.server.api import Api
from roboto_dagster.testing.server.backend import Settings
from roboto_dagster.testing.server.catalog import Catalog
from roboto_dagster.testing.server.s3 import LocalS3
from tests.simulation.kills import kill
from tests.simulation.platform import API_KEY, ModelClient
from tests.simulation.store import checksum_of

ONCE = RetryConfig(max_attempts=2, wait_initial_seconds=0.0, wait_max_seconds=0.0)
_BUCKET = "simulation"


class Clock:
    """A clock that goes on by a second whenever it is read."""

    def __init__(self) -> None:
        self.now = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)

    def __call__(self) -> dt.datetime:
        """Returns the time."""
        self.now += dt.timedelta(seconds=1)
        return self.now


class World:
    """One dataset of a platform, one store, one disk, and what is known of their past.

    Args:
        seed: What the dice start from.
        folder: Where everything is.
        s3: The store behind the API, for credentials that nobody uses.
        beside: Another dataset of the same platform and destination; None for a new platform.

    Attributes:
        dice: What every choice is drawn with.
        contents: Every content that a path ever had, oldest first.
        published: Path, size, modification time and content of every file that any run published.
        gets: The paths that the store was asked for since this list was last emptied, HEADs included.
        is_alone: Whether one run is under way, so that whatever it asks for must be needed.
        forgotten: What lay on disk when a manifest was damaged: nobody knows any more whose it is.
        neighbour: Another dataset of the destination.
        damaged: The same, until the next run has read the files again.
        complaints: What runs did and should not have done.
        broken: Paths whose object the store refuses to read, with the error's code.
        records: Ids of the files that objects belong to.
    """

    def __init__(
        self, seed: int, folder: pathlib.Path, s3: LocalS3, beside: "World | None" = None
    ) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - dice, not a secret
        self.catalog: Catalog = Catalog(clock=Clock()) if beside is None else beside.catalog
        settings = Settings(
            api_key=API_KEY,
            page_size=self.dice.choice([2, 5, 100]),
            credentials_ttl_seconds=3600,
            bucket=_BUCKET,
            s3_url=lambda: "http://simulation.invalid",
        )
        self.client = ModelClient(Api(self.catalog, s3, settings))
        self.house = folder
        self.destination = folder / "logs"
        self.destination.mkdir(parents=True, exist_ok=True)
        self.dataset_id = str(self.catalog.add_dataset()["dataset_id"])
        self.manifest = manifest_path(self.destination, "logs", self.dataset_id)
        self.objects: dict[str, bytes] = {} if beside is None else beside.objects
        self.contents: dict[str, list[bytes]] = {}
        self.published: dict[tuple[str, int, int], str] = {}
        self.gets: list[str] = []
        self.is_alone = True
        self.forgotten: set[str] = set()
        self.damaged: set[str] = set()
        self.complaints: list[str] = []
        self.broken: dict[str, str] = {}
        self.records: dict[str, str] = {} if beside is None else beside.records
        self.take_turn: Callable[[], None] = lambda: None
        self.neighbour: World | None = None

    # The platform

    def paths(self) -> list[str]:
        """Returns the paths that the platform lists."""
        return [str(record["relative_path"]) for record in self.catalog.files(self.dataset_id)]

    def content(self) -> bytes:
        """Draws a content: few sizes, so that versions often have the same one."""
        return self.dice.randbytes(self.dice.choice([0, 8, 8, 8, 16]))

    def add(self, path: str) -> None:
        """Adds a file."""
        data = self.content()
        uri = self._store(data)
        self.catalog.add_file(self.dataset_id, path, uri=uri, size=len(data))
        self.records[uri] = self.id_of(path)
        self.contents.setdefault(path, []).append(data)

    def replace(self, path: str) -> None:
        """Gives a file another content, with a new version of its record."""
        data = self.content()
        uri = self._store(data)
        self.catalog.revise_file(self.id_of(path), uri=uri, size=len(data))
        self.records[uri] = self.id_of(path)
        self.contents[path].append(data)

    def overwrite(self, path: str) -> None:
        """Gives a file another content of the same size under the same name in the store, and its record a new version."""
        uri = self.catalog.file(self.id_of(path))["uri"]
        data = self.objects[uri] = self.dice.randbytes(len(self.objects[uri]))
        self.catalog.revise_file(self.id_of(path))
        self.contents[path].append(data)

    def edit(self, path: str) -> None:
        """Edits a file's metadata: a new version of its record, and the same object."""
        self.catalog.revise_file(self.id_of(path), tags=[str(self.dice.random())])

    def remove(self, path: str) -> None:
        """Removes a file."""
        self.catalog.remove_file(self.id_of(path))

    def latest(self, path: str) -> bytes:
        """Returns the content that the platform has at a path now."""
        return self.objects[self.catalog.file(self.id_of(path))["uri"]]

    def id_of(self, path: str) -> str:
        """Returns the platform's id of a file."""
        return str(self.catalog.file_at(self.dataset_id, path)["file_id"])

    def _store(self, data: bytes) -> str:
        uri = f"s3://{_BUCKET}/{self.catalog.new_id('object')}"
        self.objects[uri] = data
        return uri

    # The disk

    def place(self, path: str) -> pathlib.Path:
        """Returns where a file is delivered."""
        return self.destination / self.dataset_id / path

    def object_of(self, path: str) -> str | None:
        """Returns which content a file on disk was made of, if a run has published it as it lies there."""
        try:
            status = self.place(path).lstat()
        except OSError:
            return None
        return self.published.get((path, status.st_size, status.st_mtime_ns))

    def record_of(self, path: str) -> str | None:
        """Returns the id of the file whose content lies on disk, if a run has published it as it lies there."""
        content = self.object_of(path)
        return content and self.records[content.partition("#")[0]]

    def content_name(self, uri: str) -> str:
        """Returns what names the content that an object has now."""
        return f"{uri}#{_etag_of(self.objects[uri])}"

    def on_disk(self) -> dict[str, bytes]:
        """Returns every delivered or foreign file below the dataset's folder."""
        root = self.destination / self.dataset_id
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file() and not path.name.endswith(".part")
        }

    @contextlib.contextmanager
    def killed(self) -> Iterator[None]:
        """Forgets what the body does on disk but what it had done at a random turn: a kill of its process there."""
        copy = self.house / "at the kill"
        turns_left = self.dice.randrange(1, 8)
        forgotten = self.forgotten

        def turn() -> None:
            nonlocal turns_left, forgotten
            turns_left -= 1
            if turns_left == 0:
                kill(self.destination, copy, "dead")
                forgotten = set(self.forgotten)

        self.take_turn, before = turn, self.take_turn
        try:
            yield
        finally:
            self.take_turn = before
        if copy.exists():
            shutil.rmtree(self.destination)
            copy.rename(self.destination)
            self.forgotten = forgotten

    # Runs

    def run(self, *, include: tuple[str, ...] = (), **options: Any) -> SyncReport:
        """Runs one sync."""
        scope = Scope(dataset_id=self.dataset_id, include_patterns=include)
        settings = SyncSettings(
            client=self.client,
            open_store=lambda *_: ModelStore(self),
            destination=self.destination,
            manifest=self.manifest,
            retry=ONCE,
            options=SyncOptions(**{"on_empty": "allow", **options}),
        )
        return sync([scope], settings)


class ModelStore:
    """A store that reads from a dictionary, and publishes as the engines do."""

    def __init__(self, world: World) -> None:
        self._world = world

    @classmethod
    def create(cls, credential_provider: Any, **_: Any) -> Self:
        """Is not used: `World.run` makes its stores."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def put(self, *_: object) -> Transfer:
        """Nothing is uploaded."""
        raise NotImplementedError

    def get(
        self,
        source_uri: str,
        destination: pathlib.Path,
        on_progress: OnProgress | None = None,
        *,
        size_bytes: int | None = None,
        within: pathlib.Path | None = None,
        before_publish: BeforePublish | None = None,
    ) -> Transfer:
        """Delivers one file at once."""
        world = self._world
        path = str(destination.relative_to(world.destination / world.dataset_id))
        world.gets.append(path)
        is_known = path not in world.forgotten or path in world.damaged
        is_there = is_known and world.object_of(path) == world.content_name(source_uri)
        if world.is_alone and is_there:  # not raised here, where a run would take it for a failure
            world.complaints.append(f"{path} is fetched again")
        transfer = Transfer(lambda _: None)
        file: Any = {
            "bucket_name": _BUCKET,
            "source_uri": source_uri,
            "destination_path": destination,
        }
        world.take_turn()
        if path in world.broken:
            code: Any = world.broken[path]
            transfer.fail(DownloadError(file, code, "simulated"))
            return transfer
        data = world.objects[source_uri]
        if size_bytes not in (None, len(data)):
            transfer.fail(DownloadError(file, "SIZE_MISMATCH", "simulated"))
            return transfer
        try:
            receipt = self._publish(path, source_uri, destination, within, before_publish)
        except OSError as error:
            transfer.fail(from_os_error(file, error))
            return transfer
        world.forgotten.discard(path)
        if on_progress is not None:
            on_progress(len(data))
        world.take_turn()
        transfer.succeed(receipt)
        return transfer

    def head(self, source_uri: str) -> Mapping[str, str]:
        """Answers a HEAD."""
        data = self._world.objects[source_uri]
        self._world.gets.append(source_uri)
        return {
            "etag": f'"{_etag_of(data)}"',
            "content-length": str(len(data)),
            "x-amz-checksum-crc64nvme": checksum_of("crc64nvme", data),
            "x-amz-checksum-type": "FULL_OBJECT",
        }

    def _publish(
        self,
        path: str,
        source_uri: str,
        destination: pathlib.Path,
        within: pathlib.Path | None,
        before_publish: BeforePublish | None,
    ) -> Receipt:
        partial = open_partial(destination, within)
        data = self._world.objects[source_uri]
        try:
            os.write(partial.fd, data)
            receipt = Receipt(
                size_bytes=len(data),
                etag=_etag_of(data),
                checksum=None,
                verified="size",
                attempts=1,
                duration_seconds=0.0,
            )
            self._world.take_turn()
            # The clock of a filesystem may be so coarse that two files of one size have one time.
            os.utime(partial.fd, ns=(time.time_ns(),) * 2)
            status, in_place = partial.look()
            if before_publish is not None:
                before_publish(receipt, status, in_place)
            content = f"{source_uri}#{_etag_of(data)}"
            self._world.published[path, status.st_size, status.st_mtime_ns] = content
            partial.publish()
        finally:
            partial.discard()
        return receipt


def _etag_of(data: bytes) -> str:
    return f"{checksum_of('md5', data)}-1"


class Scheduler:
    """Lets several runs go on in turns, one at a time, in an order that the dice draw.

    Args:
        dice: Who goes on next.
    """

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._turn = threading.Condition()
        self._waiting: set[int] = set()
        self._alive: set[int] = set()
        self._numbers: dict[int, int] = {}
        self._chosen: int | None = None

    def take_turn(self) -> None:
        """Waits until this thread is chosen."""
        me = threading.get_ident()
        with self._turn:
            if me not in self._alive:
                return
            self._waiting.add(me)
            self._choose()
            self._turn.wait_for(lambda: self._chosen == me)
            self._chosen = None
            self._waiting.discard(me)

    def run(self, *functions: Callable[[], Any]) -> list[Any]:
        """Runs functions in threads of their own; returns their results, or what they raised."""
        results: list[Any] = [None] * len(functions)
        started = threading.Barrier(len(functions))

        def body(number: int) -> None:
            me = threading.get_ident()
            with self._turn:
                self._alive.add(me)
                self._numbers[me] = number
            started.wait()
            try:
                self.take_turn()
                results[number] = functions[number]()
            except Exception as error:  # noqa: BLE001 - given to the caller
                results[number] = error
            finally:
                with self._turn:
                    self._alive.discard(me)
                    self._choose()

        threads = [threading.Thread(target=body, args=(number,)) for number in range(len(results))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def _choose(self) -> None:
        """Chooses among the runs once each of them waits: what the others do decides nothing."""
        if self._alive and self._waiting == self._alive and self._chosen is None:
            self._chosen = self._dice.choice(sorted(self._waiting, key=self._numbers.__getitem__))
            self._turn.notify_all()

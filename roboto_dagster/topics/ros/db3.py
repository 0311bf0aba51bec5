"""Messages of a ROS 2 bag in SQLite (`.db3`), in the order of the file.

The tables of rosbag2 are read by SQL of our own: rosbags' reader sorts all messages by time, and fails on a
definition that the recorder could not find. SQLite is Python's own.

| version | recorded by | tables |
|---|---|---|
| 1 to 3 | up to Humble | `topics`, `messages` |
| 4 | from Iron | … and `message_definitions` |
"""

import contextlib
import pathlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import TypeAlias

import zstandard

from roboto_dagster.topics.faults import UndecodableError
from roboto_dagster.topics.message_table import MAX_MESSAGE_BYTES
from roboto_dagster.topics.ros.container import BagConnection

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"  # no CDR header: those begin with a 0
_SQLITE_MAGIC = b"SQLite format 3\0"
_HEAD_BYTES = 100  # of the header of a database


class Db3Reader:
    """One database, read once, and never written to.

    Args:
        path: The database.
        wanted: Which topics.
    """

    def __init__(self, path: pathlib.Path, wanted: Callable[[str], bool]) -> None:
        self._path = path
        self._wanted = wanted
        self._unpack = zstandard.ZstdDecompressor().decompress

    def messages(self) -> Iterator[tuple[BagConnection, int, bytes | UndecodableError]]:
        """Yield connection, time in nanoseconds and payload of each message, or why there is none.

        Raises:
            UndecodableError: What is wrong with the database, after all messages that could be read; of one
                that was cut, or left in the middle of a change, none is.
        """
        unfinished = self._beside("-journal")
        if unfinished is not None:
            raise unfinished  # in the middle of a change, and no row of it is certain
        self._check_size()
        known = self._beside("-wal")
        try:
            with contextlib.closing(self._opened()) as database:
                yield from self._rows(database, self._connections(database))
        except (sqlite3.Error, UnicodeDecodeError, IndexError) as error:
            raise known or UndecodableError("CORRUPT", f"SQLite: {error}") from None
        except UndecodableError as error:
            raise known or error from None
        if known is not None:
            raise known

    def _beside(self, suffix: str) -> UndecodableError | None:
        """Return what is wrong if there is a file in which SQLite keeps rows until the database is closed."""
        path = self._path.with_name(self._path.name + suffix)
        if path.is_file() and path.stat().st_size:
            return UndecodableError("UNFINISHED", f"rows are still in {path.name}, beside the log")
        return None

    def _check_size(self) -> None:
        """Raise an error if the file is shorter than its header says.

        SQLite takes zeros for what is missing: a message would end in zeros without an error. So nothing is read.
        """
        size = self._path.stat().st_size
        with self._path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
        if not _SQLITE_MAGIC.startswith(head[: len(_SQLITE_MAGIC)]):
            return  # no database, which SQLite finds
        page_size = int.from_bytes(head[16:18], "big")
        page_size = 65536 if page_size == 1 else page_size
        pages = -(-size // max(page_size, 1))
        if head[24:28] == head[92:96]:  # otherwise an old SQLite did not count
            pages = int.from_bytes(head[28:32], "big")
        stated = pages * page_size
        if size < max(stated, _HEAD_BYTES):
            reason = f"the file has {size} of {max(stated, _HEAD_BYTES)} bytes, and none of its rows can be trusted"
            raise UndecodableError("TRUNCATED", reason)

    def _opened(self) -> sqlite3.Connection:
        address = f"{self._path.absolute().as_uri()}?mode=ro&immutable=1"
        database = sqlite3.connect(address, uri=True, check_same_thread=False)
        database.row_factory = sqlite3.Row
        return database

    def _connections(self, database: sqlite3.Connection) -> dict[int, BagConnection | None]:
        """Return the topics by their ids; None stands for one that is not wanted."""
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if not tables >= {"topics", "messages"}:
            raise UndecodableError(
                "CORRUPT", "the file has no tables `topics` and `messages`, so it is no bag"
            )
        definitions = _definitions(database) if "message_definitions" in tables else {}
        return {
            row["id"]: _connection(row, definitions) if self._wanted(str(row["name"])) else None
            for row in database.execute("SELECT * FROM topics")
        }

    def _rows(
        self, database: sqlite3.Connection, connections: dict[int, BagConnection | None]
    ) -> Iterator[tuple[BagConnection, int, bytes | UndecodableError]]:
        database.row_factory = None
        wanted = [number for number, connection in connections.items() if connection]
        query = _MESSAGES
        if len(wanted) < len(connections):
            query += f" WHERE topic_id IN ({','.join('?' * len(wanted))})"
        else:
            wanted = []
        for row, number, time_ns, data, size in database.execute(
            f"{query} ORDER BY rowid", (_HELD_BYTES, *wanted)
        ):
            connection = connections.get(number)
            if connection is None:
                raise UndecodableError("CORRUPT", f"topic {number} of a message is not defined")
            if not isinstance(time_ns, int) or size is None:
                raise UndecodableError("CORRUPT", "a message has no time or no data")
            if size > MAX_MESSAGE_BYTES:
                yield connection, time_ns, _too_large(size)
                continue
            held = [_bytes_of(_large(database, row) if data is None else data)]
            if held[0][:4] == _ZSTD_MAGIC and connection.message_encoding == "cdr":
                yield connection, time_ns, self._unpacked(held.pop())
            else:
                yield connection, time_ns, held.pop()

    def _unpacked(self, data: bytes) -> bytes | UndecodableError:
        """Return a message that rosbag2 compressed by itself."""
        try:
            size = zstandard.frame_content_size(data)
            if size > MAX_MESSAGE_BYTES:
                return _too_large(size)
            return self._unpack(data, max_output_size=MAX_MESSAGE_BYTES)
        except zstandard.ZstdError as error:
            return UndecodableError("CORRUPT", f"a message cannot be decompressed: {error}")


# SQLite holds what it has returned until it is asked for the next row: large messages are read by themselves.
_HELD_BYTES = 1024 * 1024
_MESSAGES = "SELECT rowid, topic_id, timestamp, CASE WHEN length(data) <= ? THEN data END, length(data) FROM messages"

_Definitions: TypeAlias = "dict[tuple[str, str | None], tuple[str, bytes]]"


def _definitions(database: sqlite3.Connection) -> _Definitions:
    """Return encoding and text by type and hash, and by the type alone: the first one of that name."""
    found: _Definitions = {}
    for row in database.execute("SELECT * FROM message_definitions ORDER BY id"):
        if row["encoding"] in ("ros2msg", "ros2idl"):  # `unknown`: the recorder did not find it
            definition = row["encoding"], _as_bytes(row["encoded_message_definition"])
            found.setdefault((row["topic_type"], _hash_of(row)), definition)
            found.setdefault((row["topic_type"], None), definition)
    return found


def _connection(row: sqlite3.Row, definitions: _Definitions) -> BagConnection:
    type_name = str(row["type"])
    found = definitions.get((type_name, _hash_of(row))) or definitions.get((type_name, None))
    schema_encoding, definition = found or ("ros2msg", None)
    return BagConnection(
        topic=str(row["name"]),
        type_name=type_name,
        message_encoding=str(row["serialization_format"]),
        schema_encoding=schema_encoding,
        definition=definition,
    )


def _large(database: sqlite3.Connection, row: int) -> object:
    found = database.execute("SELECT data FROM messages WHERE rowid = ?", (row,))
    with contextlib.closing(found):
        return found.fetchone()[0]


def _bytes_of(data: object) -> bytes:
    if not isinstance(data, bytes):
        raise UndecodableError("CORRUPT", "the data of a message is a text or a number")
    return data


def _hash_of(row: sqlite3.Row) -> str | None:
    return row["type_description_hash"] if "type_description_hash" in row.keys() else None  # noqa: SIM118 - no mapping


def _as_bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value or "").encode()


def _too_large(size: int) -> UndecodableError:
    return UndecodableError(
        "TOO_LARGE", f"a message has {size} bytes; {MAX_MESSAGE_BYTES} are read at most"
    )

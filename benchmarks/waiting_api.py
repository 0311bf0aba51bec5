"""The API's rendered answers, each after a while: `python -m benchmarks.waiting_api FOLDER PORT DELAY_MS [LOG]`.

A process of its own, since nginx can wait only with its Lua module. It keeps connections alive.
"""

import asyncio
import itertools
import pathlib
import re
import sys
import urllib.parse
from typing import TextIO

_FILES = re.compile(r"/v1/datasets/(?P<dataset>ds_\w+)/files/query")
_CREDENTIALS = re.compile(r"/v1/datasets/id/(?P<dataset>ds_\w+)/credentials")
_DATASET = re.compile(r"/v1/datasets/(?P<dataset>ds_\w+)")


class WaitingApi:
    """Answers from the folder of a `Source`.

    Args:
        folder: See `benchmarks.source`.
        port: It listens on.
        delay_seconds: It waits so long before each answer.
        log: A line for each request, see `benchmarks.scaling.traffic`; None writes none.
    """

    def __init__(
        self, folder: pathlib.Path, port: int, delay_seconds: float, log: TextIO | None
    ) -> None:
        self._folder = folder
        self._port = port
        self._delay_seconds = delay_seconds
        self._log = log
        self._connections = itertools.count(1)

    async def serve(self) -> None:
        """Serve until the process is ended."""
        server = await asyncio.start_server(self._converse, "127.0.0.1", self._port, backlog=1024)
        async with server:
            await server.serve_forever()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = next(self._connections)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = re.search(r"(?im)^content-length: *(\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                await asyncio.sleep(self._delay_seconds)
                if self._log is not None:
                    self._log.write(f"{self._port} {connection}\n")
                    self._log.flush()
                writer.write(self._answer(head.split(" ", 2)[1]))
                await writer.drain()
                if re.search(r"(?im)^connection: *close", head):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    def _answer(self, target: str) -> bytes:
        path = self._path(target)
        found = path is not None and path.is_file()
        body = path.read_bytes() if path is not None and found else b"{}"
        status = "200 OK" if found else "404 Not Found"
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    def _path(self, target: str) -> pathlib.Path | None:
        parts = urllib.parse.urlsplit(target)
        if found := _FILES.fullmatch(parts.path):
            token = urllib.parse.parse_qs(parts.query).get("page_token", [""])[0]
            return self._folder / "files" / f"{found['dataset']}-{token}.json"
        if found := _CREDENTIALS.fullmatch(parts.path):
            return self._folder / "credentials" / f"{found['dataset']}.json"
        if found := _DATASET.fullmatch(parts.path):
            return self._folder / "v1/datasets" / found["dataset"]
        return None


def main() -> None:
    """Serve what the command line names."""
    folder, port, delay_ms, *log = sys.argv[1:]
    file = pathlib.Path(log[0]).open("a", encoding="ascii") if log else None  # noqa: SIM115 - until the process ends
    api = WaitingApi(pathlib.Path(folder), int(port), int(delay_ms) / 1000, file)
    asyncio.run(api.serve())


if __name__ == "__main__":
    main()

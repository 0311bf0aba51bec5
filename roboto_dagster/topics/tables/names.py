"""The names of the tables of one log: one file a topic and schema, on any filesystem."""

import hashlib
import re

from roboto_dagster.disk.paths import unsafe_reason
from roboto_dagster.disk.temp_folder import PUBLISHED_SUFFIX
from roboto_dagster.sync.manifest import file_name

MAX_BYTES = 200
"""A longer name is cut here and made unique: most filesystems take 255 bytes, with the suffix."""

_CUT_ESCAPE = re.compile(r"%[0-9A-F]?$")


class TableNames:
    """Gives each table of a log its name, in the order in which they come."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def add(self, topic: str, number: int = 1) -> str:
        """Return the name of a table's file, which no other table of the log has on any filesystem.

        Args:
            topic: Verbatim; `/a/b` gives `%2Fa%2Fb.parquet`.
            number: Which of the topic's schemas it has, from 1; the second one gives `x~2.parquet`. Default 1.
        """
        plain = file_name(topic) + (f"~{number}" if number > 1 else "")
        name = plain if self._is_usable(plain) else _unique(plain, topic, number)
        self._taken.add(name.lower())
        return name + PUBLISHED_SUFFIX

    def _is_usable(self, name: str) -> bool:
        is_short = 0 < len(name) <= MAX_BYTES  # quoted: one byte a character
        # Names that are equal but for case are one on macOS and Windows, where some are not allowed at all.
        return (
            is_short
            and name.lower() not in self._taken
            and unsafe_reason(name + PUBLISHED_SUFFIX) is None
        )


def _unique(plain: str, topic: str, number: int) -> str:
    text = topic if number == 1 else f"{topic}\0{number}"
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    name = f"{_CUT_ESCAPE.sub('', plain[:MAX_BYTES])}~{digest[:12]}"
    # `aux.1` is reserved on Windows, whatever follows the dot.
    return name if unsafe_reason(name) is None else name.replace(".", "%2E")

"""Adds rows to a table many at a time.

Each step of a statement gives the interpreter's lock to whoever waits for it: the thread that fetches, or other
partitions. A lock that changes hands for every row takes as long as all else here, so a step inserts as many rows as any
SQLite takes in one statement. Measured, that is also twice as fast as `executemany`, and six times as fast as one JSON
text that SQLite takes apart.
"""

import functools
import itertools
import sqlite3
from collections.abc import Sequence
from typing import Any

_MOST_VALUES = 999  # in a statement, before SQLite 3.32


def insert_rows(db: sqlite3.Connection, start: str, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows.

    Args:
        db: The database.
        start: The statement up to `VALUES`, such as `INSERT INTO file (seq, status)`.
        rows: The rows, all of the same length, which is at most 999.
    """
    if not rows:
        return
    width = len(rows[0])
    together = _MOST_VALUES // width
    for first in range(0, len(rows), together):
        batch = rows[first : first + together]
        values = list(itertools.chain.from_iterable(batch))
        db.execute(_statement(start, width, len(batch)), values)


@functools.lru_cache(maxsize=256)
def _statement(start: str, width: int, rows: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"{start} VALUES {', '.join([row] * rows)}"

"""Rows are added to a table many at a time."""

import sqlite3

import pytest

from roboto_dagster.sync.insertion import insert_rows


@pytest.mark.parametrize("count", [0, 1, 333, 334, 1000])
def test_all_rows_are_inserted_in_order(count: int) -> None:
    """Also where they are no multiple of what one statement takes."""
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE thing (number INTEGER, name TEXT, weight REAL)")
    rows = [(number, f"n{number}", None if number % 2 else 0.5) for number in range(count)]
    insert_rows(db, "INSERT INTO thing", rows)
    assert db.execute("SELECT * FROM thing ORDER BY rowid").fetchall() == rows


def test_few_statements_insert_many_rows() -> None:
    """Between two of them another thread may have the interpreter's lock: not for each row."""
    statements: list[str] = []
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE thing (number INTEGER PRIMARY KEY)")
    db.set_trace_callback(statements.append)
    insert_rows(
        db, "INSERT OR REPLACE INTO thing (number)", [(number % 3,) for number in range(1000)]
    )
    assert len([each for each in statements if each.startswith("INSERT")]) == 2
    assert db.execute("SELECT count(*) FROM thing").fetchone() == (3,)

"""Names of tables: one file a topic and schema, on any filesystem."""

import urllib.parse

import pytest

from roboto_dagster.disk.paths import unsafe_reason
from roboto_dagster.topics.tables.names import TableNames


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("/a/b", "%2Fa%2Fb.parquet"),
        ("/a_b", "%2Fa_b.parquet"),
        ("/a%2Fb", "%2Fa%252Fb.parquet"),
        ("vehicle_attitude/1", "vehicle_attitude%2F1.parquet"),
        (".hidden", "%2Ehidden.parquet"),
        ("größe", "gr%C3%B6%C3%9Fe.parquet"),
    ],
)
def test_a_topic_is_quoted(topic: str, name: str) -> None:
    """The name of the topic can be read back from the name of the file."""
    assert TableNames().add(topic) == name
    assert urllib.parse.unquote(name.removesuffix(".parquet")).replace("%2E", ".") == topic


def test_schemas_of_a_topic_are_numbered() -> None:
    """The second schema of a topic has a table of its own."""
    names = TableNames()
    assert [names.add("x"), names.add("x", 2), names.add("x", 3)] == [
        "x.parquet",
        "x~2.parquet",
        "x~3.parquet",
    ]


def test_a_long_name_is_cut_and_unique() -> None:
    """Two long topics that begin alike have two files with names that any filesystem takes."""
    names = TableNames()
    first, second = names.add("/" + "a" * 300 + "1"), names.add("/" + "a" * 300 + "2")
    assert first[:200] == second[:200] == "%2F" + "a" * 197
    assert first != second
    assert len(first) == 200 + 1 + 12 + len(".parquet")


def test_a_long_name_is_not_cut_in_an_escape() -> None:
    """What is left is still quoted properly."""
    name = TableNames().add("a" * 199 + "/" * 9)
    assert name.startswith("a" * 199 + "~")


def test_names_that_differ_in_case_alone_are_told_apart() -> None:
    """On macOS and Windows they would be one file."""
    names = TableNames()
    first, second = names.add("/Imu"), names.add("/imu")
    assert first == "%2FImu.parquet"
    assert second.startswith("%2Fimu~")
    assert first.lower() != second.lower()


def test_a_topic_named_like_another_ones_schema_is_told_apart() -> None:
    """`x~2` is both a name and the second schema of `x`."""
    names = TableNames()
    given = [names.add("x~2"), names.add("x"), names.add("x", 2), names.add("X~2")]
    assert len({name.lower() for name in given}) == 4


@pytest.mark.parametrize("topic", ["", "con", "NUL", "aux.1", "a" * 250, "/" * 300])
def test_every_name_is_safe(topic: str) -> None:
    """Also where the topic's own name is none that a file may have."""
    name = TableNames().add(topic)
    assert unsafe_reason(name) is None
    assert not name.startswith(".")

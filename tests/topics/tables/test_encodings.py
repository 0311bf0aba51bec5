"""How columns are written, and named."""

from typing import Any

import pyarrow as pa

from roboto_dagster.topics.tables.encodings import column_types, dictionary_columns, value_bytes

FIELDS: "list[pa.Field[Any]]" = [
    pa.field("n", pa.float64()),
    pa.field("s", pa.string()),
    pa.field("h", pa.struct([("frame", pa.string()), ("x", pa.int8())])),
    pa.field("l", pa.list_(pa.struct([("name", pa.string())]))),
    pa.field("m", pa.map_(pa.string(), pa.int8())),
    pa.field("b", pa.binary()),
]
NESTED = pa.schema(FIELDS)


def test_only_texts_have_dictionaries() -> None:
    """Numbers and bytes are written as they are; paths are those of Parquet."""
    expected = ["s", "h.frame", "l.list.element.name", "m.key_value.key"]
    assert dictionary_columns(NESTED) == expected


def test_columns_are_named_with_dots() -> None:
    """Fields of structs are columns of their own; those of lists are not."""
    assert column_types(NESTED) == {
        "n": "double",
        "s": "string",
        "h.frame": "string",
        "h.x": "int8",
        "l": "list<item: struct<name: string>>",
        "m": "map<string, int8>",
        "b": "binary",
    }


def test_the_largest_values_decide_how_pages_are_filled() -> None:
    """Pictures are, and the items of lists are not, however many there are."""
    rows = pa.record_batch(
        {
            "n": [1, 2],
            "ranges": pa.array([[0.0] * 9000] * 2, pa.list_(pa.float64())),
            "data": pa.array([bytes(5000), bytes(7000)], pa.binary()),
        }
    )
    assert 6000 <= value_bytes(rows) < 6010  # with the offsets
    assert value_bytes(rows.slice(0, 0)) < 10

"""Definitions of ROS messages: what is read of them, and what is not accepted."""

import pytest

from roboto_dagster.topics.definitions import RosDefinition, canonical_name, read_definition
from roboto_dagster.topics.faults import UndecodableError

LINE = "=" * 80


def _read(text: str, *, is_ros1: bool = False, **known: str) -> RosDefinition:
    given = {name.replace("__", "/"): each for name, each in known.items()}
    return read_definition("a/msg/A", text.encode(), is_ros1=is_ros1, known=given)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("int32 x", ("x", "int32", False, None)),
        ("  int32   x  # a comment", ("x", "int32", False, None)),
        ("int32\tx\t5", ("x", "int32", False, None)),
        ("int32[] x", ("x", "int32", True, None)),
        ("int32[3] x [1, 2, 3]", ("x", "int32", True, 3)),
        ("int32[<=3] x", ("x", "int32", True, None)),
        ("string<=10 x 'a = b # c'", ("x", "string", False, None)),
        ("string<=10[<=5] x", ("x", "string", True, None)),
    ],
)
def test_fields(line: str, expected: tuple[str, str, bool, int | None]) -> None:
    """Bounds and defaults do not change how messages are read."""
    (field,) = _read(line + "\n").root.fields
    assert (field.name, field.type_name, field.is_array, field.length) == expected


def test_constants() -> None:
    """Of all types, with their values; they are no fields."""
    text = (
        'uint8 A=1\nint8 B = -0x10 # hex\nfloat32 C=1.5\nbool D=True\nstring E="x # y" # z\nuint8 F=?\n'
        f"In i\n{LINE}\nMSG: a/In\nuint8 G=7\nuint8 x\n"
    )
    definition = _read(text)
    assert dict(definition.root.constants) == {
        "A": 1,
        "B": -16,
        "C": 1.5,
        "D": True,
        "E": "x # y",
        "F": "?",
    }
    assert '"a/In": {"G": 7}' in definition.constants_text()
    assert [field.name for field in definition.root.fields] == ["i"]
    ros1 = _read("string E=  x # y  \nuint8 x\n", is_ros1=True)
    assert dict(ros1.root.constants) == {"E": "x # y"}


@pytest.mark.parametrize(
    "text",
    [
        f"b/In x\n{LINE}\nMSG: b/In\nint32 y\n",
        f"b/In x\n{LINE}\nMSG: b/msg/In\nint32 y\n",
        f"b/msg/In x\n{LINE}\nMSG: b/In\nint32 y\n",
        f"b/In x\r\n{LINE}\r\nMSG: b/In\r\nint32 y\r\n",
        "b/In x\n====\nMSG:b/In   \nint32 y",
        f"MSG: a/msg/A\nb/In x\n{LINE}\nMSG: b/In\nint32 y\n",
    ],
)
def test_nested_types(text: str) -> None:
    """Names with and without `msg`, line ends of any kind, separators of any length."""
    definition = _read(text)
    assert [field.type_name for field in definition.root.fields] == ["b/In"]
    assert definition.codec_text() == f"t/T0 x\n{LINE}\nMSG: t/T0\nint32 y\n"


def test_names_without_a_package() -> None:
    """They are of the package of the message that they stand in; a header is that of std_msgs."""
    text = f"In x\nHeader h\n{LINE}\nMSG: a/In\nInner y\n{LINE}\nMSG: a/Inner\nint32 z\n{LINE}\nMSG: std_msgs/Header\nint32 s\n"
    assert list(_read(text).types) == ["a/Inner", "a/In", "std_msgs/Header", "a/A"]
    with pytest.raises(UndecodableError, match=r"type Inner of b/In\.y is not defined"):
        _read(
            text.replace("In x", "b/In x", 1)
            .replace("MSG: a/In\n", "MSG: b/In\n")
            .replace("a/Inner", "c/Inner")
        )


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("MISSING_DEFINITION", "b/In x\n"),
        ("MISSING_DEFINITION", f"b/In x\n{LINE}\nMSG: c/In\nint32 y\n"),
        ("MISSING_DEFINITION", f"b/In x\n{LINE}\nMSG: b/In\nb/Deep y\n"),
        ("MISSING_DEFINITION", "builtin_interfaces/Time t\n"),
        ("MISSING_DEFINITION", "time t\n"),
        ("INVALID_DEFINITION", "int32 x\nint32 x\n"),
        ("INVALID_DEFINITION", "int32\n"),
        ("INVALID_DEFINITION", "int32 x y = z\n  ?\n"),
        ("INVALID_DEFINITION", f"int32 x\n{LINE}\nint32 y\n"),
        ("INVALID_DEFINITION", f"b/In x\n{LINE}\nMSG: b/In\na/A y\n"),
        ("UNSUPPORTED_TYPE", "wstring x\n"),
        ("UNSUPPORTED_TYPE", f"b/In x\n{LINE}\nMSG: b/In\nwstring<=5[] y\n"),
        ("TOO_LARGE", "# " + "x" * 2**21),
    ],
)
def test_not_accepted(code: str, text: str) -> None:
    """Nothing is skipped: the codec would read on at the wrong place."""
    with pytest.raises(UndecodableError) as caught:
        _read(text)
    assert caught.value.code == code


def test_definitions_given_by_the_user() -> None:
    """They complete those of the log, and do not replace any."""
    text = f"b/In x\nc/In y\n{LINE}\nMSG: b/In\nint32 own\n"
    definition = _read(
        text, b__msg__In="int32 given", c__In=f"d/In z\n{LINE}\nMSG: d/In\nint32 w\n"
    )
    assert definition.types["b/In"].fields[0].name == "own"
    assert definition.types["d/In"].fields[0].name == "w"


@pytest.mark.parametrize("name", ["a/A", "a/msg/A", "a::msg::A", "a::A"])
def test_one_name_a_type(name: str) -> None:
    """However it is written."""
    assert canonical_name(name) == "a/A"

"""Definitions in IDL: complete ones are decoded, others are not."""

import struct

import pytest

from roboto_dagster.topics.faults import UndecodableError
from roboto_dagster.topics.idl import check_idl
from tests.topics.ros_data import CDR, decode, faults, rows

TIME = (
    "=" * 80
    + "\nIDL: builtin_interfaces/msg/Time\n"
    + "module builtin_interfaces { module msg { struct Time { int32 sec; uint32 nanosec; }; }; };\n"
)


def _type(members: str, before: str = "") -> str:
    return f"module a {{ module msg {{ {before} struct B {{ {members} }}; }}; }};\n"


@pytest.mark.parametrize(
    "text",
    [
        _type(
            "long x; unsigned long long y; long double z; sequence<octet, 5> o; string<8> s; double d[2][3];"
        ),
        _type(
            '@default(value=3) @verbatim(language="c", text="a b") long x; // a Missing m;\n/* Missing m; */ char c;'
        ),
        _type(
            "Other o; a::msg::Other p; msg::Other q; ::a::msg::Other r, s;",
            "struct Other { long x; };",
        ),
        _type(
            "E e; U u; T t;",
            "enum E { RED, GREEN }; union U switch (E) { case RED: long x; default: T y; };"
            " typedef sequence<E> T;",
        ).replace("enum E", "typedef long T; enum E", 1),
        _type("builtin_interfaces::msg::Time t;") + TIME,
        '#include "x.idl"\n'
        + _type("sequence<sequence<Other>> o; map<string, Other> m;", "struct Other { long x; };"),
        _type(
            "long x;", "module B_Constants { const long K = 3; }; struct Base { long y; };"
        ).replace("struct B {", "struct B : Base {"),
    ],
)
def test_complete(text: str) -> None:
    """Every type that is used is declared, in its scope or in one around it."""
    check_idl("a/msg/B", text.encode())


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (_type("other::Missing m; long x;"), "other::Missing of a::msg::B::m"),
        (_type("sequence<Missing> m;"), "Missing of a::msg::B::m"),
        (_type("builtin_interfaces::msg::Time t;"), "builtin_interfaces::msg::Time"),
        (_type("U u;", "union U switch (long) { case 0: Missing m; };"), "Missing of a::msg::U::m"),
        (_type("long x;").replace("struct B {", "struct B : Base {"), "Base"),
        (_type("T t;", "typedef Missing T;"), "Missing"),
        ("", "declares no type"),
    ],
)
def test_incomplete(text: str, missing: str) -> None:
    """The codec would skip the member and read on at the wrong place."""
    with pytest.raises(UndecodableError) as caught:
        check_idl("a/msg/B", text.encode())
    assert caught.value.code == "MISSING_DEFINITION"
    assert missing in caught.value.reason


def test_unions_and_optional_members() -> None:
    """A union has a discriminator and one member that is set; an optional member may be null."""
    unions = "union U switch (long) { case 0: long a; case 1: double b; };"
    text = _type("U u; @optional long x; long y;", unions)
    payload = CDR + struct.pack("<iiHHi", 0, 5, 0, 0, 7)
    assert rows(decode(text, [payload], encoding="ros2idl")) == [
        {"u": {"$discriminator": 0, "a": 5, "b": None}, "x": None, "y": 7}
    ]


def test_messages_in_idl_are_decoded() -> None:
    """Times are structs, byte sequences are binary, arrays are lists."""
    text = _type("long x; sequence<octet> o; builtin_interfaces::msg::Time t; double d[2];") + TIME
    payload = CDR + struct.pack("<iI2sxxiIxxxxdd", 1, 2, b"ab", 3, 4, 0.5, 1.5)
    assert rows(decode(text, [payload], encoding="ros2idl")) == [
        {"x": 1, "o": b"ab", "t": {"sec": 3, "nanosec": 4}, "d": [0.5, 1.5]}
    ]


def test_a_type_that_the_definition_lacks() -> None:
    """The codec says so, and names it."""
    found = decode(_type("long x;"), [CDR + bytes(4)], encoding="ros2idl", type_name="a/msg/C")
    assert faults(found) == ["MISSING_DEFINITION"]


def test_a_structure_without_members_inside_of_another() -> None:
    """The codec would panic; rosidl puts a dummy into them, so ROS does not meet this."""
    found = decode(_type("E e; long x;", "struct E {};"), [CDR + bytes(4)], encoding="ros2idl")
    assert faults(found) == ["UNSUPPORTED_TYPE"]

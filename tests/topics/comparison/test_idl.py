"""Types in IDL have the same rows as the same types in the language of ROS 2."""

import pytest

from benchmarks.topics.logs import ros
from tests.topics.comparison.idl_texts import idl_text
from tests.topics.ros_data import decode, faults, rows

pytestmark = pytest.mark.slow

STORE = ros.type_store(2)
PACKAGES = sorted({name.split("/")[0] for name in STORE.fielddefs})


@pytest.mark.parametrize("package", PACKAGES)
def test_every_type_of_ros2(package: str) -> None:
    """With values at the edges of their types."""
    for name in STORE.fielddefs:
        if name.startswith(f"{package}/"):
            stream = ros.ros_stream(2, "/t", name, 3, plain=False)
            expected = decode(stream.definition, stream.payloads, type_name=name)
            text = idl_text(STORE, name)
            found = decode(text, stream.payloads, type_name=name, encoding="ros2idl")
            assert (name, faults(found), repr(rows(found))) == (name, [], repr(rows(expected)))

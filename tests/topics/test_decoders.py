"""Which decoder reads a file."""

import pathlib
import pickle

import pytest

from roboto_dagster.topics.decoder import TopicFault
from roboto_dagster.topics.decoders import decoder_for, default_decoders
from tests.topics.decoders import LineDecoder


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("a.mcap", b"\x89MCAP0\r\n", "mcap"),
        ("a.bin", b"\x89MCAP0\r\n", "mcap"),
        ("a.MCAP", b"", "mcap"),
        ("a.ulg", b"ULog\x01\x12\x35\x01", "ulog"),
        ("a.txt", b"hello", None),
        ("a", b"", None),
    ],
)
def test_the_first_that_claims_it(
    tmp_path: pathlib.Path, name: str, head: bytes, expected: str | None
) -> None:
    """By its first bytes, whatever its name, or by its name, if it is damaged; other files are no logs."""
    path = tmp_path / name
    path.write_bytes(head)
    found = decoder_for(path)
    assert not isinstance(found, TopicFault)
    assert (found.name if found else None) == expected


def test_a_file_that_is_none(tmp_path: pathlib.Path) -> None:
    """What cannot be read is a failure of the log, not a file that is skipped."""
    found = decoder_for(tmp_path / "gone.mcap")
    assert isinstance(found, TopicFault)
    assert found.code == "LOG_IO"


def test_decoders_of_the_user(tmp_path: pathlib.Path) -> None:
    """They are asked in the order given, and no others are."""
    path = tmp_path / "a.log"
    path.write_bytes(b"\x89MCAP0\r\n")
    lines = LineDecoder()
    assert decoder_for(path, [lines, *default_decoders()]) is lines
    assert decoder_for(path, []) is None


@pytest.mark.parametrize("decoder", default_decoders(), ids=lambda each: str(each.name))
def test_a_decoder_goes_to_another_process(decoder: object) -> None:
    """It has a name and a version, and no state."""
    copy = pickle.loads(pickle.dumps(decoder))  # noqa: S301 - our own bytes
    assert (copy.name, copy.version) == (decoder.name, decoder.version)  # type: ignore[attr-defined]  # a LogDecoder

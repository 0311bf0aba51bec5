"""CRCs of ranges combined without C."""

import importlib
import random
import types

import pytest

from roboto_dagster.fs.core import checksums
from roboto_dagster.fs.core.crc_combine import combine

CRT = importlib.import_module("awscrt.checksums")
DATA = random.Random(7).randbytes(100_003)  # noqa: S311 -- no secret


@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme"])
@pytest.mark.parametrize("cut", [0, 1, 4096, 99_999, len(DATA)])
def test_two_ranges_give_the_checksum_of_both(algorithm: str, cut: int) -> None:
    """Wherever the bytes are cut, the combination is the checksum of all of them."""
    crc = getattr(CRT, algorithm)
    first, second = DATA[:cut], DATA[cut:]
    assert combine(algorithm, crc(first), crc(second), len(second)) == crc(DATA)


@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme"])
def test_an_awscrt_without_combining_is_enough(
    monkeypatch: pytest.MonkeyPatch, algorithm: checksums.Algorithm
) -> None:
    """With an older release, the digests of ranges are combined all the same."""
    names = {name: one for name, one in vars(CRT).items() if not name.startswith("combine")}
    monkeypatch.setattr(checksums, "_crt", types.SimpleNamespace(**names))
    monkeypatch.setattr(checksums, "_CRC_FUNCTIONS", checksums._crc_functions())  # noqa: SLF001 -- made at import
    assert checksums.is_combinable(algorithm)
    first, second, both = (checksums.CrcDigest(algorithm) for _ in range(3))
    first.update(DATA[:5000])
    second.update(DATA[5000:])
    both.update(DATA)
    first.append(second)
    assert first.text() == both.text()

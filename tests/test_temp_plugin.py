"""Where the tests' temporary files go."""

import pathlib

import pytest

from tests import temp_plugin


def test_a_folder_with_room_is_fit(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that may be written, and has room for what the tests write."""
    monkeypatch.setattr(temp_plugin, "_NEEDED_BYTES", 1)
    assert temp_plugin.is_fit(tmp_path)
    assert not temp_plugin.is_fit(tmp_path / "missing")


def test_a_small_folder_is_not(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers often have 64 MiB of shared memory."""
    monkeypatch.setattr(temp_plugin, "_NEEDED_BYTES", 2**62)
    assert not temp_plugin.is_fit(tmp_path)

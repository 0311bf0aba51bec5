"""Which paths are safe, from tables: the same rule for listings, manifests, logs and removal."""

import pytest

from roboto_dagster.disk.paths import are_plain, unsafe_reason

SAFE = [
    "a.mcap",
    "logs/2026/a.mcap",
    "-leading-dash",
    ".hidden",
    "..two-dots",
    "...mcap",
    "spaces in the middle.mcap",
    "100% #1 ?&=+~.mcap",
    "dünn/日本語/😀.mcap",
    "n" * 255,
    "12:30.log",
    "console.log",
    "aux1",
    "com10",
    "/".join(["d" * 100] * 40),
]
UNSAFE = [
    "",
    "/",
    "/etc/passwd",
    "//server/share",
    "\\\\server\\share",
    "..",
    "../a",
    "a/../b",
    "a/..",
    ".",
    "./a",
    "a/./b",
    "a//b",
    "a/",
    "C:\\a",
    "c:a",
    "a:b",
    "C:/a",
    "a\\b",
    "a\0b",
    "a\nb",
    "a\tb",
    "a\x7f",
    "a.",
    "a ",
    "a./b",
    "a /b",
    "NUL",
    "nul.txt",
    "a/CON/b",
    "com1.log",
    "LPT9",
    "conin$",
    "n" * 256,
    "é" * 128,
    "/".join(["d" * 100] * 41),
    "a\ud800b",
]


@pytest.mark.parametrize("path", SAFE, ids=ascii)
def test_safe_paths(path: str) -> None:
    """What every filesystem takes as one file below its folder is let through."""
    assert unsafe_reason(path) is None


@pytest.mark.parametrize("path", UNSAFE, ids=ascii)
def test_unsafe_paths(path: str) -> None:
    """What would leave the folder, or is no name somewhere, is refused in words."""
    assert unsafe_reason(path)
    assert not are_plain(["a", path])


@pytest.mark.parametrize("path", SAFE, ids=ascii)
@pytest.mark.parametrize(
    "twist",
    [
        pytest.param("../{}", id="climbs"),
        pytest.param("/{}", id="absolute"),
        pytest.param("a/../{}", id="climbs-within"),
        pytest.param("{}/..", id="climbs-at-the-end"),
        pytest.param("{}/", id="a-folder"),
        pytest.param("{}\0", id="nul"),
        pytest.param("D:{}", id="a-drive"),
        pytest.param("{} ", id="a-trailing-space"),
        pytest.param("nul/{}", id="a-device"),
    ],
)
def test_any_safe_path_can_be_made_unsafe(path: str, twist: str) -> None:
    """No harmless part hides a harmful one."""
    assert unsafe_reason(twist.format(path))


@pytest.mark.parametrize("path", [None, 7, b"a", ["a"], {"a": 1}])
def test_what_is_no_text_is_unsafe(path: object) -> None:
    """A manifest or a log on disk may hold anything where a path is expected."""
    assert unsafe_reason(path)


@pytest.mark.parametrize("name", ["a", "a b(1)", "12:30", "2026-11-26T12:30:00+00:00", "x=1,y=2"])
@pytest.mark.parametrize("form", ["{}", "{}.mcap", "logs/{}", "{}/{}.log"])
def test_most_paths_are_judged_together(name: str, form: str) -> None:
    """A listing of a million files has no time for more than one match of each."""
    assert are_plain(["a", form.format(name, name)])

"""Foreign text cannot break a log line, drive a terminal or become Markdown."""

import pytest

from roboto_dagster.text import code_span, markdown_text, one_line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("flight 1/Übung #2.bag", "flight 1/Übung #2.bag", id="harmless"),
        pytest.param("a\nRUN_SUCCESS", r"a\nRUN_SUCCESS", id="line-break"),
        pytest.param("\x1b[31mred\x07", r"\x1b[31mred\x07", id="terminal"),
        pytest.param("c1\x9b31m\x85", r"c1\x9b31m\x85", id="c1"),
        pytest.param("bidi\u202egnp.exe", r"bidi\u202egnp.exe", id="bidi"),
        pytest.param("ls\u2028line", r"ls\u2028line", id="separator"),
        pytest.param("lone\ud800", r"lone\ud800", id="surrogate"),
        pytest.param(ValueError("tab\t"), r"tab\t", id="object"),
    ],
)
def test_one_line(text: object, expected: str) -> None:
    """What breaks a line or controls a terminal is written as an escape; all else stays."""
    assert one_line(text) == expected
    expected.encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("![x](http://h/)", "`![x](http://h/)`", id="image"),
        pytest.param("a`b", "`` a`b ``", id="backtick"),
        pytest.param("``", "``` `` ```", id="backticks-alone"),
        pytest.param("a\n\nb", r"`a\n\nb`", id="paragraphs"),
    ],
)
def test_code_span(text: str, expected: str) -> None:
    """A name is shown as code, with a fence that it cannot close."""
    assert code_span(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("![x](http://h/)", r"!\[x\](http://h/)", id="image"),
        pytest.param("<img src=x>", r"\<img src=x\>", id="html"),
        pytest.param("&lt;img&gt;", "&amp;lt;img&amp;gt;", id="entity"),
        pytest.param("**b** _i_ ~~s~~ | `c`", r"\*\*b\*\* \_i\_ \~\~s\~\~ \| \`c\`", id="marks"),
        pytest.param("# h", r"\# h", id="heading"),
        pytest.param("1. x", r"1\. x", id="list"),
        pytest.param("- x", r"\- x", id="bullet"),
        pytest.param("raise max_connections to 3.5.", "raise max_connections to 3.5.", id="plain"),
    ],
)
def test_markdown_text(text: str, expected: str) -> None:
    """A sentence shows as it is written; nothing in it is a link, an image or HTML."""
    assert markdown_text(text) == expected

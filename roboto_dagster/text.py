"""Makes foreign text safe for logs and for Markdown: names of files and datasets, messages of servers.

Whoever uploads a file chooses its name. In a log a line break in it forges a line, and an escape
sequence drives the terminal; in Markdown an image's address is fetched by the viewer's browser. Text
is kept as it is in records and on disk, and escaped once, where it becomes a message:

- `one_line`: for logs, exceptions and plain metadata. Errors of this package apply it themselves.
- `code_span`: for a name inside Markdown.
- `markdown_text`: for a sentence inside Markdown.

`some` and `count` are parts of such messages.
"""

import itertools
import re
import unicodedata
from collections.abc import Collection

# Cc: controls. Cf: invisible formats, the bidirectional overrides among them. Cs: lone surrogates, which
# no output can encode. Zl, Zp: line and paragraph separators.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# What starts or ends a construct of Markdown or HTML within a line; an underscore inside a word does not.
_INLINE = re.compile(r"[\\`*\[\]<>|~]|(?<!\w)_|_(?!\w)")
# What does so at the beginning of a line: headings, lists, underlines.
_LEADING = re.compile(r"^(\s*\d*)([#+\-=.)])")
_BACKTICKS = re.compile(r"`+")


def one_line(text: object) -> str:
    r"""Return a text without characters that break a line or control a terminal.

    Args:
        text: Anything; its `str` is taken.

    Returns:
        One line, in which such characters are written as escapes of Python, such as `\n`, `\x1b` and
        `\u202e`.
    """
    plain = str(text)
    if plain.isprintable():  # most are, and this is checked once a log line
        return plain
    return "".join(_escaped(character) for character in plain)


def is_unicode(text: str) -> bool:
    """Return whether there is no lone surrogate, which JSON can carry and neither database nor file can store."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def code_span(text: object) -> str:
    """Return a text as a code span of Markdown, in which nothing is interpreted.

    Args:
        text: Anything; its `str` is taken.
    """
    line = one_line(text)
    longest = max((len(run) for run in _BACKTICKS.findall(line)), default=0)
    fence = "`" * (longest + 1)
    # One space at each end is removed by the viewer; needed next to a backtick.
    return f"{fence} {line} {fence}" if longest or not line.strip() else f"{fence}{line}{fence}"


def markdown_text(text: object) -> str:
    """Return a text in which no Markdown and no HTML is interpreted.

    Args:
        text: Anything; its `str` is taken.
    """
    line = _INLINE.sub(r"\\\g<0>", one_line(text).replace("&", "&amp;"))
    return _LEADING.sub(r"\1\\\2", line)


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in _UNSAFE_CATEGORIES:
        return character
    return character.encode("unicode_escape").decode("ascii")


def some(names: Collection[str], most: int = 5) -> str:
    """Return the first few names in one line, and how many more there are.

    Args:
        names: As they come from outside.
        most: How many are named. Default 5.
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(one_line, itertools.islice(names, most))) + more


def count(number: int, noun: str) -> str:
    """Return such as `1 file` or `3 files`.

    Args:
        number: How many there are.
        noun: In the singular; an `s` makes its plural.
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

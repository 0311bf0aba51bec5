"""What the decoders of this package share: how they claim a log, and what they do without their libraries."""

import pathlib
from collections.abc import Iterator

from roboto_dagster.topics.decoder import Found
from roboto_dagster.topics.extras import missing_extra
from roboto_dagster.topics.topic_filter import TopicFilter


class LibraryDecoder:
    """A `LogDecoder` whose libraries are installed by an extra of this package, and imported on use.

    Attributes:
        name: Short name of the decoder.
        version: Changes whenever tables would differ.
        extra: Which extra installs its libraries.
        modules: The libraries, by the names to import; empty if it needs none.
        magic: With what its logs begin; empty if that says nothing.
        suffixes: With what names of its logs end, in lower case.
    """

    name = ""
    version = "1"
    extra = ""
    modules: tuple[str, ...] = ()
    magic = b""
    suffixes: tuple[str, ...] = ()

    def claims(self, path: pathlib.Path, head: bytes) -> bool:
        """Return whether a file is a log of this format, damaged or not, by its first bytes or its name.

        Args:
            path: The file.
            head: Its first bytes.
        """
        is_magic = bool(self.magic) and head.startswith(self.magic)
        return is_magic or path.name.lower().endswith(self.suffixes)

    def batches(self, path: pathlib.Path, topics: TopicFilter) -> Iterator[Found]:
        """Decode one log.

        Args:
            path: The log.
            topics: Which topics, which fields of them, and how.

        Yields:
            Rows, and what was wrong.
        """
        fault = missing_extra(self.extra, *self.modules)
        if fault is not None:
            yield fault
        else:
            yield from self._read(path, topics)

    def _read(self, path: pathlib.Path, topics: TopicFilter) -> Iterator[Found]:
        """Decode one log; the libraries are installed."""
        raise NotImplementedError

"""Counts messages that are longer than their definition: they were written by another version of it.

The codec ignores what follows the last field. So the definition is given one field more, of eight bytes,
and messages in which it is found are too long. That costs too much for every message: of each group
the first and the longest one are tried, and all of them if one of these is too long.
"""

from collections.abc import Sequence
from typing import Any

from roboto_dagster.topics.definitions import ROOT_TYPE, TRAILING_FIELD, RosDefinition

_LEAST_BYTES = 8  # fewer may be padding


class TrailingBytes:
    """Counts messages of one type that have 8 bytes or more behind their last field.

    Args:
        definition: The type.
        schema_encoding: `ros1msg` or `ros2msg`.
        message_encoding: `ros1` or `cdr`.
    """

    def __init__(
        self, definition: RosDefinition, schema_encoding: str, message_encoding: str
    ) -> None:
        self._definition = definition
        self._encodings = (schema_encoding, message_encoding)
        self._codec: Any = None

    def count_in(self, payloads: Sequence[bytes]) -> int:
        """Return how many of a group of messages are too long.

        Args:
            payloads: The messages; one that cannot be decoded does not count.
        """
        if payloads and (self._is_long(payloads[0]) or self._is_long(max(payloads, key=len))):
            return sum(map(self._is_long, payloads))
        return 0

    def _is_long(self, payload: bytes) -> bool:
        import mcap_codec  # type: ignore[import-untyped]  # it has no type hints

        try:
            if self._codec is None:
                text = self._definition.codec_text(trailing_bytes=_LEAST_BYTES).encode()
                self._codec = mcap_codec.RosCdrCodec(*self._encodings, text, ROOT_TYPE)
            found = self._codec.decode_fields(payload, [TRAILING_FIELD])
        except mcap_codec.CodecError:
            return False
        return (
            len(found.get(TRAILING_FIELD, ())) == _LEAST_BYTES
        )  # of ROS 1, the rest may be shorter

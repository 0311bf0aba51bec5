"""Which decoder reads a file: the first that claims it, by its first bytes or its name."""

import pathlib
from collections.abc import Sequence

from roboto_dagster.disk.local_file import open_regular
from roboto_dagster.topics.decoder import HEAD_BYTES, LogDecoder, TopicFault, fault_of
from roboto_dagster.topics.mcap.decoder import McapDecoder
from roboto_dagster.topics.ros.decoder import BagDecoder, CompressedBagDecoder, Db3Decoder
from roboto_dagster.topics.ulog.decoder import UlogDecoder


def default_decoders() -> tuple[LogDecoder, ...]:
    """Return the decoders of this package, in the order in which they are asked."""
    return (McapDecoder(), BagDecoder(), Db3Decoder(), CompressedBagDecoder(), UlogDecoder())


def decoder_for(
    path: pathlib.Path, decoders: Sequence[LogDecoder] | None = None
) -> LogDecoder | TopicFault | None:
    """Return what decodes a file.

    Args:
        path: The file.
        decoders: Asked in this order. Default None: those of this package.

    Returns:
        The first decoder that claims it; None if none does; a fault if the file cannot be read.
    """
    try:
        with open_regular(path) as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        return fault_of(None, error)
    chosen = default_decoders() if decoders is None else decoders
    return next((decoder for decoder in chosen if decoder.claims(path, head)), None)

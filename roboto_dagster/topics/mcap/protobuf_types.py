"""Makes decoders of protobuf messages from descriptors, once these are checked to be complete and shallow."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from roboto_dagster.topics.faults import UndecodableError

_MAX_DEPTH = 300


def protobuf_decoder(type_name: str, data: bytes) -> Callable[[bytes], Any]:
    """Return what makes a message of bytes.

    Args:
        type_name: Full name of the type.
        data: The FileDescriptorSet.

    Raises:
        UndecodableError: MISSING_DEFINITION or INVALID_DEFINITION.
    """
    from google.protobuf.descriptor_pb2 import FileDescriptorSet
    from google.protobuf.message import DecodeError as ProtobufError
    from mcap.exceptions import McapError
    from mcap.records import Schema
    from mcap_protobuf.decoder import DecoderFactory

    if not data:
        raise UndecodableError("MISSING_DEFINITION", f"the descriptor of {type_name} is empty")
    try:
        _check_depth(type_name, FileDescriptorSet.FromString(data).file)
        schema = Schema(id=1, data=data, encoding="protobuf", name=type_name)
        decode = DecoderFactory().decoder_for("protobuf", schema)
    except ProtobufError as error:
        reason = f"the descriptor of {type_name} cannot be read: {error}"
        raise UndecodableError("INVALID_DEFINITION", reason) from None
    except (McapError, TypeError, KeyError, ValueError) as error:
        # Of the pool of descriptors: a file or a type is missing.
        reason = f"the descriptor of {type_name} is incomplete: {error}".replace("\n", " ")
        raise UndecodableError("MISSING_DEFINITION", reason) from None
    assert decode is not None  # noqa: S101 - both encodings are protobuf
    return decode


def _check_depth(type_name: str, files: Iterable[Any]) -> None:
    """Raise where types are nested so deeply that protobuf 4 would overflow the stack of the process.

    It makes the classes of a message's fields before it has made that of the message.
    """
    types = {
        name: each
        for file in files
        for name, each in _types(f".{file.package}".rstrip("."), file.message_type)
    }
    seen: set[str] = set()
    for name in types:
        pending = [iter([name])]
        while pending:
            found = next(pending[-1], None)
            if found is None:
                pending.pop()
            elif found in types and found not in seen:
                seen.add(found)
                pending.append(iter(types[found]))
            if len(pending) > _MAX_DEPTH:
                raise UndecodableError(
                    "INVALID_DEFINITION", f"{type_name} is nested deeper than {_MAX_DEPTH} levels"
                )


def _types(above: str, messages: Iterable[Any]) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield all message types with the names of the types of their fields."""
    for message in messages:
        name = f"{above}.{message.name}"
        yield name, [field.type_name for field in message.field if field.type_name]
        yield from _types(name, message.nested_type)

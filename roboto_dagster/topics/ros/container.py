"""A connection of a bag: who sent messages, and with which definition."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BagConnection:
    """One of a bag, compared by identity. Each connection has its own definition, also of a type that others have too.

    Attributes:
        topic: Verbatim.
        type_name: Of the messages, verbatim.
        message_encoding: `ros1` or `cdr`; anything else is delivered as it is, or not at all.
        schema_encoding: `ros1msg`, `ros2msg` or `ros2idl`.
        definition: The text, which is empty for a message without fields; None if the bag has none.
    """

    topic: str
    type_name: str
    message_encoding: str
    schema_encoding: str
    definition: bytes | None

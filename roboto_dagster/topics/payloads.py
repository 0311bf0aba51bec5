"""What decodes the messages of one table into columns, whatever their encoding."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from roboto_dagster.topics.faults import UndecodableError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Fields of messages as columns.

    Attributes:
        rows: How many; there may be no field to count them by.
        fields: Names and types.
        arrays: Values, a column a field.
        header_time: The time in `header.stamp`; None if the messages have none.
    """

    rows: int
    fields: "Sequence[pa.Field[Any]]"
    arrays: "Sequence[pa.Array[Any]]"
    header_time: "pa.Array[Any] | None" = None


class PayloadDecoder(Protocol):
    """Decodes messages of one type."""

    def columns(self, payloads: Sequence[bytes]) -> Iterator[Columns]:
        """Decode messages, in the order given; the fields are the same each time.

        Args:
            payloads: The messages.

        Yields:
            The rows; those before a message that cannot be decoded, too.

        Raises:
            UndecodableError: A message cannot be decoded.
        """
        ...


def loaded(
    payloads: Iterable[bytes],
    load: Callable[[bytes], Any],
    errors: tuple[type[Exception], ...],
    what: str,
) -> tuple[list[Any], UndecodableError | None]:
    """Return messages read one by one, up to the first that cannot be, and why it cannot.

    Args:
        payloads: The messages.
        load: Reads one.
        errors: What it raises for a damaged one.
        what: What is wrong with such a message.
    """
    values: list[Any] = []
    try:
        for payload in payloads:
            values.append(load(payload))  # noqa: PERF401 - those before an error are kept
    except errors as error:
        return values, UndecodableError("CORRUPT", f"{what}: {error}")
    return values, None


class RawPayloads:
    """Delivers messages as they are, in the column `data`."""

    def columns(self, payloads: Sequence[bytes]) -> Iterator[Columns]:
        """Return the messages as one binary column.

        Args:
            payloads: The messages.

        Yields:
            All rows at once.
        """
        import pyarrow as pa

        yield Columns(
            rows=len(payloads),
            fields=[pa.field("data", pa.binary())],
            arrays=[pa.array(payloads, pa.binary())],
        )

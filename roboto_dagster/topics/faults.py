"""Why a log or one of its topics cannot be decoded: the codes, and what to do next."""

from typing import Literal, get_args

FaultCode = Literal[
    "TRUNCATED",
    "CORRUPT",
    "COUNT_MISMATCH",
    "UNFINISHED",
    "UNINDEXED",
    "ENCRYPTED",
    "UNSUPPORTED_VERSION",
    "UNSUPPORTED_COMPRESSION",
    "UNSUPPORTED_ENCODING",
    "UNSUPPORTED_TYPE",
    "MISSING_DEFINITION",
    "INVALID_DEFINITION",
    "UNKNOWN_FIELD",
    "TYPE_MISMATCH",
    "NO_TIMESTAMP",
    "TIME_RANGE",
    "TOO_LARGE",
    "EXTRA_MISSING",
    "LOG_IO",
    "PROCESS_DIED",
    "DECODER_FAILED",
]
"""What went wrong with a log or a topic, for programs. Codes are never renamed."""

FAULT_CODES: tuple[str, ...] = get_args(FaultCode)

DEFINITION_FAULTS = frozenset(
    {"MISSING_DEFINITION", "INVALID_DEFINITION", "UNSUPPORTED_TYPE", "UNSUPPORTED_ENCODING"}
)
"""Codes of topics that cannot be decoded, and can be delivered as bytes instead."""

FAULT_ADVICE: dict[str, str] = {
    "TRUNCATED": "The log ends too early: record or upload it again, or keep what can be read with keep_partial=True.",
    "CORRUPT": "Bytes of the log are damaged: upload it again, or keep what can be read with keep_partial=True.",
    "COUNT_MISMATCH": "The log holds another number of messages than it states: repair it with its format's tool.",
    "UNFINISHED": "The recorder did not close the log: open and close it with its tool, then upload it again.",
    "UNINDEXED": "The recorder did not close the bag: run `rosbag reindex` on it, then upload it again.",
    "ENCRYPTED": "Decrypt the log, then upload it again.",
    "UNSUPPORTED_VERSION": "This version of the format cannot be read: convert the log with the format's tool.",
    "UNSUPPORTED_COMPRESSION": "Decompress the log, or rewrite it with a compression of its format, then upload it.",
    "UNSUPPORTED_ENCODING": "Exclude the topic, get its bytes with raw=True, or add a decoder of your own.",
    "UNSUPPORTED_TYPE": "Exclude the topic, get its bytes with raw=True, or add a decoder of your own.",
    "MISSING_DEFINITION": "Record complete definitions, pass those of ROS as ros_definitions, or exclude the topic.",
    "INVALID_DEFINITION": "Correct the definition where the log is recorded, or exclude the topic.",
    "UNKNOWN_FIELD": "Correct the asset's option fields: the type has no such field.",
    "TYPE_MISMATCH": "Correct the topic's schema where the log is recorded, or exclude the topic.",
    "NO_TIMESTAMP": "Exclude the topic: its rows cannot be placed in time.",
    "TIME_RANGE": "A time is outside the years 1677 to 2262: correct the recorder's clock, or exclude the topic.",
    "TOO_LARGE": "Exclude the topic, or record it in smaller messages and chunks.",
    "EXTRA_MISSING": "Install the named extra in the environment that runs the asset.",
    "LOG_IO": "Check the log's permissions and its disk, then materialize the partition again.",
    "PROCESS_DIED": "Give the run more memory or fewer processes, then materialize the partition again.",
    "DECODER_FAILED": "Report the reason and the log's format as a bug of the decoder.",
}
"""What to do next, by code; ends every message about a log or a topic."""


def fault_advice(code: str) -> str:
    """Return what to do next; for a code that only a user's decoder has, name its documentation."""
    return FAULT_ADVICE.get(code, "See the documentation of the decoder.")


class UndecodableError(Exception):
    """A log or a topic cannot be decoded further; a decoder turns it into a `TopicFault`.

    Args:
        code: One of `FaultCode`.
        reason: What happened, in a few words.
    """

    def __init__(self, code: FaultCode, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

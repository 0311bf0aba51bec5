"""The failure of one log, or of one of its topics."""

from collections.abc import Mapping

from roboto_dagster.errors import ADVICE, TRANSIENT_CODES, RobotoDagsterError
from roboto_dagster.text import one_line
from roboto_dagster.topics.faults import fault_advice


class DecodeError(RobotoDagsterError):
    """One log, or one topic of it, could not be decoded.

    Args:
        dataset_id: The dataset of the log.
        relative_path: The log's path there.
        topic: The topic, or None for the log.
        code: One of `topics.faults.FaultCode`, or the code of somebody's own decoder.
        reason: What happened, in a few words.
        advice: What to do next, in one sentence. Default None: that of the code.
    """

    attempts: int = 1

    def __init__(  # noqa: PLR0917 - positional, to survive pickling
        self,
        dataset_id: str,
        relative_path: str,
        topic: str | None,
        code: str,
        reason: str,
        advice: str | None = None,
    ) -> None:
        super().__init__(dataset_id, relative_path, topic, code, reason, advice)
        self.dataset_id = dataset_id
        self.relative_path = relative_path
        self.topic = topic
        self.code = code
        self.reason: str = self.args[4]
        self.advice: str = self.args[5] or ADVICE.get(code) or fault_advice(code)
        self.transient = code in TRANSIENT_CODES

    @property
    def place(self) -> Mapping[str, str]:
        """What it is about, by the name of a column; an empty topic is all of the log."""
        return {"relative_path": self.relative_path, "topic": self.topic or ""}

    def __str__(self) -> str:
        topic = f", topic {self.topic}" if self.topic is not None else ""
        log = f"{self.dataset_id}/{self.relative_path}{topic}"
        return one_line(f"{log}: {self.code}: {self.reason.rstrip('.')}. {self.advice}")

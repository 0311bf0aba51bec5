"""The lines of a run about its partitions."""

import dataclasses
import logging
from typing import Protocol

from roboto_dagster.errors import RobotoDagsterError
from roboto_dagster.messages import dataset_label
from roboto_dagster.outcomes import Outcome
from roboto_dagster.text import one_line


class Lines(Protocol):
    """Where the lines of a run go: Dagster's log, or a `RunLines`."""

    def log(self, level: int, line: str, /) -> object:
        """Log a line of a level of `logging`."""


@dataclasses.dataclass(frozen=True, slots=True)
class RunLog:
    """The log of one partition of one asset.

    Attributes:
        to: Where the lines of the run go.
        asset: What each line starts with, where the run has several assets.
        partition_key: The same where the run has several partitions.
    """

    to: Lines
    asset: str | None = None
    partition_key: str | None = None

    def __call__(self, level: int, line: str) -> None:
        """Log a line.

        Args:
            level: As of `logging`.
            line: The line.
        """
        prefix = "".join(f"{one_line(each)}: " for each in (self.asset, self.partition_key) if each)
        self.to.log(level, f"{prefix}{line}")


def log_outcome(log: RunLog, key: str | None, outcome: Outcome, *, is_one: bool) -> None:
    """Log the outcome of one partition in one line.

    Args:
        log: Of the partition.
        key: The partition; None where there are none.
        outcome: Its outcome.
        is_one: Whether the run has no other; then its error is the failure of the run, which follows at once.
    """
    if not isinstance(outcome, RobotoDagsterError):
        if key in outcome.dataset_ids:  # the label has the id, too
            log = dataclasses.replace(log, partition_key=None)
        label = f"{dataset_label(outcome)}: " if outcome.dataset_ids else ""
        level = logging.INFO if outcome.is_complete else logging.WARNING
        log(level, f"{label}{outcome.summary()}")
    elif not is_one:
        log(logging.ERROR, str(outcome))

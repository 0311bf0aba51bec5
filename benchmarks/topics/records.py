"""What was measured: one line of JSON a case and contender in `topics.json`, so that each case can be measured alone."""

import dataclasses
import json
import pathlib
import statistics
from collections.abc import Sequence

from benchmarks.topics.cases import OURS


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopicsRecord:
    """What a contender took in all rounds.

    Attributes:
        case: The kind of log.
        who: The contender.
        log_bytes: Size of the log.
        rows: How many messages it has read, the same in each round.
        cpu_seconds: User and system time of each round.
        seconds: Wall time of each round.
        rss_bytes: Most memory of all rounds.
        load_before: The machine's load before the first round.
    """

    case: str
    who: str
    log_bytes: int
    rows: int
    cpu_seconds: Sequence[float]
    seconds: Sequence[float]
    rss_bytes: int
    load_before: float


class TopicsRecords:
    """The records of all runs so far, in a file; what is measured again replaces its record.

    Args:
        path: The file.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        found = [TopicsRecord(**json.loads(line)) for line in lines]
        self._by_key = {(record.case, record.who): record for record in found}

    def add(self, record: TopicsRecord) -> None:
        """Keep a record, also if the run is interrupted after it."""
        self._by_key[record.case, record.who] = record
        lines = sorted(json.dumps(dataclasses.asdict(each)) for each in self._by_key.values())
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text("\n".join(lines) + "\n", "utf-8")

    def find(self, case: str, who: str = OURS) -> TopicsRecord | None:
        """Return what a contender took, or None.

        Args:
            case: The kind of log.
            who: The contender.
        """
        return self._by_key.get((case, who))

    def ratio(self, case: str, who: str) -> float | None:
        """Return the median CPU time of a contender over ours, or None if one was not measured.

        Args:
            case: The kind of log.
            who: The contender.
        """
        ours, theirs = self.find(case), self.find(case, who)
        if ours is None or theirs is None:
            return None
        return statistics.median(theirs.cpu_seconds) / statistics.median(ours.cpu_seconds)

"""What the checks of a topics asset look at: the rows of its manifests, and nothing else.

| inspection | violated by a table |
|---|---|
| `rate` | whose rows per second are out of bounds |
| `max_gap` | with more time between two rows |
| `monotonic` | with rows earlier than the row before them |

A topic that is missing in a partition, or could not be decoded, violates each of them: a check never passes on what
it has not seen.
"""

import dataclasses
import pathlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from roboto_dagster.checks.findings import Findings, Violation
from roboto_dagster.delivered import materialized_keys
from roboto_dagster.errors import ConfigurationError, RobotoDagsterError
from roboto_dagster.naming import derived_name
from roboto_dagster.partitions import PartitionsDef
from roboto_dagster.setting_checks import MOST_SECONDS, check_flag, check_seconds
from roboto_dagster.text import count, one_line
from roboto_dagster.topic_assets.config import TopicsAssetConfig
from roboto_dagster.topic_assets.tables import RecordedTopic, recorded_topics
from roboto_dagster.topics.topic_filter import pattern_matches

PATTERN = "roboto/topic_pattern"
INSPECTION = "roboto/topic_inspection"
BOUNDS = "roboto/topic_bounds"
REQUIRED = "roboto/topic_required"
_NS = 1_000_000_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopicCheck:
    """What is expected of the tables of a topic; each expectation is a check of its own.

    Attributes:
        rate: Lowest and highest number of rows per second, from the first to the last row of a table; None for no bound.
            Default: no check.
        max_gap: The longest time without a row, in seconds. Default: no check.
        monotonic: Whether no row is earlier than the one before it. Default False: no check.
        required: Whether a partition without the topic violates the checks. Default True.
    """

    rate: tuple[float | None, float | None] | None = None
    max_gap: float | None = None
    monotonic: bool = False
    required: bool = True

    def __post_init__(self) -> None:
        check_flag("monotonic", self.monotonic)
        check_flag("required", self.required)
        check_seconds("max_gap", self.max_gap, optional=True)
        if self.rate is not None:
            object.__setattr__(self, "rate", _checked_rate(self.rate))
        if not self.inspections():
            raise ConfigurationError(
                "TopicCheck expects nothing: give rate, max_gap or monotonic=True."
            )

    def inspections(self) -> Mapping[str, Any]:
        """Return the bounds of each inspection that is wanted, by its name."""
        wanted = {
            "rate": None if self.rate is None else list(self.rate),
            "max_gap": self.max_gap,
            "monotonic": True if self.monotonic else None,
        }
        return {name: bounds for name, bounds in wanted.items() if bounds is not None}


def _checked_rate(rate: Any) -> tuple[float | None, float | None]:
    is_pair = isinstance(rate, (tuple, list)) and len(rate) == 2
    bounds = list(rate) if is_pair else []
    is_number = all(
        bound is None
        or (isinstance(bound, (int, float)) and not isinstance(bound, bool) and 0 <= bound < 1e12)
        for bound in bounds
    )
    if not is_pair or not is_number or bounds == [None, None]:
        raise ConfigurationError(
            f"rate must be the lowest and the highest number of rows per second, such as (90, 110) or (90, None), not {rate!r}."
        )
    least, most = bounds
    if least is not None and most is not None and least > most:
        raise ConfigurationError(f"rate must have the smaller bound first, not {rate!r}.")
    return least, most


class TopicInspector:
    """The checks of one topics asset, for the op that evaluates them.

    Args:
        config: Of the asset.
        asset_key: The asset.
        partitions_def: Its partitions, or None.
    """

    def __init__(
        self,
        config: TopicsAssetConfig,
        asset_key: dg.AssetKey,
        partitions_def: PartitionsDef | None,
    ) -> None:
        self._config = config
        self.asset_key = asset_key
        self.partitions_def = partitions_def
        self.op_name = derived_name(asset_key, "_topic_checks")
        self._read = threading.local()  # the last manifest: all checks of a partition look at it

    @staticmethod
    def knows(spec: dg.AssetCheckSpec) -> bool:
        """Return whether a check is one of these."""
        return INSPECTION in (spec.metadata or {})

    def recorded_keys(self) -> list[str]:
        """Return the partitions that were ever decoded here; the dataset's id where there are none."""
        if self.partitions_def is None and self._config.dataset_id is not None:
            return [self._config.dataset_id]
        return materialized_keys(self._config, self.asset_key)

    def inspect(
        self,
        spec: dg.AssetCheckSpec,
        keys: Sequence[str],
        *,
        seed: str,  # noqa: ARG002 -- nothing is drawn by chance
        is_wanted: Callable[[], bool],
    ) -> Findings:
        """Look at some partitions.

        Args:
            spec: The check.
            keys: The partitions.
            seed: Of no account.
            is_wanted: Whether the result is still wanted.
        """
        settings = dict(spec.metadata or {})
        pattern, name = str(settings[PATTERN]), str(settings[INSPECTION])
        checked, found = 0, list[Violation]()
        for key in keys:
            if not is_wanted():
                break
            try:
                rows = self._rows(key, pattern)
            except RobotoDagsterError as error:  # must not hide the other partitions
                found.append(Violation(str(error), key))
                continue
            if not rows and settings[REQUIRED]:
                found.append(Violation(f"no log has the topic {one_line(pattern)}", key))
            checked += len(rows)
            found += [
                Violation(problem, key, row.relative_path)
                for row in rows
                if (problem := _problem(row, name, settings[BOUNDS])) is not None
            ]
        verified = f"{count(checked, 'table')} of {one_line(pattern)}"
        return Findings(checked, found, verified, _ADVICE, "tables")

    def _rows(self, key: str, pattern: str) -> list[RecordedTopic]:
        rows = self._manifest_rows(key)
        return [each for each in rows if each.topic is None or pattern_matches(pattern, each.topic)]

    def _manifest_rows(self, key: str) -> Sequence[RecordedTopic]:
        state = (key, _changed_at(self._config.manifest(self.asset_key, key)))
        if getattr(self._read, "state", None) != state:
            self._read.rows = recorded_topics(self._config, self.asset_key, key)
            self._read.state = state
        rows: Sequence[RecordedTopic] = self._read.rows
        return rows


_ADVICE = "Check how the topic was recorded: the tables hold what the logs hold."


def _changed_at(manifest: pathlib.Path) -> tuple[int, int]:
    try:
        status = manifest.stat(follow_symlinks=False)
    except OSError:  # the reader reports it
        return 0, 0
    return status.st_mtime_ns, status.st_ino


def _problem(row: RecordedTopic, name: str, bounds: Any) -> str | None:
    """Return what is wrong with a table, or None."""
    if row.code is not None:
        return f"{_named(row)}could not be decoded: {row.code}"
    problem = _INSPECTIONS[name](row, bounds)
    return None if problem is None else f"{_named(row)}{problem}"


def _named(row: RecordedTopic) -> str:
    return "the log " if row.topic is None else f"{one_line(row.topic)} "


def _rate_problem(row: RecordedTopic, bounds: Sequence[float | None]) -> str | None:
    least, most = bounds
    if row.rows < 2 or row.first_ns is None or row.last_ns is None:
        return f"has {count(row.rows, 'row')}, too few for a rate"
    seconds = (row.last_ns - row.first_ns) / _NS
    rate = (row.rows - 1) / seconds if seconds > 0 else MOST_SECONDS
    is_right = (least is None or rate >= least) and (most is None or rate <= most)
    wanted = (
        f"{'any' if least is None else f'{least:g}'} to {'any' if most is None else f'{most:g}'}"
    )
    return None if is_right else f"has {rate:.4g} rows per second; expected {wanted}"


def _gap_problem(row: RecordedTopic, longest: float) -> str | None:
    if row.rows < 2 or row.max_gap_ns is None:
        return f"has {count(row.rows, 'row')}, too few for a gap" if row.rows == 0 else None
    seconds = row.max_gap_ns / _NS
    return (
        None
        if seconds <= longest
        else f"has no row for {seconds:.4g} s; at most {longest:g} s are allowed"
    )


def _order_problem(row: RecordedTopic, _: object) -> str | None:
    if row.null_times:
        return f"has {count(row.null_times, 'row')} without a time"
    return f"goes back in time at {count(row.steps_back, 'row')}" if row.steps_back else None


_INSPECTIONS: Mapping[str, Callable[[RecordedTopic, Any], str | None]] = {
    "rate": _rate_problem,
    "max_gap": _gap_problem,
    "monotonic": _order_problem,
}

"""Asset checks on decoded topics: their rate, their gaps and the order of their rows."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from roboto_dagster.checks.evaluations import evaluate_checks
from roboto_dagster.checks.results import SEVERITY
from roboto_dagster.checks.specs import check_specs
from roboto_dagster.checks.topic_inspector import (
    BOUNDS,
    INSPECTION,
    PATTERN,
    REQUIRED,
    TopicCheck,
    TopicInspector,
)
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.naming import plain_name
from roboto_dagster.setting_checks import check_flag
from roboto_dagster.text import code_span
from roboto_dagster.topic_assets.config import TopicsAssetConfig
from roboto_dagster.topics.topic_filter import TopicFilter

_DESCRIPTIONS = {
    "rate": "Each table of {topic} has {bounds} rows per second.",
    "max_gap": "No table of {topic} has more than {bounds} s between two rows.",
    "monotonic": "The rows of each table of {topic} are in the order of time.",
}


def build_topic_checks(
    asset: dg.AssetsDefinition,
    topics: Mapping[str, TopicCheck],
    *,
    blocking: bool = False,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> Sequence[dg.AssetChecksDefinition]:
    """Build checks of decoded topics, from the manifests alone; one op evaluates them all.

    ```python
    checks = build_topic_checks(
        robot_topics, {"/imu": TopicCheck(rate=(90, 110), max_gap=0.5, monotonic=True)}
    )
    ```

    Each expectation is a check, such as `imu_rate`, `imu_max_gap` and `imu_monotonic`. Each table is checked by itself,
    so that the time between two logs is no gap. In a run of the asset, or of its checks for some partitions, these are
    checked; in any other run all that were ever decoded here and still exist in Dagster. Each partition has an
    evaluation of its own.

    Args:
        asset: From `build_roboto_topics_asset` or a component.
        topics: What is expected, by topic or pattern of topics.
        blocking: Whether what depends on the asset waits for the checks, and a run fails with them. Default false.
        severity: How a violation is shown: as an error (default) or a warning, which blocks nothing.

    Returns:
        One definition, which holds all checks.

    Raises:
        ConfigurationError: The asset is no topics asset, or an expectation is none that can be checked.
    """
    config = TopicsAssetConfig.of(asset)
    _check_topics(topics)
    check_flag("blocking", blocking)
    if not isinstance(severity, dg.AssetCheckSeverity):
        raise ConfigurationError(
            f"severity must be AssetCheckSeverity.ERROR or .WARN, not {severity!r}."
        )
    inspector = TopicInspector(config, asset.key, asset.partitions_def)

    @dg.multi_asset_check(
        name=inspector.op_name,
        specs=check_specs(
            asset.key,
            _checks(topics, severity),
            partitions_def=asset.partitions_def,
            blocking=blocking,
        ),
        can_subset=True,
    )
    def roboto_topic_checks(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
        yield from evaluate_checks(context, inspector)

    return [roboto_topic_checks]


def _checks(
    topics: Mapping[str, TopicCheck], severity: dg.AssetCheckSeverity
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return description and metadata of each check, by its name."""
    names = _names(topics)
    return {
        f"{names[pattern]}_{inspection}": (
            _DESCRIPTIONS[inspection].format(topic=code_span(pattern), bounds=_in_words(bounds)),
            {
                PATTERN: pattern,
                INSPECTION: inspection,
                BOUNDS: bounds,
                REQUIRED: check.required,
                SEVERITY: severity.value,
            },
        )
        for pattern, check in topics.items()
        for inspection, bounds in check.inspections().items()
    }


def _in_words(bounds: Any) -> str:
    """Return what is allowed: `90 to 110`, `at least 90`, `at most 110`, `0.5`."""
    if not isinstance(bounds, list):
        return f"{bounds}"
    least, most = bounds
    if least is None:
        return f"at most {most:g}"
    return f"at least {least:g}" if most is None else f"{least:g} to {most:g}"


def _names(patterns: Mapping[str, Any]) -> dict[str, str]:
    """Return a name for each topic: `imu_data` of `/imu/data`; with a hash where two would share one."""
    plain = {each: plain_name(each.strip("/"), default="topics").strip("_") for each in patterns}
    shared = {name for name, number in Counter(plain.values()).items() if number > 1}
    return {
        each: f"{name}_{hashlib.sha256(each.encode()).hexdigest()[:8]}" if name in shared else name
        for each, name in plain.items()
    }


def _check_topics(topics: Any) -> None:
    if not isinstance(topics, Mapping) or not topics:
        raise ConfigurationError(
            f"topics must map topics to TopicCheck objects, such as {{'/imu': TopicCheck(rate=(90, 110))}}, not {topics!r}."
        )
    for pattern, check in topics.items():
        if not isinstance(pattern, str) or not pattern or pattern.startswith("!"):
            raise ConfigurationError(
                f"topics must have topics or patterns such as '/imu*' as keys, none with `!`, not {pattern!r}."
            )
        if not isinstance(check, TopicCheck):
            raise ConfigurationError(
                f"The expectation of {pattern!r} must be a TopicCheck, not {check!r}."
            )
    TopicFilter(topics=tuple(topics))  # refuses patterns that cannot be read

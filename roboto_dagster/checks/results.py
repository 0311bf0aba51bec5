"""What the findings of a check look like in Dagster: a sentence, numbers, a table of violations."""

from collections.abc import Sequence

import dagster as dg

from roboto_dagster.checks.findings import Findings, Violation
from roboto_dagster.text import code_span, count, markdown_text, one_line

MAX_LISTED_VIOLATIONS = 20
"""So many of them are in a check's metadata."""


SEVERITY = "roboto/severity"
"""Of the metadata of a check: what a violation is shown as. Default: an error."""


def check_result(spec: dg.AssetCheckSpec, partitions: int, found: Findings) -> dg.AssetCheckResult:
    """Return the result of a check.

    Args:
        spec: The check.
        partitions: How many partitions it has checked.
        found: What it has found.
    """
    value = dg.MetadataValue
    metadata: dict[str, dg.MetadataValue] = {
        "roboto/partitions_checked": value.int(partitions),
        f"roboto/{found.unit}_checked": value.int(found.checked),
        "roboto/violation_count": value.int(len(found.violations)),
    }
    if found.violations:
        metadata["roboto/violations"] = _table(found.violations)
    return dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=not found.violations,
        severity=dg.AssetCheckSeverity((spec.metadata or {}).get(SEVERITY, "ERROR")),
        description=_describe(partitions, found),
        metadata=metadata,
    )


def _table(violations: Sequence[Violation]) -> dg.MetadataValue:
    # What is wrong comes first: a long path would push it out of sight.
    columns = [dg.TableColumn(name) for name in ("problem", "partition", "relative_path")]
    records = [
        dg.TableRecord(
            {
                "problem": one_line(each.problem),
                "partition": one_line(each.partition_key),
                "relative_path": one_line(each.relative_path),
            }
        )
        for each in violations[:MAX_LISTED_VIOLATIONS]
    ]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns=columns))


def _describe(partitions: int, found: Findings) -> str:
    if not found.violations:
        return f"Verified {found.verified} in {count(partitions, 'partition')}."
    named = "; ".join(map(_describe_one, found.violations[:3]))
    more = len(found.violations) - 3
    others = f"; and {more} more" if more > 0 else ""
    return f"{named}{others}. {found.advice}".strip()


def _describe_one(violation: Violation) -> str:
    names = [code_span(each) for each in violation[1:] if each]
    place = f" ({', '.join(names)})" if names else ""
    return f"{markdown_text(violation.problem).rstrip('.')}{place}"

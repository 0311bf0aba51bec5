"""What the partitions of a run are together: complete or not, one failure, one cause."""

import sys
from collections.abc import Mapping
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import ConfigurationError, PlatformError
from roboto_dagster.metadata import MAX_TABLE_ROWS, outcome_metadata
from roboto_dagster.outcomes import Outcome, Unit, is_complete, run_error, run_failure
from tests.reports import failure, plain, report, table

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        pytest.param(report(), True, id="complete"),
        pytest.param(report([failure()]), False, id="partial"),
        pytest.param(PlatformError("unknown"), False, id="not-planned"),
    ],
)
def test_is_complete(outcome: Any, *, expected: bool) -> None:
    """A partition is complete if every file of it is on disk."""
    assert is_complete(outcome) is expected


# --- the failure of a run ---


def failure_of(outcomes: Mapping[str | None, Outcome]) -> dg.Failure:
    """Return the failure of a run with these partitions."""
    failed = {Unit(key): outcome for key, outcome in outcomes.items() if not is_complete(outcome)}
    return run_failure(failed, len(outcomes))


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        pytest.param({None: report([failure()])}, False, id="permanent"),
        pytest.param({None: report([failure(1, "STALLED")])}, True, id="transient"),
        pytest.param({None: report([failure(), failure(2, "STALLED")])}, True, id="both"),
        pytest.param({None: PlatformError("down", transient=True)}, True, id="platform-down"),
        pytest.param({None: ConfigurationError("wrong")}, False, id="configuration"),
        pytest.param(
            {"a": report([failure()]), "b": PlatformError("down", transient=True)},
            True,
            id="any-partition",
        ),
    ],
)
def test_retries_are_allowed_if_something_transient_is_left(
    outcomes: Any, *, expected: bool
) -> None:
    """A `RetryPolicy` shall not repeat what fails again."""
    assert failure_of(outcomes).allow_retries is expected


def test_a_single_failure_has_the_partitions_own_metadata() -> None:
    """Where one partition failed, the failure has what its materialization would have."""
    outcome = report([failure()])
    failed = failure_of({"ds_1": report(), "ds_2": outcome})
    assert failed.metadata == outcome_metadata(outcome, "ds_2")


def test_several_failures_are_summed_up() -> None:
    """Which partitions, and the failures of all of them in one table."""
    failed = failure_of(
        {
            "a": report([failure(1)]),
            "b": report(),
            "c": report([failure(2), failure(3)]),
            "d": PlatformError("unknown"),
        }
    )
    metadata = plain(failed.metadata)
    assert metadata["roboto/partitions_failed"] == ["a", "c", "d"]
    assert metadata["roboto/error_codes"] == {"NOT_FOUND": 3}
    assert len(table(failed.metadata, "roboto/failures")) == 3
    assert (failed.description or "").startswith(
        "3 of 4 partitions are not complete; the other one is materialized.\n"
    )
    assert "d: unknown" in (failed.description or "")


def test_many_failed_partitions_do_not_flood_the_description() -> None:
    """Of a thousand partitions the first twenty are described, and how many more there are, and where, is named."""
    failed = failure_of({f"ds_{number}": PlatformError("unknown") for number in range(1000)})
    _, *described, last = (failed.description or "").splitlines()
    assert described == [f"ds_{number}: unknown" for number in range(20)]
    assert last.startswith("… and 980 more: ds_20, ds_21, ")
    assert "ds_39, …. Each of them has an observation" in last
    assert len(last) < 400
    assert len(plain(failed.metadata)["roboto/partitions_failed"]) == MAX_TABLE_ROWS


def test_the_cause_is_the_group() -> None:
    """The failure is raised from what a program can take apart."""
    failures = [failure(1), failure(2)]
    error = run_error([report(failures)])
    assert isinstance(error, ExceptionGroup)
    assert list(error.exceptions) == failures


def test_the_cause_of_several_is_a_group_of_groups() -> None:
    """One member for each partition that failed."""
    unknown = PlatformError("unknown")
    error = run_error([report([failure()]), unknown])
    assert isinstance(error, ExceptionGroup)
    assert (len(error.exceptions), error.exceptions[1]) == (2, unknown)


@pytest.mark.parametrize(
    ("failed", "total", "sentence"),
    [
        (1, 2, "1 of 2 partitions is not complete; the other one is materialized."),
        (1, 30, "1 of 30 partitions is not complete; the other 29 are materialized."),
        (2, 30, "2 of 30 partitions are not complete; the other 28 are materialized."),
        (3, 3, "None of the 3 partitions is complete."),
    ],
)
def test_numbers_agree_with_their_verbs(failed: int, total: int, sentence: str) -> None:
    """The first sentence of the failure of a range."""
    outcomes: dict[str | None, Outcome] = {
        str(number): PlatformError("unknown") if number < failed else report()
        for number in range(total)
    }
    description = failure_of(outcomes).description or ""
    assert description.splitlines()[0] == sentence


@pytest.mark.parametrize(
    ("units", "sentence"),
    [
        (["camera", "imu"], "1 of 2 assets is not complete; the other one is materialized."),
        (["camera", "imu", "gps"], "1 of 3 assets is not complete; the other 2 are materialized."),
    ],
)
def test_assets_of_one_run_are_named(units: list[str], sentence: str) -> None:
    """Where a run has several assets, the failure says which of them."""
    failed = run_failure({Unit(None, units[0]): PlatformError("unknown")}, len(units))
    assert (failed.description or "").splitlines() == [sentence, "camera: unknown"]


def test_assets_and_partitions_are_named() -> None:
    """Where there are several of both, both."""
    unknown = PlatformError("unknown")
    failed = run_failure({Unit("a", "camera"): unknown, Unit("b", "imu"): unknown}, 4)
    first, *others = (failed.description or "").splitlines()
    assert first == "2 of 4 asset partitions are not complete; the other 2 are materialized."
    assert others == ["camera: a: unknown", "imu: b: unknown"]
    assert plain(failed.metadata)["roboto/partitions_failed"] == ["camera, a", "imu, b"]


def test_what_the_failure_has_is_not_repeated_by_a_cause() -> None:
    """Where no file was tried, the failure's own sentences are all there is."""
    assert run_error([PlatformError("unknown")]) is None
    assert run_error([PlatformError("unknown"), ConfigurationError("x")]) is None

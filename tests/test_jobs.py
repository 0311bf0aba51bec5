"""Jobs of dataset assets."""

import pathlib
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import (
    ConfigurationError,
    build_roboto_dataset_asset,
    build_roboto_dataset_checks,
    build_roboto_dataset_job,
)
from roboto_dagster.testing import LocalRoboto


def resolved(tmp_path: pathlib.Path, local: LocalRoboto, **options: Any) -> dg.JobDefinition:
    """Return the only job of a code location."""
    asset = build_roboto_dataset_asset(
        "logs", dataset_id=local.add_dataset(), destination=tmp_path, key_prefix=["raw", "fleet"]
    )
    job = build_roboto_dataset_job(asset, **options)
    definitions = dg.Definitions(
        assets=[asset],
        asset_checks=build_roboto_dataset_checks(asset),
        jobs=[job],
        resources=local.resources(),
    )
    return definitions.resolve_job_def(job.name)


def test_runs_are_retried_from_their_first_step(tmp_path: pathlib.Path, local: LocalRoboto) -> None:
    """Re-executed from a failure, the merge would do alone what lost shards have not done."""
    job = resolved(tmp_path, local, run_tags={"team": "robots"})
    assert job.run_tags == {"dagster/retry_strategy": "ALL_STEPS", "team": "robots"}


def test_a_job_has_the_name_of_its_asset(tmp_path: pathlib.Path, local: LocalRoboto) -> None:
    """Or one of choice."""
    assert resolved(tmp_path, local).name == "raw__fleet__logs_job"
    assert resolved(tmp_path, local, name="nightly").name == "nightly"


def test_a_job_runs_the_checks(tmp_path: pathlib.Path, local: LocalRoboto) -> None:
    """They belong to the asset."""
    names = {node.name for node in resolved(tmp_path, local).nodes}
    assert names == {"raw__fleet__logs", "raw__fleet__logs_checks"}


def test_an_asset_of_others_is_refused() -> None:
    """With what to give instead."""

    @dg.asset
    def other() -> None: ...

    with pytest.raises(ConfigurationError, match="other is no dataset asset of roboto_dagster"):
        build_roboto_dataset_job(other)

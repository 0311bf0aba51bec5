"""The fields of the component about the step that delivers, and how the step is made of them."""

from collections.abc import Mapping, Sequence

import dagster as dg
from pydantic import Field

from roboto_dagster.assets import build_roboto_dataset_asset
from roboto_dagster.component.fields import SettingsModel, setting
from roboto_dagster.component.framework import BackfillPolicy, CheckSpec, DatasetOp, Hooks
from roboto_dagster.errors import ConfigurationError
from roboto_dagster.resource_params import Body
from roboto_dagster.run_history import DATASET_OP_TAGS
from roboto_dagster.setting_checks import MOST_SECONDS


class StepFields(SettingsModel):
    """How Dagster runs and repeats the step."""

    step_retries: int = Field(
        default=0,
        ge=0,
        description="How often Dagster repeats the step when something transient is left. Default 0.",
    )
    step_retry_delay_seconds: float = Field(
        default=60.0,
        ge=0,
        le=MOST_SECONDS,
        description="How long Dagster waits before it repeats a step. Default 60.",
    )
    backfill_policy: BackfillPolicy = None
    hooks: Hooks = None
    check_specs: list[CheckSpec] | None = setting(build_roboto_dataset_asset, "check_specs")
    io_manager_key: str | None = setting(build_roboto_dataset_asset, "io_manager_key")
    op: DatasetOp | None = Field(
        default=None,
        description="The op: name, tags, description, pool and backfill_policy. Default: Dagster's.",
    )

    @property
    def op_settings(self) -> DatasetOp:
        """What is set about the op."""
        return self.op or DatasetOp()

    def build_step(
        self,
        name: str,
        specs: Sequence[dg.AssetSpec],
        body: Body,
        tags: Mapping[str, str] = DATASET_OP_TAGS,
    ) -> dg.AssetsDefinition:
        """Make the step.

        Args:
            name: Of its op, if none is set.
            specs: The assets that it materializes; of several any can be selected.
            body: What it does.
            tags: Of its op, by which it is recognized. Default: those of dataset assets.

        Raises:
            ConfigurationError: A setting cannot work.
        """
        op = self.op_settings
        has_several = len(specs) > 1
        make_assets = dg.multi_asset(
            name=op.name or name,
            # One that failed is left out of the step's results.
            specs=[each.replace_attributes(skippable=has_several) for each in specs],
            can_subset=has_several,
            description=op.description,
            op_tags={**(op.tags or {}), **tags},
            pool=op.pool,
            backfill_policy=self.policy_of_backfills(),
            retry_policy=self.retry_policy(),
            hooks=self.hooks,
            check_specs=self.check_specs,
        )
        return make_assets(body)

    def retry_policy(self) -> dg.RetryPolicy | None:
        """Return how Dagster repeats the step; None if it does not."""
        delay = self.step_retry_delay_seconds
        return (
            dg.RetryPolicy(max_retries=self.step_retries, delay=delay)
            if self.step_retries
            else None
        )

    def policy_of_backfills(self) -> dg.BackfillPolicy | None:
        """Return it, wherever it is given.

        Raises:
            ConfigurationError: It is given twice.
        """
        op = self.op_settings
        if self.backfill_policy is not None and op.backfill_policy is not None:
            raise ConfigurationError(
                "backfill_policy is given by the component and by op: leave one of them out."
            )
        return self.backfill_policy or op.backfill_policy

"""The field `failure_sensor` of the component: posts what its runs did not deliver."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import dagster as dg
from pydantic import Field

from roboto_dagster.component.fields import SettingsModel, description_of, setting
from roboto_dagster.component.framework import Tags, template_value
from roboto_dagster.failure_sensor import build_roboto_failure_sensor

_Post = Annotated[
    Any,
    dg.Resolver(
        template_value,
        model_field_type=str,
        description=f"{description_of(build_roboto_failure_sensor, 'post')} A template variable.",
    ),
]
"""A function, which YAML can only name."""


class FailureSensor(SettingsModel):
    """The sensor that posts which of the component's partitions a run has not delivered, and why."""

    post: _Post
    name: str | None = setting(build_roboto_failure_sensor, "name")
    run_status: Literal["FAILURE", "CANCELED"] = Field(
        default="FAILURE",
        description="Which runs: FAILURE for failed ones, CANCELED for cancelled ones. Default FAILURE.",
    )
    webserver_url: str | None = setting(build_roboto_failure_sensor, "webserver_url")
    monitor_all_code_locations: bool = setting(
        build_roboto_failure_sensor, "monitor_all_code_locations"
    )
    minimum_interval_seconds: int | None = setting(
        build_roboto_failure_sensor, "minimum_interval_seconds"
    )
    description: str | None = setting(build_roboto_failure_sensor, "description")
    tags: Tags | None = setting(build_roboto_failure_sensor, "tags")
    metadata: dict[str, Any] | None = setting(build_roboto_failure_sensor, "metadata")
    running: bool = Field(
        default=False,
        description="Whether the sensor runs without being switched on in the UI. Default false.",
    )

    def build(self, assets: Sequence[dg.AssetsDefinition]) -> dg.SensorDefinition:
        """Return the sensor of the assets of a component.

        Args:
            assets: All that it defines.
        """
        status = dg.DefaultSensorStatus
        return build_roboto_failure_sensor(
            self.post,
            assets=assets,
            run_status=dg.DagsterRunStatus[self.run_status],
            default_status=status.RUNNING if self.running else status.STOPPED,
            **self.model_dump(exclude={"post", "run_status", "running"}),
        )

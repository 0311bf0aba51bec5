"""The complete pipeline from YAML, for `dg`: the component, its fields and its scaffolder."""

from roboto_dagster.component.component import RobotoDatasetComponent

__all__ = ["RobotoDatasetComponent"]

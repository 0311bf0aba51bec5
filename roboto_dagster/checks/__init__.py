"""The checks of what was delivered: the builder, the op that evaluates them, and what each looks at."""

from roboto_dagster.checks.builder import build_roboto_dataset_checks

__all__ = ["build_roboto_dataset_checks"]

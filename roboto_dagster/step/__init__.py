"""What a step of a dataset asset does: partitions side by side, recorded one by one in Dagster, complete or not."""

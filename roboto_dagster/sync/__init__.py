"""One scope of files, kept up to date in one local folder. Knows nothing of Dagster.

Read in the order of the journey: `run`, `datasets`, `inventory`, `planning`, `transfer`, `manifest`, `report`.
"""

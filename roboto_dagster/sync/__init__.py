"""One scope of files, kept up to date in one local folder. Knows nothing of Dagster.

Read in the order of the journey: `scope`, `listing`, `plan`, `run`, `manifest`, `report`.
"""

"""One scope of files brought to one local folder, again and again. Knows nothing of Dagster.

Read in the order of the journey: `scope`, `listing`, `plan`, `run`, `manifest`, `report`.
"""

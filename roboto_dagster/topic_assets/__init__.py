"""Topics assets in Dagster: the builder, what its step does, its metadata, and what was decoded.

The decoding itself is in `roboto_dagster.topics`, which does not know Dagster.
"""

"""The transfer engine: files of one association, from an object store to the local disk.

Knows nothing of Dagster or of how a dataset is listed. Read in this order: `download_session`,
`credentials`, `object_store`, then an engine.
"""

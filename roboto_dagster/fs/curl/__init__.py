"""The default engine: S3 over libcurl, driven by one event loop a core."""

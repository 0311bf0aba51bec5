"""MCAP logs: the container, and messages in protobuf and JSON."""

"""The servers behind `LocalRoboto`: the platform's API and an S3 store, on loopback."""

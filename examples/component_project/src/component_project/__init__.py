"""Roboto datasets from YAML."""

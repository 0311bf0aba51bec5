"""Definitions and components, each in a file or folder of its own."""

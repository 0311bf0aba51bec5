"""What other assets get of a delivered partition: paths, tables, frames, relations."""

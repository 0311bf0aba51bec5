"""From batches to Parquet files: their names, how they are written, what is known about their times."""

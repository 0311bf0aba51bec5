"""Topics as tables: the logs of a partition decoded into Parquet. Needs no Dagster.

```
containers (mcap, ros, ulog) ─► raw messages by topic ─► codec, appenders ─► TopicBatch ─► tables
                                                                            TopicFault, TopicNote
```
Heavy libraries (pyarrow, mcap, rosbags, pyulog) are imported where they are used.
"""

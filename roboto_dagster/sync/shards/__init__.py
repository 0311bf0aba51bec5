"""One partition transferred by many workers: a plan divides it into shards, each is a sync of its own, and a merge joins them.

```
 plan ──► <destination>/.roboto/.shards/<asset key>/<partition key>/<run>/plan.parquet
   ├─► shard 1 ──► … /shard-00001.parquet ─┐
   ├─► shard 2 ──► … /shard-00002.parquet ─┼─► merge ──► the partition's manifest; the folder of the run is removed
   └─► shard n ──► … /shard-0000n.parquet ─┘
```

Workers share nothing but the destination. A shard's manifest has the format of any other, so a shard that is run again finds
what it has delivered, and the merge delivers whatever the shards have not.
"""

"""What the dataset sensor does in a tick, and what it remembers; `roboto_dagster.sensors` builds it.

```
tick ─► following ─► walk ─► feed         which changes are new
   ├──► changes                           changes by dataset
   ├──► settling                          which of them are settled, and fall into which windows
   ├──► deletions                         which datasets are gone, or back
   ├──► requests                          which partitions are run
   └──► cursor                            all that is remembered
```
"""

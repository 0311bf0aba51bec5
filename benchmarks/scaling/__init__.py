"""How time, memory and requests grow: `make bench ARGS="--parts datasets"`, or `python -m benchmarks.scaling`.

```
__main__  reads the arguments; each part runs alone, and adds to what earlier runs have measured
cases     what is measured: parts, sizes, and who
fleet     many datasets of a few files each
traffic   counts requests and connections in its log
measuring runs one case: time, CPU, memory, requests, disk
records   one line of JSON a case, in scaling.json
bounds    what is wanted, beside what was measured
report    SCALING.md and its pictures
```

The contenders are `datasets`, `sdk_datasets`, `asset`, `listing` and `shards` in `benchmarks.contenders`.
"""

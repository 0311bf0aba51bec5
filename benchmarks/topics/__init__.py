"""Topics as tables beside the libraries' own loops: `make bench ARGS="--parts topics"`, or `python -m benchmarks.topics`.

```
__main__   reads the arguments; a case alone adds to what earlier runs have measured
logs/      makes the logs
cases      what is measured: kinds of logs, their sizes, and the bounds
contender  one run in a process of its own: ours, the bare loop of the format's library, or pyarrow writing bytes
loops      the bare loops
records    one line of JSON a case and contender, in topics.json
report     TOPICS.md
```
"""

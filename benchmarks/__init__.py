"""Side by side against the peers, in one run on one machine: `make bench`, or `python -m benchmarks`.

```
__main__      reads the arguments and reports the progress of a run
shapes        what is fetched: so many files of such a size
source        objects, listings and API answers, laid out on a memory-backed disk
certificates  an authority and a certificate of the run's own
server        serves them: nginx with a first-byte delay and a rate, else rclone
lineup        who fetches: each a command, with the settings that its users would choose
contenders/   those that are Python: modules that run in a process of their own
measure       runs one command in a fresh process; checks what it downloaded; seconds, CPU, memory
schedule      who runs when: interleaved, in rounds
sync_cases    what is not about bytes: unchanged files, many datasets
topics/       logs decoded into tables, beside the libraries' own loops
results       medians, ratios and the bounds of the project
report chart  RESULTS.md and its pictures
tools         finds what is installed
machine       versions and size of the machine
```
"""

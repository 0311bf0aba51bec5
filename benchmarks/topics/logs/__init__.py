"""Logs made by code, small ones for tests and large ones for measurements.

```
streams     what a log holds: topics, each with payloads that repeat, and the order of their messages
ros         messages of ROS 1 and ROS 2 with random values, of any type there is a definition of
protobuf    messages of protobuf, and JSON objects
mcap_logs   ──► .mcap        bags ──► .bag, .db3        ulog ──► .ulg
```
"""

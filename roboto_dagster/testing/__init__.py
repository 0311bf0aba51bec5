"""The Roboto platform on this machine: for tests of pipelines, the demo and trying things out.

`LocalRoboto` serves the platform's API and an S3 server in this process; `faults` makes things go
wrong on it. `python -m roboto_dagster.testing FOLDER` serves a folder from the command line. Needs
the extra `local`: `pip install "roboto-dagster[local]"`.
"""

from roboto_dagster.testing import faults
from roboto_dagster.testing.faults import Fault, Faults, Rule
from roboto_dagster.testing.local_roboto import LocalRoboto
from roboto_dagster.testing.request_log import LoggedRequest, RequestLog
from roboto_dagster.testing.sample_logs import write_sample_logs

__all__ = [
    "Fault",
    "Faults",
    "LocalRoboto",
    "LoggedRequest",
    "RequestLog",
    "Rule",
    "faults",
    "write_sample_logs",
]

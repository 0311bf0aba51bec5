"""Tests of decoding share the processes that decode logs."""

from tests.topics.warm_processes import warm_process, warm_processes

__all__ = ["warm_process", "warm_processes"]

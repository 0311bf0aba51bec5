"""What decoding a partition needs: its logs, which topics of them, from which decoders, to where."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from roboto_dagster.disk.folder import Durability
from roboto_dagster.setting_checks import check_choice, check_count, check_flag
from roboto_dagster.sync.cancellation import Cancellation
from roboto_dagster.sync.options import checked_destination
from roboto_dagster.sync.progress import Log
from roboto_dagster.topics.decoder import LogDecoder
from roboto_dagster.topics.topic_filter import TopicFilter

if TYPE_CHECKING:  # it brings all that decodes and writes, which no definition needs
    from roboto_dagster.topics.pool import DecodePool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopicsOptions:
    """What is decoded, and how.

    Attributes:
        topics: Which topics and fields, and how. Default: all.
        decoders: Asked in this order whether they read a file. Default None: those of this package.
        keep_partial: Whether what was read of a log before its failure is published; it is a failure in any
            case. Default False.
        processes: How many logs are decoded side by side, at most. Default None: as many as there are processors
            and as memory allows.
    """

    topics: TopicFilter = dataclasses.field(default_factory=TopicFilter)
    decoders: Sequence[LogDecoder] | None = None
    keep_partial: bool = False
    processes: int | None = None

    def __post_init__(self) -> None:
        check_flag("keep_partial", self.keep_partial)
        check_count("processes", self.processes, least=1, optional=True)


def _log_nothing(level: int, line: str) -> None:
    """The default of `TopicsSettings.log`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopicsSettings:
    """What decoding needs besides the logs.

    Attributes:
        destination: The folder that the user chose; tables go to
            `<destination>/<dataset id>/<relative path of the log>/<topic>.parquet`.
        manifest: Path of the manifest (`sync.manifest.manifest_path`), read as the last run's and written as
            this one's.
        options: What is decoded, and how.
        durability: What is forced to the disk before a table counts as published. Default `"none"`.
        log: Where lines about progress and failures go; called from any thread.
        cancellation: Ends it from another thread.
        pool: Decodes logs, also those of other partitions. Default None: one of its own.
    """

    destination: pathlib.Path
    manifest: pathlib.Path
    options: TopicsOptions = dataclasses.field(default_factory=TopicsOptions)
    durability: Durability = "none"
    log: Log = _log_nothing
    cancellation: Cancellation = dataclasses.field(default_factory=Cancellation)
    pool: "DecodePool | None" = None

    def __post_init__(self) -> None:
        check_choice("durability", self.durability, get_args(Durability))
        object.__setattr__(self, "destination", checked_destination(self.destination))

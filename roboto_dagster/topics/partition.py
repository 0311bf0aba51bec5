"""One partition: its logs decoded to tables, the manifest, the report."""

from collections.abc import Iterable

from roboto_dagster.topics.options import LogFile, TopicsSettings
from roboto_dagster.topics.report import TopicsReport


def decode_partition(logs: Iterable[LogFile], settings: TopicsSettings) -> TopicsReport:
    """Decode the logs of a partition that are new or changed, and write the manifest.

    Args:
        logs: All files of the upstream partition, complete on this disk.
        settings: What is decoded, how, and to where.

    Returns:
        What was done. Logs and topics that could not be decoded are in `failures`; all others are complete.

    Raises:
        ConfigurationError: A setting cannot work; nothing was touched.
        ManifestError: The manifest cannot be written.
        SyncCancelledError: It was cancelled; tables of complete logs are kept, and in the manifest.
    """
    raise NotImplementedError  # the next commit

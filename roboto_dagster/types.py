"""What the rooms pass to each other, and nothing else."""

import pathlib

from typing_extensions import TypedDict


class DownloadableFile(TypedDict):
    """A file to be downloaded.

    Attributes:
        bucket_name: The bucket that holds it.
        source_uri: Its full URI, such as `s3://bucket/key`.
        destination_path: Where it shall be on the local disk.
    """

    bucket_name: str
    source_uri: str
    destination_path: pathlib.Path

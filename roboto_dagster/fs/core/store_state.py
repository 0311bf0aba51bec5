"""What is learnt about one store while files are fetched from it, shared by all that fetch."""

import time

from roboto_dagster.fs.core.connections import Connections
from roboto_dagster.fs.core.endpoints import Endpoints
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.outage import Outage
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.core.throttle import SharedThrottle, Throttle
from roboto_dagster.fs.credential_cache import CredentialCache

_FOLDERS, _FOLDERS_OF_SHARED = 64, 8
_GUESS_BYTES = 1024 * 1024


class StoreState:
    """Facts about one store. Each is written at once, so that reading takes no lock.

    Args:
        settings: The store's settings.
        credentials: Keeps the credentials fresh.
        connections: Upper bound of connections in use at once.
        drivers: How many drivers share them. Default 1.
        shared: The bound on the connections of all stores that use the same drivers. Default None: there is no other.

    Attributes:
        endpoints: Where its buckets are.
        throttle: The bound on connections.
        shared: The same.
        connections: How its drivers share them.
        typical_bytes: The size of files lately, for those of unknown size.
        disk_full: Why no new file is started, or None.
        outage: Whether it answers at all.
        one_stream: Whether the store cannot serve ranges that are safe to combine.
        etags_are_md5: Whether the MD5 of some content was its ETag.
        skew_seconds: What to add to this machine's clock to have the store's.
        folders_kept: How many folders a driver may keep open.
    """

    def __init__(
        self,
        settings: S3Settings,
        credentials: CredentialCache,
        *,
        connections: int,
        drivers: int = 1,
        shared: SharedThrottle | None = None,
    ) -> None:
        self.settings = settings
        self.credentials = credentials
        self.drivers = drivers
        self.endpoints = Endpoints(settings.endpoint_url)
        self.throttle = Throttle(connections)
        self.shared = shared
        self.connections = Connections(self.throttle, drivers)
        self.typical_bytes = float(_GUESS_BYTES)
        self.disk_full: Failure | None = None
        self.outage = Outage()
        self.one_stream = False
        self.etags_are_md5 = False
        self.skew_seconds = 0.0
        self.folders_kept = max(
            min(_FOLDERS if shared is None else _FOLDERS_OF_SHARED, connections), 1
        )

    def learn_time(self, server_time: float) -> None:
        """Take the store's time, in seconds since the epoch."""
        self.skew_seconds = server_time - time.time()

    def learn_file(self, size_bytes: int, verified: str) -> None:
        """Take in what a published file shows.

        Args:
            size_bytes: Its size, for the average.
            verified: The verdict on it.
        """
        self.typical_bytes += (size_bytes - self.typical_bytes) / 8
        if verified == "md5":
            self.etags_are_md5 = True

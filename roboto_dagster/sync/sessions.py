"""Makes the download sessions of a sync, one for each association and bucket, and opens their stores."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from roboto_dagster.fs.core.settings import OnRetry
from roboto_dagster.fs.download_session import DownloadSession, OnSettled
from roboto_dagster.fs.object_store import ObjectStore
from roboto_dagster.platform.errors import platform_errors
from roboto_dagster.sync.inventory import PlannedFile
from roboto_dagster.sync.options import SyncSettings
from roboto_dagster.types import DownloadableFile

if TYPE_CHECKING:
    from roboto import Association


class Sessions:
    """Makes sessions whose credentials are asked for on behalf of the right organization.

    Args:
        settings: Of the sync.
        org_ids: The organization of each dataset; read when a session is made.
    """

    def __init__(self, settings: SyncSettings, org_ids: Mapping[str, str]) -> None:
        self._settings = settings
        self._org_ids = org_ids

    def make(
        self,
        association_id: str,
        items: Iterable[DownloadableFile] = (),
        on_settled: OnSettled | None = None,
    ) -> DownloadSession:
        """Make a session.

        Args:
            association_id: Whose files it reads.
            items: The files.
            on_settled: Called once per file that has ended.

        Raises:
            PlatformError: There is no such association.
        """
        return DownloadSession(
            items=items,
            association=_association(association_id),
            roboto_client=self._settings.client,
            caller_org_id=self._org_id_for(association_id),
            on_settled=on_settled,
        )

    def open_store(self, session: DownloadSession, uri: str, on_retry: OnRetry) -> ObjectStore:
        """Make the store for a session; to be entered by the caller.

        Args:
            session: Provides the credentials.
            uri: One of its URIs.
            on_retry: Called once per request that is repeated.
        """
        return self._settings.open_store(session, uri, self._settings.retry, on_retry)

    @contextlib.contextmanager
    def store_for(self, planned: PlannedFile) -> Iterator[ObjectStore]:
        """Open the store for the source of a file, for requests without downloads.

        Args:
            planned: The file.
        """
        session = self.make(planned.remote.association_id)
        with self.open_store(session, planned.remote.uri, lambda *_: None) as store:
            yield store

    def _org_id_for(self, association_id: str) -> str:
        """Return for whom credentials are asked: a link's target is read on behalf of the dataset
        that links to it.
        """
        owner = self._org_ids.get(association_id) or next(iter(self._org_ids.values()))
        return self._settings.org_id or owner


def _association(association_id: str) -> "Association":
    from roboto import Association

    with platform_errors(f"asking for credentials of {association_id}"):
        return Association.from_id(association_id)

"""The datasets of one sync: their files, their organizations and their names, for as few requests as possible.

```
 list the files ─┬─ records ──────────────────────────► they name the organization
                 └─ none, or none that names it ──────► ask for the dataset's own record: is there such a dataset?

 name: the scope's (from the sensor's tag or a query of datasets) ► the dataset's record, where it was asked for anyway
       ► the last manifest's ► where files failed, one more request; else it stays unknown
```

A sync that finds nothing changed is thus one request a page of files, and one that fetches asks for credentials besides.
"""

import contextlib
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Protocol

from roboto_dagster.errors import PlatformError
from roboto_dagster.platform.catalog import DatasetCatalog, PlatformCatalog
from roboto_dagster.platform.scope import Scope
from roboto_dagster.sync.inventory import Inventory
from roboto_dagster.sync.manifest_names import read_dataset_names
from roboto_dagster.sync.options import SyncSettings


class Listing(Protocol):
    """Lists the datasets of a sync; `Datasets` asks the platform, others may know already."""

    @property
    def org_ids(self) -> Mapping[str, str]:
        """The organization that owns each dataset, once it is listed."""

    @property
    def names(self) -> Mapping[str, str]:
        """The names that are known, by the id of the dataset."""

    @property
    def listed_at(self) -> dt.datetime | None:
        """When the first of them began to be listed, by the platform's clock where it is known."""

    def list_into(self, inventory: Inventory) -> None:
        """List every dataset to its end."""

    def recall_names(self) -> None:
        """Take names that are not known from the last manifest."""

    def ask_for_names(self) -> None:
        """Ask for names that are not known, since files failed."""


class Datasets:
    """Lists the datasets of a sync.

    Args:
        scopes: The datasets and their patterns.
        settings: Of the sync.
        catalog: What is asked about them. Default: the platform.

    Attributes:
        org_ids: The organization that owns each dataset, once it is listed.
        names: The names that are known, by the id of the dataset.
        listed_at: When the first of them began to be listed, by the platform's clock where it is known.
    """

    def __init__(
        self, scopes: Sequence[Scope], settings: SyncSettings, catalog: DatasetCatalog | None = None
    ) -> None:
        self._catalog = catalog or PlatformCatalog(settings.client)
        self._scopes = scopes
        self._settings = settings
        self.listed_at: dt.datetime | None = dt.datetime.now(dt.timezone.utc)
        self.org_ids: dict[str, str] = {}
        self.names = {each.dataset_id: each.dataset_name for each in scopes if each.dataset_name}

    def list_into(self, inventory: Inventory) -> None:
        """List every dataset to its end.

        Args:
            inventory: Where the files go.

        Raises:
            PlatformError: A dataset is unknown, or could not be listed to its end.
        """
        for scope in self._scopes:
            self._settings.cancellation.check()
            listing = self._catalog.files(scope)
            inventory.add_remote(
                scope.dataset_id, self._settings.cancellation.until_cancelled(listing)
            )
            if scope is self._scopes[0]:
                self.listed_at = listing.listed_at or self.listed_at
            if listing.org_id is None:
                self._look_up(scope.dataset_id)
            else:
                self.org_ids[scope.dataset_id] = listing.org_id

    def recall_names(self) -> None:
        """Take names that are not known from the last manifest."""
        if unnamed := self._unnamed():
            settings = self._settings
            recorded = read_dataset_names(settings.manifest, within=settings.destination)
            self.names |= {each: recorded[each] for each in unnamed if each in recorded}

    def ask_for_names(self) -> None:
        """Ask for the name of a single dataset that is not known: messages about failed files are to have it."""
        if len(self._scopes) == 1 and self._unnamed():
            with contextlib.suppress(
                PlatformError
            ):  # the failed files are to be reported, not this
                self._look_up(self._scopes[0].dataset_id)

    def _unnamed(self) -> list[str]:
        return [each.dataset_id for each in self._scopes if each.dataset_id not in self.names]

    def _look_up(self, dataset_id: str) -> None:
        org_id, name = self._catalog.owner(dataset_id)
        self.org_ids[dataset_id] = org_id
        if name:
            self.names[dataset_id] = name

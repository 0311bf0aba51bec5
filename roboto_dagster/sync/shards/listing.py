"""The files of a plan, in place of a listing of the platform."""

import itertools
import operator
import pathlib

from roboto_dagster.sync.inventory import Inventory
from roboto_dagster.sync.shards.plan_file import ShardPlan, planned_rows


class PlannedDatasets:
    """Lists what a plan holds, see `sync.datasets.Listing`.

    Args:
        plan: The plan.
        path: Of its file.
        within: The destination; below it no link is followed.
        shard: Only files of this shard; None for all.
    """

    def __init__(
        self, plan: ShardPlan, path: pathlib.Path, within: pathlib.Path, shard: int | None = None
    ) -> None:
        self.org_ids = plan.org_ids
        self.names = plan.names
        self.listed_at = plan.listed_at
        self._path = path
        self._within = within
        self._shard = shard

    def list_into(self, inventory: Inventory) -> None:
        """Add the files.

        Args:
            inventory: Where they go.

        Raises:
            ManifestError: The plan cannot be read.
        """
        rows = planned_rows(self._path, self._within, self._shard)
        for dataset_id, group in itertools.groupby(rows, key=operator.attrgetter("dataset_id")):
            inventory.add_remote(dataset_id, (row.file for row in group))

    def recall_names(self) -> None:
        """Do nothing: the plan has the names that are known."""

    def ask_for_names(self) -> None:
        """Do nothing: a shard is not the place to ask."""

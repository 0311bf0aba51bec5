"""Decides about files that another run published while this one fetched them, see `publisher`."""

from collections.abc import Sequence

from roboto_dagster.disk.tree import LocalTree
from roboto_dagster.sync.facts import Facts
from roboto_dagster.sync.inventory import Inventory, PlannedFile
from roboto_dagster.sync.known_files import KnownFiles
from roboto_dagster.sync.local import local_file
from roboto_dagster.sync.outcomes import Outcomes
from roboto_dagster.sync.plan import KnownFile, is_same_record


class ConflictResolver:
    """Compares what another run published with this run's listing. For one thread.

    Args:
        inventory: The files.
        tree: The destination.
        facts: To read what other runs have noted.
    """

    def __init__(self, inventory: Inventory, tree: LocalTree, facts: Facts) -> None:
        self._inventory = inventory
        self._known = KnownFiles(inventory)
        self._outcomes = Outcomes(inventory)
        self._tree = tree
        self._facts = facts

    def resolve(self, numbers: Sequence[int]) -> int:
        """Decide about files whose place had changed when they were to be published.

        Args:
            numbers: The files.

        Returns:
            How many of them are complete: the other run delivered the very version that this run listed.
        """
        planned = list(self._inventory.files(numbers))
        self._inventory.plan_fetches(
            (file.seq, local_file(self._tree, file.path), False) for file in planned
        )
        self._facts.adopt_all()
        known = {file.seq: facts for file, facts in self._known.on_disk()}
        kept = {
            file.seq
            for file in planned
            if file.seq in known and is_same_record(file.remote, known[file.seq])
        }
        self._inventory.plan_keeps(kept)
        for file in planned:
            if file.seq not in kept:
                self._note_changed(file, known.get(file.seq))
        return len(kept)

    def _note_changed(self, file: PlannedFile, known: KnownFile | None) -> None:
        is_outdated = (
            known is not None
            and known.file_id == file.remote.file_id
            and known.version > file.remote.version
        )
        if is_outdated:
            reason = (
                "another run delivered a newer version of it while this run had listed an older one"
            )
        else:
            reason = "what is in its place changed while it was fetched"
        self._outcomes.note_changed(file.seq, reason, may_retry=not is_outdated)

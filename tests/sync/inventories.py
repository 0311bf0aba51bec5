"""Short ways to fill an inventory and to read it."""

import pathlib
from typing import Any

from roboto_dagster.platform.files import RemoteFile
from roboto_dagster.sync.inventory import Inventory
from roboto_dagster.sync.outcomes import FailureRow, Outcomes
from roboto_dagster.sync.refusals import Refusals


def remote(path: str, number: int = 1, **changes: Any) -> RemoteFile:
    """Return a file of the platform's."""
    values: dict[str, Any] = {
        "file_id": f"fl_{number}",
        "version": 1,
        "relative_path": path,
        "size_bytes": number,
        "uri": f"s3://b/{path}",
        "association_id": "ds_1",
    }
    return RemoteFile(**{**values, **changes})


def refusals(inventory: Inventory) -> list[FailureRow]:
    """Refuse what cannot be delivered, and return it."""
    Refusals(inventory).refuse({"s3"})
    return list(Outcomes(inventory).failures("failed", 100))


def plan_fetches(inventory: Inventory, *, keep_facts: bool = True) -> None:
    """Plan to fetch everything that was not refused."""
    inventory.plan_fetches((file.seq, None, keep_facts) for file in list(inventory.undecided()))


def manifest_row(inventory: Inventory) -> dict[str, Any]:
    """Return the first row that the manifest will have."""
    from roboto_dagster.sync.manifest import schema

    (rows,) = list(inventory.manifest_rows(pathlib.Path("/logs")))
    return dict(zip(schema().names, rows[0], strict=True))

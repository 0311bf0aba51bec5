"""The data version of a partition: a hash over what was delivered.

```
rows of the manifest ─► fetched and unchanged ─► sorted (dataset id, relative path, size, identity) ─► SHA-256
                                                                                     │
             the checksum of the object, else its ETag, else `<file id>@<version>` ──┘
```

Two syncs that deliver the same have the same version: with any engine, any `verify`, on any machine, in any
destination. So times, paths on this machine, URIs and the revision of a record, which an edit of its tags raises, are
no part of it.
"""

import hashlib

from roboto_dagster.sync import inventory_sql as sql
from roboto_dagster.sync.inventory import BATCH, Inventory

# Part of every version: a release that would hash the same rows in another way changes it.
_GENERATION = b"roboto_dagster data version 1\0"


def data_version(inventory: Inventory) -> str:
    """Hash what a sync has delivered.

    Args:
        inventory: Of the sync, at its end.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256(_GENERATION)
    cursor = inventory.db.execute(sql.DELIVERED)
    while rows := cursor.fetchmany(BATCH):
        # No text of a delivered file holds a NUL, so that no two lists of rows read the same.
        digest.update(
            "".join("%s\0%s\0%d\0%s\0" % row for row in rows).encode()  # noqa: UP031 - twice as fast
        )
    return digest.hexdigest()

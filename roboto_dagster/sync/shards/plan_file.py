"""The plan of a run of shards: what is listed, and which shard fetches which file. This module is only its format.

One row a listed file, those of a shard side by side, so that a shard reads only its own. Written under a temporary name
and renamed. What else a shard or the merge has to know is in the file's metadata:

```
{"hash": …, "planned_at": …, "listed_at": …, "shards": [[files, bytes], …],
 "scopes": [{"dataset_id": …}, …], "org_ids": {…}, "names": {…}}
```

The plan lies on a disk that others write to as well, so what it holds is checked again like a listing.
"""

import contextlib
import dataclasses
import datetime as dt
import functools
import json
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from roboto_dagster.disk.parquet_file import (
    ROWS_PER_BATCH,
    open_parquet,
    row_groups,
    table_of,
    write_parquet,
)
from roboto_dagster.errors import ConfigurationError, ManifestError
from roboto_dagster.platform.records import RemoteFile
from roboto_dagster.platform.scope import Scope, is_dataset_id
from roboto_dagster.sync.inventory import Totals

if TYPE_CHECKING:  # pyarrow would cost every import of the package, and only a run needs it
    import pyarrow as pa
    import pyarrow.parquet as pq

_KEY = b"roboto_dagster.shard_plan_1"
_TIMES = ("created_from", "created_before")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlan:
    """A plan, without its rows.

    Attributes:
        plan_hash: Of its rows: the same listing, divided alike, has the same.
        planned_at: When it was made, in seconds since the epoch.
        listed_at: When the platform began to list the files, by its own clock; None where it sends none.
        shards: Files and bytes of each shard.
        scopes: The datasets and their patterns.
        org_ids: The organization that owns each dataset.
        names: The names that are known, by the id of the dataset.
    """

    plan_hash: str
    planned_at: float
    listed_at: dt.datetime | None
    shards: Sequence[Totals]
    scopes: Sequence[Scope]
    org_ids: Mapping[str, str]
    names: Mapping[str, str]


class PlannedRow(NamedTuple):
    """One row of a plan.

    Attributes:
        shard: The number of its shard, from 1; 0 if it need not be fetched, or is left to the merge.
        dataset_id: The dataset.
        file: The file, as it was listed.
    """

    shard: int
    dataset_id: str
    file: RemoteFile


_INTEGERS = frozenset({"shard", "version", "size_bytes"})


@functools.cache
def _schema() -> "pa.Schema":
    import pyarrow as pa

    names = PlannedRow._fields[:2] + RemoteFile._fields
    return pa.schema(
        [pa.field(each, pa.int64() if each in _INTEGERS else pa.string()) for each in names]
    )


def write_plan(
    path: pathlib.Path,
    plan: ShardPlan,
    batches: Iterable[Sequence[Sequence[Any]]],
    within: pathlib.Path,
) -> None:
    """Write a plan in place of an earlier one, in one step.

    Args:
        path: Where to.
        plan: The plan.
        batches: Rows in the order of `PlannedRow`, the file's fields spread, sorted by shard; many at a time.
        within: The destination; below it no link is followed.

    Raises:
        ManifestError: It cannot be written.
    """
    schema = _schema().with_metadata({_KEY: _to_json(plan)})
    try:
        write_parquet(path, schema, (table_of(rows, schema) for rows in batches), within=within)
    except OSError as error:
        raise ManifestError(
            f"The plan {path} cannot be written: {error.strerror or error}. Nothing was fetched. Make room or correct "
            "the permissions, then run it again."
        ) from error


def read_plan(path: pathlib.Path, within: pathlib.Path) -> ShardPlan:
    """Read a plan without its rows.

    Args:
        path: Of the plan.
        within: The destination; below it no link is followed.

    Raises:
        ManifestError: There is none, or it cannot be read.
    """
    with _open(path, within) as file:
        return _from_json((file.schema_arrow.metadata or {})[_KEY])


def planned_rows(
    path: pathlib.Path, within: pathlib.Path, shard: int | None = None
) -> Iterator[PlannedRow]:
    """Yield the rows of a plan, those of one dataset side by side where a single shard is read.

    Args:
        path: Of the plan.
        within: The destination; below it no link is followed.
        shard: Only rows of this shard; None for all.

    Raises:
        ManifestError: It cannot be read.
    """
    with _open(path, within) as file:
        groups = list(range(file.num_row_groups))
        if shard is not None:
            groups = row_groups(file, "shard", lambda low, high: low <= shard <= high)
        for batch in file.iter_batches(ROWS_PER_BATCH, groups, use_threads=False):
            columns: list[list[Any]] = [batch.column(field.name).to_pylist() for field in _schema()]
            numbers, dataset_ids, *fields = columns
            for dataset_id in set(dataset_ids):
                if not is_dataset_id(dataset_id):
                    raise ValueError(f"{dataset_id!r} is no dataset id")
            files = map(RemoteFile._make, zip(*fields, strict=True))
            rows = map(PlannedRow, numbers, dataset_ids, files)
            yield from rows if shard is None else (row for row in rows if row.shard == shard)


@contextlib.contextmanager
def _open(path: pathlib.Path, within: pathlib.Path) -> Iterator["pq.ParquetFile"]:
    """Open a plan, and translate what reading a broken one raises."""
    import pyarrow as pa

    advice = "Run the partition again, from its first step: files that were delivered are kept."
    try:
        with open_parquet(path, within) as file:
            yield file
    except FileNotFoundError as error:
        raise ManifestError(
            f"The plan {path} is not there: the workers do not share the destination, or another run of this partition "
            f"has finished meanwhile. {advice}"
        ) from error
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise ManifestError(f"The plan {path} cannot be read: {reason}. {advice}") from error


def _to_json(plan: ShardPlan) -> bytes:
    values = {
        "hash": plan.plan_hash,
        "planned_at": plan.planned_at,
        "listed_at": plan.listed_at,
        "shards": [list(each) for each in plan.shards],
        "scopes": [dataclasses.asdict(each) for each in plan.scopes],
        "org_ids": dict(plan.org_ids),
        "names": dict(plan.names),
    }
    return json.dumps(values, default=dt.datetime.isoformat).encode()


def _from_json(text: bytes) -> ShardPlan:
    values = json.loads(text)
    try:
        scopes = [_scope(each) for each in values["scopes"]]
    except ConfigurationError as error:
        raise ValueError(str(error)) from error
    return ShardPlan(
        plan_hash=str(values["hash"]),
        planned_at=float(values["planned_at"]),
        listed_at=_time(values["listed_at"]),
        shards=[Totals(int(files), int(size_bytes)) for files, size_bytes in values["shards"]],
        scopes=scopes,
        org_ids={str(key): str(value) for key, value in values["org_ids"].items()},
        names={str(key): str(value) for key, value in values["names"].items()},
    )


def _scope(values: Mapping[str, Any]) -> Scope:
    plain: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    plain |= {name: _time(plain.get(name)) for name in _TIMES}
    return Scope(**plain)


def _time(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text)

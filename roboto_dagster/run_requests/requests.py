"""Requests of runs: of one partition, or of a range of them."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import dagster as dg

from roboto_dagster.partitions import Partitioning

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"

MAX_PARTITIONS_PER_RUN = 2000
"""Above so many partitions that stand beside each other, runs are divided."""

_DIVIDED_INTO = 1000

DATASET_TAG = "roboto/dataset_id"
"""Tag of a run that was requested for one dataset."""

DATASET_NAME_TAG = "roboto/dataset_name"
"""Tag with the name of that dataset."""


def run_request(
    partitioning: Partitioning, key: str, *, run_key: str, tags: Mapping[str, str]
) -> dg.RunRequest:
    """Request a run of one partition, or of the asset if it has none.

    The tags of the partition come along, since Dagster would otherwise look every single key up in
    its database. It then does not check whether the partition exists: the caller has to.

    Args:
        partitioning: Of the asset.
        key: Key of a partition that exists, or is added in the same tick.
        run_key: By which Dagster recognizes a request that it has had before.
        tags: Tags of the run.
    """
    partitions_def = partitioning.partitions_def
    if partitions_def is None:
        return dg.RunRequest(run_key=run_key, tags=tags)
    if isinstance(partitions_def, dg.MultiPartitionsDefinition):
        key = partitions_def.get_partition_key_from_str(key)
    of_partition = partitions_def.get_tags_for_partition_key(key)
    plain = {name: str(value) for name, value in of_partition.items()}
    return dg.RunRequest(run_key=run_key, partition_key=key, tags={**tags, **plain})


def named_dataset(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the name of the dataset that a run was requested for, by the dataset's id; nothing if there is none.

    Args:
        tags: Of the run.
    """
    dataset_id, name = tags.get(DATASET_TAG), tags.get(DATASET_NAME_TAG)
    return {dataset_id: name} if dataset_id and name else {}


def partitions_per_run(asset: dg.AssetsDefinition, partitioning: Partitioning) -> int | None:
    """Return how many partitions one run may hold by the asset's backfill policy; None for any number.

    A range of two dimensions is a rectangle, which a selection rarely is: those go one by one.

    Args:
        asset: The asset.
        partitioning: Its partitions.
    """
    policy = asset.backfill_policy
    if policy is None or partitioning.dimensions is not None:
        return 1
    return policy.max_partitions_per_run


def group_request(
    partitioning: Partitioning, keys: Sequence[str], *, run_key: str, tags: Mapping[str, str]
) -> dg.RunRequest:
    """Request one run of partitions that stand beside each other.

    Args:
        partitioning: Of the asset.
        keys: One group of `contiguous_groups`.
        run_key: By which Dagster recognizes a request that it has had before.
        tags: Tags of the run.
    """
    if len(keys) == 1:
        return run_request(partitioning, keys[0], run_key=run_key, tags=tags)
    # `RunRequest` knows no ranges: these tags, without a partition key, are Dagster's way to let one run hold several.
    ends = {RANGE_START_TAG: keys[0], RANGE_END_TAG: keys[-1]}
    return dg.RunRequest(run_key=run_key, tags={**tags, **ends})


def contiguous_groups(
    chosen: Iterable[str], in_order: Sequence[str], longest: int | None = None
) -> Iterator[Sequence[str]]:
    """Yield the groups that chosen keys form, each without gaps: Dagster's range tags know none.

    A stretch of more than `MAX_PARTITIONS_PER_RUN` keys is divided, whatever is allowed: Dagster notes every partition of
    a run before it starts, and keeps its events together.

    Args:
        chosen: The keys that are wanted.
        in_order: All keys of the partitions, in their order, which for dynamic ones is that of their creation.
        longest: How many keys one group may hold; None for any number.
    """
    wanted = frozenset(chosen)
    for is_wanted, stretch in itertools.groupby(in_order, wanted.__contains__):
        if is_wanted:
            yield from _divided(list(stretch), longest)


def _divided(stretch: Sequence[str], longest: int | None) -> Iterator[Sequence[str]]:
    is_long = len(stretch) > MAX_PARTITIONS_PER_RUN
    size = min(longest or len(stretch), _DIVIDED_INTO if is_long else len(stretch))
    for start in range(0, len(stretch), size):
        yield stretch[start : start + size]

"""Requests of runs: of one partition, or of a range of them."""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from roboto_dagster.partitions import Partitioning

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"

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


def range_tags(first: str, last: str) -> dict[str, str]:
    """Return the tags by which Dagster lets one run hold several partitions.

    Args:
        first: Key of the first partition.
        last: Key of the last one.
    """
    return {RANGE_START_TAG: first, RANGE_END_TAG: last}


def contiguous_ranges(
    chosen: Sequence[str], in_order: Sequence[str], longest: int | None = None
) -> Iterator[tuple[str, str]]:
    """Yield the ends of the ranges that chosen keys form: Dagster's range tags know no gaps.

    Args:
        chosen: The keys that are wanted.
        in_order: All keys of the partitions, in their order.
        longest: How many keys one range may hold; None for any number.
    """
    wanted = set(chosen)
    keys_of_range: list[str] = []
    for key in in_order:
        is_full = longest is not None and len(keys_of_range) >= longest
        if keys_of_range and (is_full or key not in wanted):
            yield keys_of_range[0], keys_of_range[-1]
            keys_of_range = []
        if key in wanted:
            keys_of_range.append(key)
    if keys_of_range:
        yield keys_of_range[0], keys_of_range[-1]

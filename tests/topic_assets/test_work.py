"""What a step does for a partition, without a step."""

from typing import Any

import dagster as dg

from roboto_dagster.topic_assets.config import TopicsAssetConfig, Upstream
from roboto_dagster.topic_assets.work import DecodeWork, TopicsAsset
from roboto_dagster.topics.options import TopicsOptions
from tests.topic_assets.lab import Topics
from tests.topic_assets.lines import CallingDecoder


def work_of(topics: Topics, **options: Any) -> DecodeWork:
    """Return the work of an asset."""
    upstream, given = Upstream.of(topics.logs), TopicsOptions(**options)
    config = TopicsAssetConfig.checked(
        upstream, given, destination=topics.folder, on_failure="fail"
    )
    asset = TopicsAsset(
        asset_key=dg.AssetKey("topics"),
        upstream=upstream,
        config=config,
        options=given,
        durability="none",
    )
    return DecodeWork(asset)


def outcomes(work: DecodeWork, key: str) -> list[Any]:
    """Return the outcomes of a partition."""
    return list(work.outcomes(key, lambda _: lambda level, line: None))  # noqa: ARG005 -- of the protocol


def test_a_cancelled_partition_has_no_outcome(topics: Topics) -> None:
    """Nothing of the log is published, and nothing new is started."""
    decoders = [CallingDecoder(call=lambda: work.cancel())]  # noqa: PLW0108 -- it is made below
    work = work_of(topics, decoders=decoders, processes=1)
    first, second = topics.keys
    with work.sharing():
        assert outcomes(work, first) == []
        assert outcomes(work, second) == []
    assert not list(topics.folder.rglob("*.lines"))
    again = work_of(topics, decoders=[CallingDecoder()], processes=1)
    ((key, report),) = outcomes(again, first)
    assert (key, report.is_complete, report.rows) == (dg.AssetKey("topics"), True, 103)


def test_an_unknown_partition_is_an_error(topics: Topics) -> None:
    """It is the partition's outcome."""
    ((_, error),) = outcomes(work_of(topics, decoders=[]), "ds_other")
    assert "has no partition 'ds_other'" in str(error)
